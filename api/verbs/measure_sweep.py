"""Latency of plain decoding, SpS and AsG over drafts and numbers of draft tokens, measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..measured import MeasuredRecord, Progress, quiet, several
from ..parts import asked
from ..table import Column, Table

if TYPE_CHECKING:
    from ..calibrate.measure.tables import SweepRow


@dataclass(frozen=True, repr=False)
class MeasuredSweep(MeasuredRecord):
    """Speed-ups over plain decoding of the same prompts; see `howspec.measure_sweep`."""

    SCHEMA = "measured_sweep"

    @property
    def sweep(self) -> list[SweepRow]:
        """One row for each draft, method, gamma and batch; plain decoding first."""
        from ..calibrate.measure.tables import sweep_table

        return [] if self.found.record is None else sweep_table(self.found.record)

    def rows(self) -> Mapping[str, object]:
        return {"sweep": self.sweep}

    def shown(self) -> Iterator[str | Table]:
        rows = self.sweep
        lines: dict[tuple[int, str, str], dict[int, SweepRow]] = {}
        for r in rows:
            lines.setdefault((r.batch, r.draft or "-", r.method), {})[r.gamma] = r
        some = [next(iter(by_gamma.values())) for by_gamma in lines.values()]
        plain = [by_gamma.get(0) for by_gamma in lines.values()]
        yield Table(
            (
                Column("draft", [draft for _, draft, _ in lines]),
                Column("method", [method for *_, method in lines]),
                Column("batch", [batch for batch, *_ in lines]),
                Column("prompts", [r.blocks for r in some]),
                Column("latency_s", [p and p.latency_s for p in plain], ".4f"),
                *(Column(f"K = {g}", [_cell(of.get(g)) for of in lines.values()])
                  for g in sorted({r.gamma for r in rows if r.gamma})),
            ),
            title="speed-up over plain decoding of the same prompts, with its standard error",
        )  # fmt: skip


def _cell(row: SweepRow | None) -> str | None:
    if row is None:
        return None
    spread = "" if row.spread != row.spread else f" ± {row.spread:.2f}"
    return f"{row.speedup:.2f}{spread}"


def measure_sweep(
    target: str | None = None,
    drafts: Sequence[str] = (),
    *,
    out: str | Path,
    family: str | Path | None = None,
    prompts: str | Path | None = None,
    field: str = "prompt",
    requests: int | None = None,
    prompt_tokens: int = 64,
    new_tokens: int = 96,
    gamma_max: int = 7,
    temperature: float = 1.0,
    batch: int | Sequence[int] = 1,
    assisted: int = 4,
    plain_repeats: int = 4,
    graphs: bool = False,
    device: str = "auto",
    dtype: str = "auto",
    trust_remote_code: bool = False,
    seed: int = 0,
    stage_seconds: float | None = None,
    progress: Progress | None = None,
) -> MeasuredSweep:
    """Measure the latency of plain decoding, SpS and AsG over drafts and numbers of draft tokens.

    For each prompt all of them take turns in an order of its own, with plain decoding in between,
    so that the machine's drift does not favour one. gamma_max: SpS and AsG run with 1 to so many
    draft tokens; batch: one or several; assisted: prompts that AsG runs on, 0 to leave it out;
    plain_repeats: turns of plain decoding for each prompt; seed: of all draws and of the order.
    Other arguments and errors as of `howspec.measure_acceptance`.
    """
    inputs = asked(locals(), measure_sweep)
    from ..calibrate.measure.calls import measured_pair
    from ..calibrate.measure.plans import SweepPlan

    if gamma_max < 1:
        raise ValueError(f"gamma_max must be a whole number >= 1, got {gamma_max}")
    gammas = tuple(range(1, gamma_max + 1))
    plan = SweepPlan(
        gammas=gammas, assisted_gammas=gammas, new_tokens=new_tokens, temperature=temperature,
        batches=several(batch), assisted_blocks=assisted, plain_repeats=plain_repeats, seed=seed,
        graphs=graphs,
    )  # fmt: skip
    found = measured_pair(
        plan, out=out, stage_seconds=stage_seconds, progress=progress or quiet, target=target,
        drafts=drafts, family=family, prompts=prompts, field=field, requests=requests,
        prompt_tokens=prompt_tokens, device=device, dtype=dtype,
        trust_remote_code=trust_remote_code,
    )  # fmt: skip
    return MeasuredSweep(found, inputs)
