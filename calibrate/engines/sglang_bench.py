"""SGLang's benchmarks: rows of bench_speculative.py, and the result of bench_serving.

bench_speculative: one setting of batch, steps, topk and slots each. bench_serving: the mean length
that the server states after the run, and all tokens that the run generated.
"""

from __future__ import annotations

from typing import Any

from .completed import engine_counts
from .counts import EngineCounts, Group
from .requests import count, number

_NEEDED = frozenset({"acc_length", "batch_size", "steps"})


class BenchRows:
    """Keeps the rows as groups by batch."""

    engine = "sglang"
    keys = frozenset({"acc_length"})

    def __init__(self) -> None:
        self.rows: list[Group] = []
        self.branches: set[int] = set()

    def take(self, entry: dict[str, Any], key: str) -> bool:
        """Take a row."""
        if not entry.keys() >= _NEEDED:
            return False
        steps, branches = count(entry["steps"], "steps"), count(entry.get("topk"), "topk")
        length = number(entry["acc_length"], "acc_length")
        if length is not None and length < 1.0:
            raise ValueError(f"acc_length must be >= 1, got {length:g}")
        slots = count(entry.get("num_draft_tokens"), "num_draft_tokens")
        self.branches.add(branches or 0)
        batch = count(entry["batch_size"], "batch_size")
        self.rows.append(
            Group(
                label=f"batch {batch}, steps {steps}, topk {branches}, num_draft_tokens {slots}",
                batch=batch,
                gamma=steps if branches in (None, 0, 1) else None,
                acceptance_length=length if steps else None,
                step_s=number(entry.get("step_time"), "step_time"),
                tokens_per_s=number(entry.get("speed"), "speed"),
            )
        )
        return True

    def result(self) -> EngineCounts | None:
        """The rows; one acceptance length only where there is one setting."""
        if not self.rows:
            return None
        notes = ["rows state neither rounds nor drafted nor accepted tokens: null"]
        gammas = {r.gamma for r in self.rows}
        gamma = gammas.pop() if len(gammas) == 1 else None
        lengths = {r.acceptance_length for r in self.rows}
        length = lengths.pop() if len(lengths) == 1 else None
        if len(self.rows) > 1:
            notes.append(f"{len(self.rows)} settings were measured: see by_batch for each")
        if max(self.branches) > 1:
            notes.append("rows with topk above 1 draft a tree: they have no gamma")
        return engine_counts(
            "sglang",
            "sglang-bench-speculative",
            definition="SGLang bench_speculative: acc_length = tokens of a round, bonus counted",
            gamma=gamma or None,
            acceptance_length=length,
            by_batch=tuple(self.rows),
            intervals=len(self.rows),
            notes=notes,
        )


_DEFINITION = (
    "SGLang bench_serving: accept length = tokens of a round with the bonus token, the server's "
    "average since its start"
)


class ServingJson:
    """Results of bench_serving as JSON, one a line; of several runs each is a group."""

    engine = "sglang"
    keys = frozenset({"accept_length"})

    def __init__(self) -> None:
        self.runs: list[Group] = []

    def take(self, entry: dict[str, Any], key: str) -> bool:
        """Take a run."""
        if "drafts" in entry or "num_drafts" in entry:
            return False
        length = number(entry["accept_length"], "accept_length")
        if length is None:
            return False
        if length < 1.0:
            raise ValueError(f"accept_length must be >= 1, got {length:g}")
        load = entry.get("max_concurrency")
        self.runs.append(
            Group(
                label=f"{entry.get('dataset_name') or 'run'} {len(self.runs) + 1}",
                batch=load if isinstance(load, int) and not isinstance(load, bool) else None,
                acceptance_length=length,
                tokens=count(entry.get("total_output_tokens"), "total_output_tokens"),
                tokens_per_s=number(entry.get("output_throughput"), "output_throughput"),
            )
        )
        return True

    def result(self) -> EngineCounts | None:
        """The runs; one length only where there is one."""
        return _served(self.runs)


def _served(runs: list[Group]) -> EngineCounts | None:
    if not runs:
        return None
    notes = ["the run states neither rounds nor drafted nor accepted tokens: null"]
    if len(runs) > 1:
        notes.append(f"{len(runs)} runs are given: see groups for each")
    lengths = {r.acceptance_length for r in runs}
    tokens = [r.tokens for r in runs]
    return engine_counts(
        "sglang",
        "sglang-bench-serving",
        definition=_DEFINITION,
        acceptance_length=lengths.pop() if len(lengths) == 1 else None,
        tokens=None if None in tokens else sum(t or 0 for t in tokens),
        groups=tuple(runs) if len(runs) > 1 else (),
        intervals=len(runs),
        notes=notes,
    )
