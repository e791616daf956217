"""Monte-Carlo of speculative decoding, and predictions with intervals.

Rounds: `rounds` confirms a prediction token by token; `iid`, `laws` and `traces` simulate rounds at
speed, under any acceptance law or measured acceptance; `policies` choose the draft length.
Requests and fleets: `requests`, `replay`, `fleet`, `fleet_crossover`. The algorithm on explicit
distributions: `distributions`, `verify`. Answers: `prediction`, `selection`. Scale: `sweep`,
`sweep_blocks`. Modules are imported by name, so that a prediction does not wait for the compiler.
"""
