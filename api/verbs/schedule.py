"""Gamma by batch size, as a table or in an engine's own words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..answer import Answer
from ..parts import asked, objective_entry, objective_line, pair_entry, part_lines
from ..table import Column, Table, span

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..calibrate.doors.acceptance import AcceptanceSource
    from ..calibrate.doors.costs import CostSource, PlainTimes
    from ..sim.emit.emission import Emission
    from ..sim.next_measurement import Next
    from ..sim.pair_schedule import PairSchedule


@dataclass(frozen=True, repr=False)
class GammaSchedule(Answer):
    """Gamma by batch size; see `howspec.schedule`. emission: in an engine's words, or None."""

    SCHEMA = "schedule"
    VERSION = 2

    found: PairSchedule
    emission: Emission | None
    inputs: Mapping[str, object]

    def gamma(self, batch: int) -> int:
        """The gamma of a batch size; beyond the largest one, that of the largest."""
        return self.found.made.gamma(batch)

    @property
    def notes(self) -> tuple[str, ...]:
        more = () if self.emission is None else self.emission.notes
        return tuple(dict.fromkeys((*more, *self.found.notes)))

    def _next(self) -> Next | None:
        from ..sim.next_measurement import next_of_pair

        laws, made = self.found.laws, self.found.made
        if laws is None:
            return None
        level = made.ranges[0].speedup.level
        middles = {round((r.first * r.last) ** 0.5) for r in made.ranges}
        return next_of_pair(
            laws, objective=self.found.made.objective, level=level, batches=sorted(middles)
        )

    def emit(
        self,
        engine: str,
        *,
        method: str | None = None,
        model: str | None = None,
        batch: int = 1,
        adapt: bool = False,
        older: bool = False,
    ) -> Emission:
        """The schedule in the words of vllm, sglang, tensorrt-llm or llama.cpp.

        method, model: of the draft in the engine's words, by default what the named draft is;
        batch: for llama.cpp, which takes one; adapt: SGLang chooses among likely gammas; older:
        words of older TensorRT-LLM and llama.cpp. Raises ValueError for what an engine cannot say.
        """
        from ..sim.emit import emit

        return emit(
            self.found, engine, method=method, model=model, batch=batch, adapt=adapt, older=older
        )

    def data(self) -> Mapping[str, object]:
        made, laws, emission = self.found.made, self.found.laws, self.emission
        kinds = (
            ("measured", "measured") if laws is None else (laws.acceptance.kind, laws.costs.kind)
        )
        return {
            "schedule": [
                {
                    "first_batch": r.first, "last_batch": r.last, "gamma": r.gamma,
                    "speedup": r.speedup, "best_gamma": r.best, "gamma_window": r.window,
                    "loss": r.loss, "likely_gammas": likely,
                }
                for r, likely in zip(made.ranges, made.likely, strict=True)
            ],
            "best_gamma_by_batch": made.best_gamma, "best_speedup_by_batch": made.best_speedup,
            "gamma_max": made.gamma_max, "contexts": made.contexts, "tolerance": made.tolerance,
            "acceptance_from": self.found.measured if laws is None else laws.acceptance.given,
            "costs_from": self.found.measured if laws is None else laws.costs.given,
            "engine": None if emission is None else emission.engine,
            "command": None if emission is None else emission.command,
            "environment": {} if emission is None else emission.environment,
            "files": {} if emission is None else emission.files,
            "config": None if emission is None else emission.config,
            "objective": objective_entry(made.objective),
            "parts": {"acceptance": kinds[0], "cost": kinds[1]},
            "pair": pair_entry(self.found.pair), "inputs": self.inputs, "notes": self.notes,
        }  # fmt: skip

    def headline(self) -> str:
        ranges = self.found.made.ranges
        if all(r.gamma == 0 for r in ranges):
            return f"NO: speculation off at every batch size up to {ranges[-1].last}"
        parts = [
            f"{'off' if r.gamma == 0 else f'gamma {r.gamma}'} at batch {_range(r.first, r.last)}"
            for r in ranges
        ]
        return "; ".join(parts)

    def blocks(self) -> Iterator[str | Table]:
        if self.found.laws is None:
            yield f"speeds: measured ({self.found.measured})"
        else:
            yield from part_lines(self.found.laws, None, None)
        yield objective_line(self.found.made.objective)
        ranges = self.found.made.ranges
        yield Table((
            Column("batch", [_range(r.first, r.last) for r in ranges]),
            Column("gamma", [r.gamma for r in ranges], lambda v: f"{v}" if v else "0 (off)"),
            Column("least speed-up", [r.speedup.estimate for r in ranges], ".3f"),
            Column("interval", [r.speedup if r.gamma else None for r in ranges], span),
            Column("within tolerance", [_range(r.window[0], r.window[-1]) if r.window else None
                                        for r in ranges]),
            Column("best", [_range(*r.best) for r in ranges]),
            Column("loss", [r.loss for r in ranges], _loss),
        ))  # fmt: skip

    def to_paste(self) -> Iterator[tuple[str, str]]:
        if self.emission is not None:
            yield f"For {self.emission.engine}", self.emission.text()

    def draw(self) -> Figure:
        """Gamma and speed-up against the batch size."""
        from ..figures.answers import schedule_steps

        return schedule_steps(self.found.made)


