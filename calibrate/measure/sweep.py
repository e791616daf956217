"""The sweep: end-to-end latency of plain decoding, SpS and AsG over drafts and gammas.

Speeds of one machine drift by several percent from minute to minute, so the methods take turns. A
block is one batch of prompts: every method, draft and gamma runs on it once, in an order shuffled
by the seed, and plain decoding several times in between, which is what the block is compared with.
Blocks follow one another through the domains, so that a limit on time leaves whole blocks of every
domain behind, and at most one that is not whole.

Before its first turn in a process each setting runs for a few rounds; the time of that stands in
the point as `warmup_s`, apart from what the turn took.
"""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from ..records import Journal
from ..records.points import point_key
from .assisted_counts import AssistedGeneration, generate_assisted, generate_plain
from .decoder import Generation, decode_plain, decode_speculative
from .device import point_failure, seed_of
from .plans import Progress, SweepPlan
from .runner import Runner

PLAIN, SPS, PLAIN_GENERATE = "plain", "sps", "plain_generate"
ASG, ASG_HEURISTIC = "asg_constant", "asg_heuristic"


@dataclass(frozen=True)
class Turn:
    """One generation of a block: draft None for plain decoding; prompt: number of the block's first
    prompt, which names the block."""

    draft: str | None
    method: str
    gamma: int
    batch: int
    prompt: int
    repeat: int

    @property
    def setting(self) -> tuple[str | None, str, int, int]:
        """What is warmed up together."""
        return self.draft, self.method, self.gamma, self.batch

    def key(self) -> dict[str, Any]:
        return asdict(self)


def order_prompts(prompts: Mapping[str, Sequence[Sequence[int]]]) -> list[tuple[str, list[int]]]:
    """(domain, token ids) of all prompts, the domains in turn; their places are their numbers."""
    most = max((len(rows) for rows in prompts.values()), default=0)
    found = [
        (domain, list(rows[i]))
        for i in range(most)
        for domain, rows in prompts.items()
        if i < len(rows)
    ]
    if not found:
        raise ValueError("prompts must hold at least one prompt, got none")
    for number, (domain, row) in enumerate(found):
        if not row:
            raise ValueError(f"prompt {number} (domain {domain}) is empty: no token in it")
    return found


def plan_turns(plan: SweepPlan, drafts: Sequence[str], domains: Sequence[str]) -> list[Turn]:
    """All turns in the order in which they run; domains: of every prompt, as ordered."""
    turns: list[Turn] = []
    for batch in plan.batches:
        firsts = range(0, max(len(domains) - batch + 1, 1), batch)
        assisted = _assisted_blocks(plan, domains) if batch == 1 else set()
        for first in firsts:
            turns += _block(plan, drafts, batch, first, with_assisted=first in assisted)
    return turns


def _assisted_blocks(plan: SweepPlan, domains: Sequence[str]) -> set[int]:
    """The first blocks of each domain in turn, spread over the run where there are more."""
    wanted = min(plan.assisted_blocks, len(domains))
    kinds = list(dict.fromkeys(domains))
    chosen: set[int] = set()
    for j in range(wanted):
        ideal = j * len(domains) / wanted
        free = [i for i in range(len(domains)) if i not in chosen]
        same = [i for i in free if domains[i] == kinds[j % len(kinds)]]
        chosen.add(min(same or free, key=lambda i: abs(i - ideal)))
    return chosen


def _block(
    plan: SweepPlan, drafts: Sequence[str], batch: int, first: int, *, with_assisted: bool
) -> list[Turn]:
    others = [Turn(d, SPS, g, batch, first, 0) for d in drafts for g in plan.gammas_of(d)]
    if with_assisted:
        others += [Turn(d, ASG, g, batch, first, 0) for d in drafts for g in plan.assisted_gammas]
        if plan.heuristic_gamma:
            others += [
                Turn(d, ASG_HEURISTIC, plan.heuristic_gamma, batch, first, 0) for d in drafts
            ]
        others += [Turn(None, PLAIN_GENERATE, 0, batch, first, r) for r in range(2)]
    rng = np.random.default_rng(seed_of("order", plan.seed, batch, first) % 2**32)
    order = [others[i] for i in rng.permutation(len(others))]
    # Plain decoding once in each stretch of the block, at a random place within it.
    edges = np.linspace(0, len(order), plan.plain_repeats + 1)
    places = sorted(int(rng.integers(int(a), max(int(b), int(a)) + 1)) for a, b in pairwise(edges))
    for repeat, place in reversed(list(enumerate(places))):
        order.insert(place, Turn(None, PLAIN, 0, batch, first, repeat))
    return order


def measure_sweep(
    target: Any,
    drafts: Mapping[str, Any],
    journal: Journal,
    *,
    prompts: Mapping[str, Sequence[Sequence[int]]],
    plan: SweepPlan = SweepPlan(),  # noqa: B008 - frozen
    vocabulary: int | None = None,
    seconds_left: Callable[[], float] = lambda: math.inf,
    progress: Progress = lambda what, done, total: None,
    clock: Callable[[], float] = time.perf_counter,
) -> bool:
    """Append what the journal (kind sweep) lacks; whether all of it is there now.

    target, drafts by name: transformers models, all kept loaded, because they take turns. prompts:
    token ids by domain. vocabulary: tokens that all models know, where their logits are padded to
    different numbers. seconds_left: asked before each turn; below 0 the measurement stops and can
    go on later. A turn that runs out of memory, or whose model gives NaN, has the reason as its
    `error`; the rest goes on.
    """
    rows = order_prompts(prompts)
    turns = plan_turns(plan, list(drafts), [domain for domain, _ in rows])
    bench = _Bench(target, drafts, rows, plan, vocabulary, clock)
    for number, turn in enumerate(turns):
        progress("sweep", number, len(turns))
        if point_key(journal.key, turn.key()) in journal.done:
            continue
        if seconds_left() < 0.0:
            return False
        try:
            values = bench.run(turn)
        except Exception as error:
            bench.forget()
            values = {"error": point_failure(error)}
        journal.append({**turn.key(), "domain": rows[turn.prompt][0], **values})
    progress("sweep", len(turns), len(turns))
    return True


