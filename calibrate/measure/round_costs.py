r"""Times of whole rounds and plain steps, pass by pass as they follow one another.

A pass that is timed over and over finds its weights in the cache; in a round the draft finds what
the target left there, and the other way round. On two CPU cores that makes a small draft's pass
slower by up to 80 % (measured on the bundled ladder), so a prediction of latency needs both: passes
alone for their shape in tokens, batch and context, and the parts of rounds for their level. The
rounds are those of `rounds`, run from random tokens and a cache of random numbers: what is accepted
decides how many rounds a text takes, and hardly what one of them takes.

Every draft has plain steps of the target of its own among its rounds, and all drafts take turns: a
shared machine drifts, and changes for seconds at a time between states in which passes of few and
of many tokens suffer differently.
"""

from __future__ import annotations

import math
import random
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch

from ..records import Journal
from .cost_blocks import Point, Shape, filled, lacking, rounded
from .device import MachineState, Stopwatch, lack_of_memory, let_go
from .pairs import LoadedModel
from .plans import STEP_TURNS, STEPS, Progress, RoundPlan
from .rounds import SpeculativeRounds, pick, uniforms_of
from .runner import Runner

ROUND, STEP = "round", "step"
KEY = ("operation", "model", "tokens", "batch", "context", "mode")
# What a round's time is made of, in the order in which it is spent.
PARTS = ("first_draft_s", "draft_s", "draw_s", "verify_s", "rule_s", "other_s")


def measure_rounds(
    target: LoadedModel,
    drafts: Mapping[str, LoadedModel],
    journal: Journal,
    *,
    plan: RoundPlan = RoundPlan(),  # noqa: B008 - frozen
    seconds_left: Callable[[], float] = lambda: math.inf,
    progress: Progress = lambda what, done, total: None,
    clock: Callable[[], float] = time.perf_counter,
) -> bool:
    """Time the rounds of every draft that the journal (kind costs) lacks; whether all are there.

    A point of operation ``round`` has the draft as its model, gamma as its tokens, the time of
    every round in times_s and, in the same order, its `PARTS` and ``behind``, the tokens that the
    draft's first pass read; one of ``step`` has the mean of `STEPS` plain steps in each of its
    times_s. At one batch, context and mode all drafts and gammas take turns, `plan.repeats` times,
    and their points are appended together; stops between two such blocks where seconds_left() does
    not cover another.
    """
    state = MachineState(target.device)
    slowest_s, number = 0.0, 0
    for shape in plan.shapes:
        for mode in plan.modes:
            block = _Block(target, drafts, plan, shape, mode, clock)
            missing = block.missing(journal)
            number += len(drafts) * (len(plan.gammas) + 1)
            if missing:
                before = seconds_left()
                if before <= slowest_s:
                    return False
                for point in block.points(missing):
                    if tuple(point[k] for k in KEY) not in journal.done:
                        measured = "times_s" in point
                        journal.append(point | (state.read() if measured else {}))
                spent = before - seconds_left()
                slowest_s = max(slowest_s, spent if math.isfinite(spent) else 0.0)
            progress("rounds", number, plan.count(len(drafts)))
    return True


@dataclass
class _Block:
    """The rounds of all drafts at one batch, context and mode, timed in turns."""

    target: LoadedModel
    drafts: Mapping[str, LoadedModel]
    plan: RoundPlan
    shape: Shape
    mode: str
    clock: Callable[[], float]

    def __post_init__(self) -> None:
        self.batch, self.context = self.shape
        self.room = max(*self.plan.gammas, STEPS + 1) + 2
        self.order = random.Random(f"{self.shape} {self.mode}")

    def missing(self, journal: Journal) -> list[str]:
        """Drafts of which a point is not in the journal; all of theirs are timed together."""
        place = (self.batch, self.context, self.mode)
        found = []
        for name in self.drafts:
            wanted = {(ROUND, name, g, *place) for g in self.plan.gammas}
            if not wanted | {(STEP, name, 1, *place)} <= journal.done:
                found.append(name)
        return found

    def points(self, names: Sequence[str]) -> list[Point]:
        """Times, or the reason why there are none, of the plain steps and of every gamma."""
        pairs: dict[str, _Pair] = {}
        reasons = {
            name: lacking([self.target, self.drafts[name]], self.shape, self.room, self.mode)
            for name in names
        }
        runner: Runner | None = None
        for name in names:
            if reasons[name] is None:
                try:
                    runner = runner or self.runner(self.target)
                    pairs[name] = _Pair(self, runner, self.drafts[name])
                except (RuntimeError, MemoryError) as error:
                    reasons[name] = lack_of_memory(error)
        for _ in range(self.plan.repeats):
            for name in self.order.sample(list(pairs), len(pairs)):
                try:
                    pairs[name].turn()
                except (RuntimeError, MemoryError) as error:
                    reasons[name] = lack_of_memory(error)
                    del pairs[name]
        found = [
            self._point(name, gamma)
            | ({"error": reasons[name]} if name not in pairs else pairs[name].found[gamma])
            for name in names
            for gamma in (0, *self.plan.gammas)
        ]
        pairs.clear()
        let_go()
        return found

    def _point(self, name: str, gamma: int) -> Point:
        return {
            "operation": ROUND if gamma else STEP,
            "model": name,
            "target": self.target.name,
            "tokens": gamma or 1,
            "batch": self.batch,
            "context": self.context,
            "mode": self.mode,
            "temperature": self.plan.temperature,
        }

    def runner(self, model: LoadedModel) -> Runner:
        return filled(model, self.shape, self.room, self.mode)


