r"""Times of whole rounds and plain steps, pass by pass as they follow one another.

A pass that is timed over and over finds its weights in the cache; in a round the draft finds what
the target left there, and the other way round. On two CPU cores that makes a small draft's pass
slower by up to 80 % (measured on the bundled ladder), so a prediction of latency needs both: passes
alone for their shape in tokens, batch and context, and the parts of rounds for their level. The
rounds are those of `rounds`, run from random tokens and a cache of random numbers: what is accepted
decides how many rounds a text takes, and hardly what one of them takes.

Every draft has plain steps of the target of its own, among its rounds: a shared machine drifts, and
their ratio does not.
"""

from __future__ import annotations

import math
import random
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from .cost_work import Point, PointJournal, let_go, rounded
from .memory import free_bytes, out_of_memory, pass_bytes, shortage
from .pairs import LoadedModel
from .rounds import SpeculativeRounds, pick, uniforms_of
from .runner import Runner
from .state import MachineState
from .stopwatch import Stopwatch

ROUND, STEP = "round", "step"
STEPS = 4  # consecutive plain steps of one timing, behind an untimed one
STEP_TURNS = 3  # timings of plain steps in a turn through all gammas
# What a round's time is made of, in the order in which it is spent.
PARTS = ("first_draft_s", "draft_s", "draw_s", "verify_s", "rule_s", "other_s")


@dataclass(frozen=True)
class RoundPlan:
    """Which rounds to time: gammas, (batch, context) shapes, modes; repeats: times of each.

    temperature: of the draws and of the rule.
    """

    gammas: tuple[int, ...] = (1, 2, 3, 4, 5, 6, 7, 8)
    shapes: tuple[tuple[int, int], ...] = ((1, 128),)
    modes: tuple[str, ...] = ("eager",)
    repeats: int = 12
    temperature: float = 1.0

    def __post_init__(self) -> None:
        for name, values, least in (
            ("gammas", self.gammas, 1),
            ("batches", [b for b, _ in self.shapes], 1),
            ("contexts", [c for _, c in self.shapes], 2),
            ("repeats", [self.repeats], 1),
        ):
            if not values or min(values) < least:
                raise ValueError(f"{name} must be at least {least}, given {list(values)}")
        strange = [m for m in self.modes if m not in ("eager", "graph")]
        if strange or not self.modes:
            raise ValueError(f"modes must be of eager, graph, given {list(self.modes)}")

    def count(self, drafts: int) -> int:
        """Points of a full measurement: every round, and the plain steps beside each draft."""
        return drafts * len(self.shapes) * len(self.modes) * (len(self.gammas) + 1)


def measure_rounds(
    target: LoadedModel,
    drafts: Mapping[str, LoadedModel],
    journal: PointJournal,
    *,
    plan: RoundPlan = RoundPlan(),
    seconds_left: Callable[[], float] = lambda: math.inf,
    progress: Callable[[str, int, int], None] = lambda what, done, total: None,
    clock: Callable[[], float] = time.perf_counter,
) -> bool:
    """Time the rounds of every draft that the journal (kind costs) lacks; whether all are there.

    A point of operation ``round`` has the draft as its model, gamma as its tokens, the time of
    every round in times_s and, in the same order, its `PARTS` and ``behind``, the tokens that the
    draft's first pass read; one of ``step`` has the mean of `STEPS` plain steps in each of its
    times_s. Stops between two drafts where seconds_left() does not cover another.
    """
    state = MachineState(target.device)
    slowest_s, number = 0.0, 0
    for shape in plan.shapes:
        for mode in plan.modes:
            for draft in drafts.values():
                number += len(plan.gammas) + 1
                progress("rounds", number, plan.count(len(drafts)))
                pair = _Pair(target, draft, plan, shape, mode, clock)
                if not pair.missing(journal):
                    continue
                before = seconds_left()
                if before <= slowest_s:
                    return False
                for point in pair.points():
                    measured = "times_s" in point
                    journal.append(point | (state.read() if measured else {}))
                spent = before - seconds_left()
                slowest_s = max(slowest_s, spent if math.isfinite(spent) else 0.0)
    return True