@dataclass
class _Bench:
    """The models with their caches, made once for each batch size."""

    target: Any
    drafts: Mapping[str, Any]
    rows: Sequence[tuple[str, list[int]]]
    plan: SweepPlan
    vocabulary: int | None
    clock: Callable[[], float]

    def __post_init__(self) -> None:
        drafted = (g for d in self.drafts for g in self.plan.gammas_of(d))
        longest = max(len(row) for _, row in self.rows)
        self.capacity = longest + self.plan.new_tokens + max(drafted, default=0)
        self._batch = 0
        self._runners: dict[str | None, Runner] = {}
        self._warm: set[tuple[str | None, str, int, int]] = set()

    def forget(self) -> None:
        """Let go of the caches."""
        self._runners.clear()

    def run(self, turn: Turn) -> dict[str, Any]:
        """The values of a turn's point, its setting warmed up first."""
        warmup: dict[str, Any] = {}
        if turn.setting not in self._warm:
            few = min(self.plan.new_tokens, 2 * (turn.gamma + 1) + 2)
            warmup = {"warmup_s": [self._values(turn, few, "warm-up")["total_s"]]}
            self._warm.add(turn.setting)
        return {**self._values(turn, self.plan.new_tokens, "sweep"), **warmup}

    def _values(self, turn: Turn, new_tokens: int, purpose: str) -> dict[str, Any]:
        """One generation, timed with the collector of garbage at rest."""
        common: dict[str, Any] = {
            "new_tokens": new_tokens,
            "temperature": self.plan.temperature,
            "seed": seed_of(purpose, self.plan.seed, *turn.key().values()),
            "clock": self.clock,
        }
        numbers = range(turn.prompt, turn.prompt + turn.batch)
        prompts = [self.rows[i % len(self.rows)][1] for i in numbers]
        with _without_collection():
            if turn.method in (PLAIN, SPS):
                return self._decode(turn, prompts, common)
            return self._generate(turn, prompts[0], common)

    def _decode(
        self, turn: Turn, prompts: Sequence[Sequence[int]], common: dict[str, Any]
    ) -> dict[str, Any]:
        target = self._runner(None, turn.batch)
        if turn.draft is None:
            got = decode_plain(target, prompts, vocabulary=self.vocabulary, **common)
        else:
            got = decode_speculative(
                target, self._runner(turn.draft, turn.batch), prompts, gamma=turn.gamma,
                vocabulary=self.vocabulary, timed=target.device.type == "cpu", **common,
            )  # fmt: skip
        return _own_point(got, turn)

    def _generate(
        self, turn: Turn, prompt: Sequence[int], common: dict[str, Any]
    ) -> dict[str, Any]:
        if turn.draft is None:
            return _assisted_point(generate_plain(self.target, prompt, **common))
        common["schedule"] = "heuristic" if turn.method == ASG_HEURISTIC else "constant"
        draft = self.drafts[turn.draft]
        return _assisted_point(
            generate_assisted(self.target, draft, prompt, gamma=turn.gamma, **common)
        )

    def _runner(self, name: str | None, batch: int) -> Runner:
        if batch != self._batch:
            self._runners.clear()
            self._batch = batch
        if name not in self._runners:
            model = self.target if name is None else self.drafts[name]
            self._runners[name] = Runner(
                model, batch=batch, capacity=self.capacity, graphs=self.plan.graphs
            )
        return self._runners[name]


def _own_point(got: Generation, turn: Turn) -> dict[str, Any]:
    """Of our own decoding; requests of a batch are lists, their rounds one behind the other."""

    def each(values: Sequence[int]) -> int | Sequence[int]:
        return values[0] if turn.batch == 1 else values

    values: dict[str, Any] = {
        "tokens": each([len(row) for row in got.tokens]),
        "prefill_s": got.prefill_s, "decode_s": got.decode_s,
        "total_s": got.prefill_s + got.decode_s,
    }  # fmt: skip
    if turn.draft is not None:
        values |= {
            "rounds": each([len(row) for row in got.accepted]),
            "accepted": [a for row in got.accepted for a in row],
            "drafted": got.gamma,
            "surplus_tokens": each(got.surplus),
        }
    return values | (got.parts_s or {})


def _assisted_point(got: AssistedGeneration) -> dict[str, Any]:
    values: dict[str, Any] = {"tokens": len(got.tokens), "total_s": got.total_s}
    if got.rounds is not None:
        values |= {
            "rounds": len(got.rounds),
            "accepted": [r.accepted for r in got.rounds],
            "drafted": [r.drafted for r in got.rounds],
        }
    return values


@contextmanager
def _without_collection() -> Iterator[None]:
    """A collection of garbage in the middle of a generation is a chance event of milliseconds."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