def _loss(value: object) -> str:
    assert isinstance(value, float)
    return f"{100 * value:.1f} %"


def _range(first: int, last: int) -> str:
    return f"{first}-{last}" if last > first else f"{first}"


def schedule(
    *,
    target: str | None = None,
    draft: str | None = None,
    device: str | None = None,
    acceptance: AcceptanceSource = None,
    costs: CostSource = None,
    acceptance_length: str | float | None = None,
    gamma: int | None = None,
    alpha_tokens: float | None = None,
    decay: float = 1.0,
    verify_slope: float = 0.0,
    overhead: float = 0.0,
    overhead_ms: float = 0.0,
    plain_ms: PlainTimes = None,
    sweep: str | None = None,
    task: str | None = None,
    temperature: float | None = None,
    context: float | Sequence[float] | None = None,
    dtype: str = "",
    stack: str | None = None,
    batch_max: int | None = None,
    gamma_max: int | None = None,
    tolerance: float = 0.01,
    engine: str | None = None,
    method: str | None = None,
    model: str | None = None,
    batch: int = 1,
    adapt: bool = False,
    older: bool = False,
    objective: str | None = None,
    level: float = 0.9,
    seed: int = 0,
    online: bool = False,
) -> GammaSchedule:
    """Make a schedule: the best gamma by batch size, with few changes, 0 where nothing pays.

    context: cached tokens of a sequence, one or several weighed alike. batch_max: largest batch,
    default 256 or what was measured or fits. tolerance: share of speed that fewer changes may cost;
    a gain within it is none, and speculation is off. sweep: a table of measured speeds by gamma and
    batch, in place of acceptance and costs. engine: say it in this engine's words too, see
    `GammaSchedule.emit`; for vllm, gamma 0 carries the price of holding a drafter. Other arguments
    and errors as of `howspec.predict`.
    """
    inputs = asked(locals(), schedule)
    from ..calibrate.doors import Deployment
    from ..sim.choice import check_objective
    from ..sim.emit import check_engine
    from ..sim.known import Sources
    from ..sim.laws import both_laws
    from ..sim.pair_schedule import pair_schedule

    check_engine(engine, batch=batch, adapt=adapt, older=older)
    contexts = _contexts(context)
    at = Deployment(
        target, draft, device, dtype, "", stack, 1.0, max(contexts, default=None), task,
        temperature, online=online,
    )  # fmt: skip
    given = Sources(
        acceptance, acceptance_length, gamma, alpha_tokens, decay, costs, verify_slope, overhead,
        overhead_ms, plain_ms,
    )  # fmt: skip
    falling, goal = engine == "tensorrt-llm", check_objective(objective)
    if sweep is not None:
        from ..sim.pair_schedule import grid_schedule

        if given != Sources() or device is not None or gamma_max is not None:
            raise ValueError(
                "a sweep holds what was measured: no acceptance, costs or device with it"
            )
        found = grid_schedule(
            sweep, at, batch_max=batch_max, tolerance=tolerance, objective=goal,
            level=level, seed=seed, falling=falling,
        )  # fmt: skip
    else:
        given.check_gamma()
        laws = both_laws(at, given, gamma_max=gamma_max, seed=seed)
        found = pair_schedule(
            laws, batch_max=batch_max, contexts=contexts, tolerance=tolerance,
            objective=goal, level=level, falling=falling, priced=engine == "vllm",
        )  # fmt: skip
    made = GammaSchedule(found, None, inputs)
    if engine is None:
        return made
    emission = made.emit(engine, method=method, model=model, batch=batch, adapt=adapt, older=older)
    return GammaSchedule(found, emission, inputs)


def _contexts(context: float | Sequence[float] | None) -> tuple[float, ...]:
    if context is None:
        return ()
    return (float(context),) if isinstance(context, int | float) else tuple(map(float, context))