class _Pair:
    """The rounds of one draft at one batch, context and mode, timed in turns."""

    def __init__(
        self,
        target: LoadedModel,
        draft: LoadedModel,
        plan: RoundPlan,
        shape: tuple[int, int],
        mode: str,
        clock: Callable[[], float],
    ) -> None:
        self.target, self.draft, self.plan, self.mode = target, draft, plan, mode
        self.batch, self.context = shape
        self.clock = clock
        self.order = random.Random(f"{draft.name} {shape} {mode}")
        self.vocabulary = min(target.logits, draft.logits)

    def missing(self, journal: PointJournal) -> bool:
        """Whether a point is not in the journal; all of them are timed together."""
        place = (self.batch, self.context, self.mode)
        wanted = {(ROUND, self.draft.name, g, *place) for g in self.plan.gammas}
        return not wanted | {(STEP, self.draft.name, 1, *place)} <= journal.done

    def points(self) -> list[Point]:
        """Times, or the reason why there are none, of the plain steps and of every gamma."""
        reason = self._obstacle()
        times: dict[int, dict[str, list[float]]] = {}
        if reason is None:
            try:
                times = self._times()
            except (RuntimeError, MemoryError) as error:
                if not out_of_memory(error):
                    raise
                reason = "out of memory"
        let_go()
        return [
            self._point(gamma) | ({"error": reason} if reason is not None else times[gamma])
            for gamma in (0, *self.plan.gammas)
        ]

    def _point(self, gamma: int) -> Point:
        return {
            "operation": ROUND if gamma else STEP,
            "model": self.draft.name,
            "target": self.target.name,
            "tokens": gamma or 1,
            "batch": self.batch,
            "context": self.context,
            "mode": self.mode,
            "temperature": self.plan.temperature,
        }

    def _obstacle(self) -> str | None:
        needed = sum(
            pass_bytes(
                m.model,
                batch=self.batch,
                context=self.context,
                tokens=max(self.plan.gammas) + STEPS,
                graphs=self.mode == "graph",
            )
            for m in (self.target, self.draft)
        )
        return shortage(needed, free_bytes(self.target.device))

    @torch.inference_mode()
    def _times(self) -> dict[int, dict[str, list[float]]]:
        room = self.context + max(*self.plan.gammas, STEPS + 1) + 2
        graphs = self.mode == "graph"
        target, draft = (
            Runner(m.model, batch=self.batch, capacity=room, graphs=graphs)
            for m in (self.target, self.draft)
        )
        for runner in (target, draft):
            runner.occupy(self.context)
        rounds = {g: self._rounds(target, draft, g) for g in self.plan.gammas}
        found: dict[int, dict[str, list[float]]] = {
            g: defaultdict(list) for g in (0, *self.plan.gammas)
        }
        turns = [*self.plan.gammas, *[0] * STEP_TURNS]
        for gamma in (0, *self.plan.gammas):
            self._warm(target, rounds.get(gamma))
        for _ in range(self.plan.repeats):
            self.order.shuffle(turns)
            for gamma in turns:
                if gamma:
                    self._turn(rounds[gamma], found[gamma])
                else:
                    found[0]["times_s"].append(round(self._steps(target), 9))
        return found

    def _rounds(self, target: Runner, draft: Runner, gamma: int) -> SpeculativeRounds:
        made = SpeculativeRounds(target, draft, gamma, self.plan.temperature, gamma,
                                 self.vocabulary)  # fmt: skip
        made.hold_laws(self.vocabulary)
        return made

    def _warm(self, target: Runner, rounds: SpeculativeRounds | None) -> None:
        if rounds is None:
            self._steps(target)
            return
        for behind in self._behind():
            rounds.place(self.context, self._pending(), behind=behind)
            rounds.round()

    def _turn(self, rounds: SpeculativeRounds, found: dict[str, list[float]]) -> None:
        """An untimed round, which leaves the caches as rounds do, and one for each start."""
        starts = self._behind()
        for number, behind in enumerate((starts[0], *starts)):
            rounds.place(self.context, self._pending(), behind=behind)
            watch = Stopwatch(self.target.device, self.clock)
            rounds.round(watch)
            watch.mark("other_s")
            if number:
                parts = watch.seconds()
                found["behind"].append(behind)
                found["times_s"].append(round(sum(parts.values()), 9))
                for part in PARTS:
                    if part in parts:
                        found[part] += rounded([parts[part]])

    def _steps(self, target: Runner) -> float:
        """Mean time of plain steps, the first untimed [s]."""
        pending = self._pending()[:, 1]
        target.rollback(torch.full((self.batch,), self.context, device=target.device),
                        most=self.context)  # fmt: skip
        u = uniforms_of(self.batch, STEPS + 1, self.plan.temperature, self._generator())
        for step in range(STEPS + 1):
            if step == 1:
                watch = Stopwatch(target.device, self.clock)
            logits = target.extend(pending[:, None], clone=False)[:, -1, : self.vocabulary]
            pending, _ = pick(logits, self.plan.temperature, u, step)
        watch.mark(STEP)
        return watch.seconds()[STEP] / STEPS

    def _behind(self) -> tuple[int, ...]:
        """Tokens that the draft's first pass reads: one or two, in a batch always two."""
        return (1, 2) if self.batch == 1 else (2,)

    def _pending(self) -> torch.Tensor:
        tokens = [
            [self.order.randrange(self.vocabulary) for _ in range(2)] for _ in range(self.batch)
        ]
        return torch.tensor(tokens, device=self.target.device)

    def _generator(self) -> torch.Generator:
        return torch.Generator(self.target.device).manual_seed(0)