class _Pair:
    """A target and one draft of a block; found: times and parts by gamma, 0 for plain steps."""

    def __init__(self, block: _Block, target: Runner, draft: LoadedModel) -> None:
        self.target, self.context, self.plan = target, block.context, block.plan
        self.order, self.clock = block.order, block.clock
        self.vocabulary = words = min(block.target.logits, draft.logits)
        runner, plan, self.rounds = block.runner(draft), block.plan, {}
        for gamma in plan.gammas:
            made = SpeculativeRounds(target, runner, gamma, plan.temperature, gamma, words)
            made.hold_laws(words)
            self.rounds[gamma] = made
        self.found: dict[int, dict[str, list[float]]] = {
            g: defaultdict(list) for g in (0, *plan.gammas)
        }
        with torch.inference_mode():
            self._steps()
            for gamma in plan.gammas:
                for behind in self._starts():
                    self._placed(gamma, behind).round()

    @torch.inference_mode()
    def turn(self) -> None:
        """Every gamma once, in a new order, and plain steps in between."""
        settings = [*self.plan.gammas, *[0] * STEP_TURNS]
        self.order.shuffle(settings)
        for gamma in settings:
            if gamma:
                self._rounds(gamma)
            else:
                self.found[0]["times_s"] += rounded([self._steps()])

    def _rounds(self, gamma: int) -> None:
        """An untimed round, which leaves the caches as rounds do, and one for each start."""
        starts, found = self._starts(), self.found[gamma]
        for number, behind in enumerate((starts[0], *starts)):
            placed = self._placed(gamma, behind)
            watch = Stopwatch(self.target.device, self.clock)
            placed.round(watch.mark)
            watch.mark("other_s")
            if number:
                parts = watch.seconds()
                found["behind"].append(behind)
                found["times_s"] += rounded([sum(parts.values())])
                for part in PARTS:
                    if part in parts:
                        found[part] += rounded([parts[part]])

    def _placed(self, gamma: int, behind: int) -> SpeculativeRounds:
        rounds = self.rounds[gamma]
        rounds.place(self.context, self._pending(), behind=behind)
        return rounds

    def _steps(self) -> float:
        """Mean time of plain steps, one before them untimed [s]."""
        target, pending = self.target, self._pending()[:, 1]
        back = torch.full((target.batch,), self.context, device=target.device)
        target.rollback(back, most=self.context)
        generator = torch.Generator(target.device).manual_seed(0)
        u = uniforms_of(target.batch, STEPS + 1, self.plan.temperature, generator)
        for step in range(STEPS + 1):
            if step == 1:
                watch = Stopwatch(target.device, self.clock)
            logits = target.extend(pending[:, None], clone=False)[:, -1, : self.vocabulary]
            pending, _ = pick(logits, self.plan.temperature, u, step)
        watch.mark(STEP)
        return watch.seconds()[STEP] / STEPS

    def _starts(self) -> tuple[int, ...]:
        """Tokens that the draft's first pass reads: one or two, in a batch always two."""
        return (1, 2) if self.target.batch == 1 else (2,)

    def _pending(self) -> torch.Tensor:
        rows = range(self.target.batch)
        tokens = [[self.order.randrange(self.vocabulary) for _ in range(2)] for _ in rows]
        return torch.tensor(tokens, device=self.target.device)
