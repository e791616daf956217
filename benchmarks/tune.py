"""Tuning a server against what people do by hand: regret at a tenth of the time of the full sweep.

    python tune.py [--seeds 10] [--measured]

Simulated engines: the truth is drawn from the laws and what they miss, with a seed of its own, and
every measurement has an error. Measured grids: the sweeps of the bundled tables that hold drafts,
gammas and batches, their study left out of the prior, each measured again with an error. A start of
a server counts 2 minutes and a load 1. Rivals measure whole configurations, at every batch, and
keep the best that they saw; each has the time that is a tenth of the full sweep's. "2 % after": the
share of the full sweep's time in which a rival comes to a regret of 2 % and stays there, median.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from howspec.calibrate.doors import Deployment
from howspec.calibrate.library.evidence import evidence
from howspec.sim.tune.belief import Belief, Point, Seen
from howspec.sim.tune.prior import believed
from howspec.sim.tune.tuning import start_and_load, tune
from howspec.theory.domain import Floats

START, LOAD, ERROR = 2.0, 1.0, 0.02
MINUTES = start_and_load(START, LOAD)
SHARE = 0.1
MOST = 128  # batch: by its memory, not all of 256 sequences would run at once


@dataclass(frozen=True)
class Engine:
    """A grid with its truth: ln tokens/s by point, ln tokens a step by configuration."""

    belief: Belief
    speeds: dict[Point, float]
    lengths: dict[tuple[str, int], float]
    rng: np.random.Generator

    @property
    def full(self) -> float:
        """Minutes of the full sweep."""
        starts = 1 + len(self.belief.drafts) * len(self.belief.gammas)
        return START * starts + LOAD * len(self.belief.points)

    def measure(self, point: Point) -> Seen:
        speed = self.speeds[point] + ERROR * self.rng.standard_normal()
        length = self.lengths.get(point.configuration)
        shown = None if length is None else length + 0.01 * self.rng.standard_normal()
        return Seen(point, math.exp(speed), None if shown is None else max(math.exp(shown), 1.0))

    def worth(self, draft: str, gammas: dict[int, int]) -> float:
        return float(
            np.mean([self.speeds[Point(draft if g else "", g, b)] for b, g in gammas.items()])
        )

    def regret(self, draft: str, gammas: dict[int, int]) -> float:
        truth = np.array([self.speeds[p] for p in self.belief.points])
        return 1.0 - math.exp(self.worth(draft, gammas) - float(self.belief.worth(truth)))


def simulated(seeds: int) -> Iterator[Engine]:
    at = Deployment("Qwen3-32B", device="H200 SXM", task="chat")
    drafts = ["Qwen3-0.6B", "Qwen3-1.7B", "Qwen3-4B", "EAGLE3", "MTP"]
    given = {"batches": (1, 4, 16, 64)}
    belief, *_ = believed(at, drafts, **given)
    truths, *_ = believed(at, drafts, seed=991, **given)
    for seed in range(seeds):
        rng = np.random.default_rng([7, seed])
        i = int(rng.integers(len(truths.logs)))
        configurations = [(d, g) for d in belief.drafts for g in belief.gammas]
        yield Engine(
            belief, dict(zip(belief.points, truths.logs[i], strict=True)),
            dict(zip(configurations, truths.lengths[i], strict=True)), rng,
        )  # fmt: skip


GRIDS = (
    (Deployment("Qwen3-32B", device="H100 SXM 94GB", task="InstructCoder", context=300.0),
     ("Qwen3-1.7B", "RedHatAI/Qwen3-32B-speculator.eagle3")),
    (Deployment("Llama-3.3-70B", device="2x H100 SXM", task="InstructCoder", context=300.0),
     ("Llama-3.2-1B", "yuhuili/EAGLE3-LLaMA3.3-Instruct-70B")),
)  # fmt: skip


def measured(seeds: int) -> Iterator[Engine]:
    for at, drafts in GRIDS:
        yield from measured_grid(at, drafts, seeds)


def measured_grid(at: Deployment, drafts: Sequence[str], seeds: int) -> Iterator[Engine]:
    speeds: dict[Point, float] = {}
    lengths: dict[tuple[str, int], list[float]] = {}
    for row in evidence(at.target, device=at.device):
        if "vllm-scripts" not in row.citation or row.task != at.task or (row.batch or 999) > MOST:
            continue
        name = next((d for d in drafts if row.draft and d.split("/")[-1] in row.draft), "")
        gamma = row.gamma or 0
        if bool(name) != bool(gamma):
            continue
        if row.metric == "tpot_ms":
            speeds[Point(name, gamma, int(row.batch))] = math.log(1e3 * row.batch / row.value)
        if row.metric == "tokens_per_round" and name:
            lengths.setdefault((name, gamma), []).append(math.log(row.value))
    gammas = sorted({p.gamma for p in speeds if p.gamma})
    batches = sorted({p.batch for p in speeds})
    # 70B barely fits in 2 x 80 GB, and ran: the kind with more memory has the same rates.
    device = (at.device or "").replace("2x H100 SXM", "2x H100 SXM 94GB")
    at = Deployment(at.target, None, device, task="code", context=at.context,
                    unseen="tomasruizt/vllm-scripts")  # fmt: skip
    for seed in range(seeds):
        belief, *_ = believed(at, drafts, batches=batches, gammas=gammas, seed=seed)
        assert set(belief.points) == set(speeds), set(belief.points) ^ set(speeds)
        means = {c: float(np.mean(v)) for c, v in lengths.items()}
        yield Engine(belief, speeds, means, np.random.default_rng([8, seed]))


def howspec(engine: Engine, tolerance: float = 0.01) -> tuple[float, float]:
    """(regret at a tenth of the time, share of time used)."""
    found = tune(
        engine.belief, engine.measure, minutes=MINUTES, tolerance=tolerance,
        most_minutes=SHARE * engine.full,
    )  # fmt: skip
    chosen = found.chosen
    return engine.regret(chosen.draft, chosen.gammas), found.minutes / engine.full


class Hand:
    """Whole configurations, one after another, until the time is up."""

    def __init__(self, engine: Engine, share: float) -> None:
        self.engine, self.time = engine, 0.0
        self.seen: dict[tuple[str, int], Floats] = {}
        self.budget = share * engine.full
        self.good_at = math.inf  # time after which the regret stays within 2 %
        self.price = START + LOAD * len(engine.belief.batches)

    def worth(self, configuration: tuple[str, int]) -> float:
        """Mean ln tokens/s of a configuration, measured where it was not; -inf without time."""
        if configuration not in self.seen:
            if self.time + self.price > self.budget + 1e-9:
                return -math.inf
            self.time += self.price
            rows = [
                math.log(self.engine.measure(Point(*configuration, b)).tokens_per_s)
                for b in self.engine.belief.batches
            ]
            self.seen[configuration] = np.array(rows)
            good = self.ending()[0] <= 0.02
            self.good_at = min(self.good_at, self.time / self.engine.full) if good else math.inf
        return float(self.seen[configuration].mean())

    def ending(self) -> tuple[float, float]:
        """(regret of the best that was seen, share of time used)."""
        batches = self.engine.belief.batches
        best, kept = -math.inf, ("", dict.fromkeys(batches, 0))
        for draft in {d for d, _ in self.seen if d}:
            own = [(g, row) for (d, g), row in self.seen.items() if d in (draft, "")]
            table = np.array([row for _, row in own])
            if table.max(axis=0).mean() > best:
                best = float(table.max(axis=0).mean())
                at = table.argmax(axis=0)
                kept = (draft, {b: own[i][0] for b, i in zip(batches, at, strict=True)})
        return self.engine.regret(*kept), self.time / self.engine.full


# Rivals; each goes on until the share of the full sweep's time is used up.


def by_chance(engine: Engine, share: float = SHARE) -> Hand:
    hand = Hand(engine, share)
    every = [("", 0), *((d, g) for d in engine.belief.drafts for g in engine.belief.gammas)]
    for i in engine.rng.permutation(len(every)):
        hand.worth(every[i])
    return hand


def hill_climb(engine: Engine, share: float = SHARE) -> Hand:
    hand, belief = Hand(engine, share), engine.belief
    hand.worth(("", 0))
    order = [belief.drafts[i] for i in engine.rng.permutation(len(belief.drafts))]
    for draft in order:
        at = min(1, len(belief.gammas) - 1)
        while True:
            near = [i for i in (at - 1, at, at + 1) if 0 <= i < len(belief.gammas)]
            best = max(near, key=lambda i: hand.worth((draft, belief.gammas[i])))
            if best == at:
                break
            at = best
    return hand


def golden_section(engine: Engine, share: float = SHARE) -> Hand:
    hand, belief = Hand(engine, share), engine.belief
    hand.worth(("", 0))
    for i in engine.rng.permutation(len(belief.drafts)):
        low, high = 0, len(belief.gammas) - 1
        while high - low > 1:
            one = low + round(0.382 * (high - low))
            two = max(one + 1, low + round(0.618 * (high - low)))
            values = [hand.worth((belief.drafts[i], belief.gammas[k])) for k in (one, two)]
            low, high = (low, one) if values[0] >= values[1] else (two, high)
            if -math.inf in values:
                break
    return hand


def successive_halving(engine: Engine, share: float = SHARE) -> Hand:
    """All drafts at a middle gamma, then the better half at its neighbours, and so on."""
    hand, belief = Hand(engine, share), engine.belief
    hand.worth(("", 0))
    middle = (len(belief.gammas) - 1) // 2
    left = [belief.drafts[i] for i in engine.rng.permutation(len(belief.drafts))]
    for reach in range(len(belief.gammas)):
        places = {max(middle - reach, 0), min(middle + reach, len(belief.gammas) - 1)}
        for draft in left:
            for k in places:
                hand.worth((draft, belief.gammas[k]))
        best = {d: max((float(v.mean()) for (n, _), v in hand.seen.items() if n == d),
                       default=-math.inf) for d in left}  # fmt: skip
        left = sorted(left, key=lambda d: -best[d])[: max(1, (len(left) + 1) // 2)]
    return hand


RIVALS: dict[str, Callable[..., Hand]] = {
    "random order": by_chance,
    "hill climb": hill_climb,
    "golden section on K": golden_section,
    "successive halving": successive_halving,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--measured", action="store_true", help="measured grids, not simulated")
    given = parser.parse_args()
    engines = list((measured if given.measured else simulated)(given.seeds))
    groups: dict[str, list[Engine]] = {}
    for e in engines:
        groups.setdefault(f"{len(e.belief.points)} points, {'/'.join(e.belief.drafts)}", []).append(
            e
        )
    for name, own in groups.items():
        print(name)
        print(f"{'':22}{'mean regret':>12}{'largest':>9}{'<= 2 %':>8}{'time':>7}{'2 % after':>11}")
        _line("howspec tune", np.array([howspec(e) for e in own]), math.nan)
        for policy, run in RIVALS.items():
            rows = np.array([run(e).ending() for e in own])
            good = [run(e, share=1.01).good_at for e in own]
            _line(policy, rows, float(np.median(good)))


def _line(name: str, rows: Floats, good: float) -> None:
    regret, time = rows.T
    later = "" if math.isnan(good) else f"{good:11.0%}"
    print(f"{name:22}{regret.mean():12.2%}{regret.max():9.2%}{np.mean(regret <= 0.02):8.0%}"
          f"{time.mean():7.1%}{later}", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
