"""What passes and rounds of a target and its drafts take, measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..measured import MeasuredRecord, Progress, quiet, several
from ..parts import asked
from ..table import Column, Table


@dataclass(frozen=True, repr=False)
class MeasuredCosts(MeasuredRecord):
    """Times of passes and rounds; see `howspec.measure_costs`. target: its name in the record."""

    SCHEMA = "measured_costs"

    target: str

    @property
    def passes(self) -> list[dict[str, Any]]:
        """One row a pass: median, quartiles, cost ratio, time over that of one token."""
        from ..calibrate.measure.tables import cost_rows

        return cost_rows(self.points, target=self.target)

    @property
    def rounds(self) -> list[dict[str, Any]]:
        """One row a timed round, in seconds and in plain steps."""
        from ..calibrate.measure.tables import round_rows

        return round_rows(self.points)

    @property
    def notes(self) -> tuple[str, ...]:
        from ..calibrate.measure.tables import cost_notes

        return (*super().notes, *cost_notes([*self.passes, *self.rounds]))

    def rows(self) -> Mapping[str, object]:
        drafts = [r["model"] for r in self.passes if r["model"] != self.target]
        return {
            "target": self.target, "drafts": list(dict.fromkeys(drafts)), "passes": self.passes,
            "rounds": self.rounds,
        }  # fmt: skip

    def shown(self) -> Iterator[str | Table]:
        passes, rounds = self.passes, self.rounds
        drafts = [{**r, "cost_ratio": None} if r["model"] == self.target else r for r in passes]
        yield _table(drafts, ("model", "batch", "context", "mode", "tokens"),
                     {"cost_ratio": "c", "verify_ratio": "V(n)/V(1)"}, tokens="n")  # fmt: skip
        if rounds:
            yield _table(rounds, ("draft", "batch", "context", "mode", "gamma"),
                         {"plain_steps": "plain steps"}, draft="rounds of")  # fmt: skip


def _table(
    rows: Sequence[Mapping[str, Any]], at: Sequence[str], ratios: Mapping[str, str], **named: str
) -> Table:
    spread = [
        f"{1e3 * r['low_s']:.3g} to {1e3 * r['high_s']:.3g}" if "low_s" in r else None for r in rows
    ]
    return Table((
        *(Column(named.get(n, n), [r[n] for r in rows]) for n in at),
        Column("ms", [1e3 * r["median_s"] if "median_s" in r else None for r in rows], ".3g"),
        Column("quartiles", spread),
        *(Column(name, [r.get(key) for r in rows], ".3g") for key, name in ratios.items()),
    ))  # fmt: skip


def measure_costs(
    target: str,
    drafts: Sequence[str] = (),
    *,
    out: str | Path,
    tokens: Sequence[int] = (*range(1, 10), 12, 16, 24, 33),
    batch: int | Sequence[int] = 1,
    context: int | Sequence[int] = 128,
    gamma: int | Sequence[int] = tuple(range(1, 9)),
    mode: str = "auto",
    repeats: int = 15,
    warmup: int = 3,
    random_weights: bool = False,
    device: str = "auto",
    dtype: str = "auto",
    trust_remote_code: bool = False,
    seed: int = 0,
    stage_seconds: float | None = None,
    progress: Progress | None = None,
) -> MeasuredCosts:
    """Time passes of new tokens, c = draft / target and V(n) / V(1), and whole rounds of drafts.

    target, drafts: names of the hub or of the bundled families, folders, or .gguf files;
    random_weights: drawn instead of loaded, times hold. out: the record, a .json file or its
    folder, which every function takes as its costs; a second call with the same ``out`` goes on.
    tokens: new tokens of a pass; batch: sequences of a pass; context: tokens before it; gamma: of
    the rounds that are timed as a whole, () for none. mode: eager, graph (CUDA only), both, or
    auto, both on CUDA. repeats, warmup: passes of a point. device: auto, cpu or cuda; dtype: auto,
    float32, bfloat16 or float16. seed: of random weights; stage_seconds: after which it stops
    between two points; progress: called with (name, done, of). Raises ValueError for what cannot be
    measured or differs from the record, ModuleNotFoundError without howspec[calibrate].
    """
    inputs = asked(locals(), measure_costs)
    from ..calibrate.measure.calls import measured_costs
    from ..calibrate.measure.plans import PassPlan
    from ..calibrate.measure.sources import model_called

    rounds = several(gamma) if drafts else ()
    plan = PassPlan(
        tuple(tokens), several(batch), several(context), rounds, mode, repeats, warmup
    )  # fmt: skip
    found = measured_costs(
        target, drafts, plan, out=out, random_weights=random_weights, seed=seed, device=device,
        dtype=dtype, trust_remote_code=trust_remote_code, stage_seconds=stage_seconds,
        progress=progress or quiet,
    )  # fmt: skip
    return MeasuredCosts(found, inputs, model_called(target))
