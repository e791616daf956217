"""What a target accepts of its drafts, measured in rounds and told from overlap."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..measured import MeasuredRecord, Progress, at_place, quiet
from ..parts import asked
from ..table import Column, Table

if TYPE_CHECKING:
    from ..calibrate.measure.tables import AcceptanceRow

_POSITIONS = 8  # as many as fit a line; the rest is in the JSON
_COMPARED = 8  # requests from which on a difference in standard errors says something
_COLUMNS = (
    "T: temperature; walked: tokens per round told from overlap along the target's text; z: real "
    "rounds less that, in standard errors; a1, a2..: rate of the k-th token, if reached"
)


@dataclass(frozen=True, repr=False)
class MeasuredAcceptance(MeasuredRecord):
    """Acceptance of drafts at temperatures; see `howspec.measure_acceptance`."""

    SCHEMA = "measured_acceptance"

    @property
    def acceptance(self) -> list[AcceptanceRow]:
        """One row for each draft and temperature."""
        from ..calibrate.measure.tables import acceptance_table

        return [] if self.found.record is None else acceptance_table(self.found.record)

    def rows(self) -> Mapping[str, object]:
        return {"acceptance": self.acceptance}

    def shown(self) -> Iterator[str | Table]:
        rows = self.acceptance
        compared = [r.rounds_against_overlap for r in rows]
        places = range(min(_POSITIONS, max((len(r.alpha_by_position) for r in rows), default=0)))
        yield Table((
            Column("draft", [r.draft for r in rows]),
            Column("T", [r.temperature for r in rows], "g"),
            Column("rounds", [r.rounds for r in rows]),
            Column("tokens/round", [r.tokens_per_round for r in rows], ".3f"),
            Column("walked", [c and c.walked for c in compared], ".3f"),
            Column("z", [c.z if c and c.requests >= _COMPARED else None for c in compared],
                   "+.1f"),
            Column("overlap", [r.mean_overlap for r in rows], ".3f"),
            *(Column(f"a{k + 1}", [at_place(r.alpha_by_position, k) for r in rows], ".3f")
              for k in places),
        ))  # fmt: skip
        yield _COLUMNS


def measure_acceptance(
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
    gamma: int = 8,
    temperature: float | Sequence[float] = (0.0, 0.7, 1.0),
    batch: int = 16,
    graphs: bool = False,
    device: str = "auto",
    dtype: str = "auto",
    trust_remote_code: bool = False,
    seed: int = 0,
    stage_seconds: float | None = None,
    progress: Progress | None = None,
) -> MeasuredAcceptance:
    """Measure acceptance: real speculative rounds, and overlap along the target's own text.

    The two are drawn apart and must agree: the answer has both, and by how many standard errors
    they differ. target, drafts, device, dtype, trust_remote_code, stage_seconds, progress and
    errors as of `howspec.measure_costs`; or family: the folder of a trained one. out: the record,
    which every function takes as its acceptance; a second call with the same ``out`` goes on.
    prompts: a .jsonl, with the text in ``field``, or a .txt, .gz or .xz too, default built-in ones;
    requests: prompts of each domain, default all, of a family 4; prompt_tokens: that they are cut
    to; new_tokens: of every request. gamma: draft tokens of a round; temperature: one or several;
    batch: requests decoded together; graphs: CUDA graphs for the passes; seed: of all draws.
    """
    inputs = asked(locals(), measure_acceptance)
    from ..calibrate.measure.calls import measured_pair
    from ..calibrate.measure.plans import AcceptancePlan

    several = (temperature,) if isinstance(temperature, int | float) else tuple(temperature)
    plan = AcceptancePlan(several, gamma, new_tokens, batch, seed, graphs)
    found = measured_pair(
        plan, out=out, stage_seconds=stage_seconds, progress=progress or quiet, target=target,
        drafts=drafts, family=family, prompts=prompts, field=field, requests=requests,
        prompt_tokens=prompt_tokens, device=device, dtype=dtype,
        trust_remote_code=trust_remote_code,
    )  # fmt: skip
    return MeasuredAcceptance(found, inputs)
