"""The laws of a named pair for a schedule: costs predicted, acceptance too where none was given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .pair_options import DRAWS
from .predict_pair import one_thread

if TYPE_CHECKING:
    from ..calibrate.prior.costs import PredictedCost
    from ..calibrate.prior.pair_acceptance import KnownAcceptance


@dataclass(frozen=True)
class PairOfSchedule:
    """What was asked of a pair, as on the command line; None: not given."""

    target: str | None
    draft: str | None
    device: str | None
    dtype: str = ""
    stack: str | None = None
    task: str | None = None
    temperature: float | None = None

    @property
    def asked(self) -> bool:
        """Whether a pair was named; a draft alone may be one of a record."""
        others = (self.stack, self.task, self.temperature, self.dtype or None)
        return any(v is not None for v in (self.target, self.device, *others))


def pair_laws(
    pair: PairOfSchedule, *, context: float, gamma_max: int, seed: int, acceptance: bool
) -> tuple[PredictedCost, KnownAcceptance | None, tuple[str, ...]]:
    """(costs, acceptance where it is wanted, notes), draw by draw those of `howspec predict`.

    context: of the memory. Raises ValueError where the pair is not named in full or has no room.
    """
    one_thread()
    import numpy as np

    from ..calibrate.models import device as device_of
    from ..calibrate.prior.heads import expected_head, head_costs, head_dtype, named_draft
    from ..calibrate.prior.pair import Load, Use, expected_acceptance, expected_costs, named
    from ..calibrate.prior.pair_acceptance import predicted

    wanted = {"--target": pair.target, "--draft": pair.draft, "--device": pair.device}
    missing = [name for name, value in wanted.items() if value is None]
    if pair.target is None or pair.draft is None or pair.device is None:
        raise ValueError(f"a pair needs {', '.join(wanted)}; missing {' and '.join(missing)}")
    target = named(pair.target)
    draft, head = named_draft(pair.draft, target)
    machine = device_of(pair.device)
    load = Load(
        machine, dtype=pair.dtype, stack=pair.stack or "serving", context=context,
        draft_dtype=head_dtype(target, head, machine, pair.dtype) if head else "",
    )  # fmt: skip
    for_costs, for_acceptance = np.random.default_rng(seed).spawn(2)
    if head is not None:
        law = head_costs(target, draft, load=load, rng=for_costs, draws=DRAWS)
    else:
        law = expected_costs(target, [draft], load=load, rng=for_costs, draws=DRAWS)[0]
    if law.memory is not None and law.memory.largest < 1:
        raise ValueError(law.memory.line)
    if not acceptance:
        return law, None, law.notes
    use = Use(pair.task, pair.temperature)
    if head is not None:
        known = expected_head(
            head, target.called, for_acceptance, task=use.task, temperature=use.temperature,
            positions=gamma_max, draws=DRAWS,
        )  # fmt: skip
        return law, known, law.notes
    forecast = expected_acceptance(
        target, [draft], use=use, dtype=law.dtype, rng=for_acceptance, draws=DRAWS
    )
    return law, predicted(forecast.of(0), positions=gamma_max), law.notes
