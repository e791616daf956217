"""Drafts of one target in order, with how often each is the fastest among the draws."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .. import parts
from ..answer import Answer
from ..table import Column, Table, estimate, percent, span

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..calibrate.doors.acceptance import AcceptanceSource
    from ..calibrate.doors.costs import CostSource, PlainTimes
    from ..sim.known import KnownDrafts
    from ..sim.next_measurement import Next
    from ..sim.ranking import DraftRanking, RankedDraft, Ranking


# The column that an objective orders drafts by; the others order by the mean that is printed.
ORDERS = {"safe": "worst tenth, the least first", "regret": "time lost, the least first"}


@dataclass(frozen=True, repr=False)
class RankedDrafts(Answer):
    """Drafts of a target, best first; see `howspec.rank`. level: of the intervals."""

    SCHEMA = "ranking"
    VERSION = 2

    found: DraftRanking
    level: float
    inputs: Mapping[str, object]

    @property
    def best(self) -> str | None:
        """The best draft at the first batch, None where none pays."""
        return _best(self.found.rankings[0])

    @property
    def order(self) -> tuple[str, ...]:
        """Names of the drafts at the first batch, best first."""
        return tuple(d.draft.called for d in self.found.rankings[0].drafts)

    @property
    def notes(self) -> tuple[str, ...]:
        return self.found.notes

    def _next(self) -> Next | None:
        from ..sim.next_measurement import next_of_ranking

        return next_of_ranking(self.found, level=self.level)

    def data(self) -> Mapping[str, object]:
        found = self.found
        return {
            **self._entry(found.rankings[0]),
            "by_batch": [{"batch": r.batch, **self._entry(r)} for r in found.rankings],
            "target": parts.model_entry(found.pair.target),
            "setting": parts.setting_entry(found.pair, found.costs),
            "objective": parts.objective_entry(found.rankings[0].drafts[0].choice.objective),
            "parts": {"acceptance": found.acceptance, "cost": found.costs.kind},
            "inputs": self.inputs, "notes": self.notes,
        }  # fmt: skip

    def _entry(self, ranking: Ranking) -> Mapping[str, object]:
        return {
            "best": _best(ranking),
            "order": [self._draft(d) for d in ranking.drafts],
            "probability_none_pays": ranking.probability_plain,
            "probability_within_5_percent": ranking.drafts[0].probability_within,
            "expected_regret": ranking.drafts[0].expected_regret,
        }

    def _draft(self, ranked: RankedDraft) -> Mapping[str, object]:
        choice = ranked.choice
        speedup = choice.interval
        more: dict[str, object] = {}
        if not ranked.fits:
            more["if_it_fitted"] = {"gamma": choice.gamma, "speedup": speedup}
            speedup = choice.off
        return more | {
            "draft": ranked.draft.called, "model": parts.model_entry(ranked.draft),
            "gamma": choice.gamma if ranked.fits else 0, "speedup": speedup,
            "probability_best": ranked.probability_best,
            "probability_within_5_percent": ranked.probability_within,
            "expected_regret": ranked.expected_regret, "score": ranked.score,
            "probability_gain": choice.probability_gain if ranked.fits else 0.0,
            "alpha": parts.interval_of(ranked.alpha, self.level),
            "cost_ratio": parts.interval_of(ranked.cost_ratio, self.level), "fits": ranked.fits,
            "memory": None if ranked.memory is None else ranked.memory.line,
        }  # fmt: skip

    def headline(self) -> str:
        return self._line(self.found.rankings[0])

    def _line(self, ranking: Ranking) -> str:
        best, costs = ranking.drafts[0], self.found.costs
        where = [f"batch {ranking.batch:g}", costs.device, f"stack {costs.stack or 'not known'}"]
        at = ", ".join(w for w in where if w)
        if not (best.fits and best.choice.gamma):
            why = "" if best.fits else ": none of them fits in memory"
            return f"NO: do not speculate with any of them{why}; {at}"
        return (
            f"best: {best.draft.called}, gamma {best.choice.gamma}, "
            f"{parts.safe(best.probability_within, 'the best draft')}; "
            f"{parts.stake(best.expected_regret)}; {at}"
        )

    def blocks(self) -> Iterator[str | Table]:
        for i, ranking in enumerate(self.found.rankings):
            if i:
                yield self._line(ranking)
            yield self._table(ranking)
        objective = self.found.rankings[0].drafts[0].choice.objective
        yield parts.objective_line(objective)
        yield f"in the order of: {ORDERS.get(objective, 'speed-up')}"
        if self.found.acceptance == self.found.costs.kind == "predicted":
            yield parts.shares_line()

    def _table(self, ranking: Ranking) -> Table:
        drafts = ranking.drafts
        choices = [d.choice if d.fits else None for d in drafts]
        alphas = [parts.interval_of(d.alpha, self.level) for d in drafts]
        ratios = [parts.interval_of(d.cost_ratio, self.level) for d in drafts]
        return Table((
            Column("draft", [*(d.draft.called for d in drafts), "none"]),
            Column("gamma", [*("no room" if c is None else c.gamma for c in choices), 0]),
            Column("speed-up", [*(None if c is None else c.speedup for c in choices), 1.0],
                   ".3f"),
            Column("interval", [*(c.interval if c and c.gamma else None for c in choices), None],
                   span),
            Column("fastest", [*(d.probability_best for d in drafts), ranking.probability_plain],
                   percent),
            Column("time lost", [*(d.expected_regret if d.fits else None for d in drafts), None],
                   parts.lost),
            *parts.asked_column(drafts[0].choice.objective,
                          [*(d.score if d.fits else None for d in drafts), None]),
            Column("alpha", [*alphas, None], estimate),
            Column("cost ratio", [*ratios, None], estimate),
        ))  # fmt: skip

    def draw(self) -> Figure:
        """Speed-up of every draft with its interval, one panel a batch."""
        from ..figures.answers import ranking_bars

        return ranking_bars(self.found.rankings)


def _best(ranking: Ranking) -> str | None:
    best = ranking.drafts[0]
    return best.draft.called if best.fits and best.choice.gamma > 0 else None


def rank(
    target: str,
    drafts: Sequence[str],
    *,
    device: str | None = None,
    acceptance: AcceptanceSource = None,
    costs: CostSource = None,
    plain_ms: PlainTimes = None,
    known_draft: KnownDrafts = None,
    task: str | None = None,
    temperature: float | None = None,
    batch: float | Sequence[float] = 1.0,
    context: float | None = None,
    dtype: str = "",
    stack: str | None = None,
    p_min: float | None = None,
    gamma_max: int | None = None,
    objective: str | None = None,
    level: float = 0.9,
    seed: int = 0,
    online: bool = False,
) -> RankedDrafts:
    """Rank drafts of a target, each at its best gamma: models of their own and heads alike.

    Acceptance and costs are predicted with draws in common: one task, one family and one machine
    for all drafts, so that what is not known of these does not blur the order. drafts: names, with
    a number format as in ``Qwen2.5-1.5B:q4`` where it is not that of the target. acceptance, costs:
    records that hold the drafts, where they were measured. batch: one or several. Other arguments
    and errors as of `howspec.predict`.
    """
    inputs = parts.asked(locals(), rank)
    from ..calibrate.doors import Deployment
    from ..sim.choice import check_objective
    from ..sim.known import Sources
    from ..sim.ranking import rank_drafts

    batches = (float(batch),) if isinstance(batch, int | float) else tuple(map(float, batch))
    at = Deployment(
        target, None, device, dtype, "", stack, 1.0, context, task, temperature, online=online,
        p_min=p_min,
    )  # fmt: skip
    found = rank_drafts(
        at, (drafts,) if isinstance(drafts, str) else tuple(drafts),
        Sources(acceptance, costs=costs, plain_ms=plain_ms, known_draft=known_draft),
        batches=batches, gamma_max=gamma_max, objective=check_objective(objective), level=level,
        seed=seed,
    )  # fmt: skip
    return RankedDrafts(found, level, inputs)
