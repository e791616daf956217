"""From laws to answers: what is predicted, chosen and explained, and Monte-Carlo of it all.

`known` gives both laws of a question; `prediction`, `ranking`, `scale`, `schedule`, `crossover` and
`explain` answer from them, `emit` says an answer in an engine's words, and `tune` measures on.
`simulation` draws: rounds and requests (`rounds`), verification rules on explicit distributions
(`verify`), fleets under load (`fleet`), many settings at once (`parallel`). Modules are imported by
name, so that a prediction does not wait for the compiler.
"""
