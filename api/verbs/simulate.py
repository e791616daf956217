"""Rounds, requests or a fleet under load, by Monte-Carlo."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..answer import Answer
from ..parts import asked
from ..table import Column, Table

if TYPE_CHECKING:
    from ..sim.fleet.crossover import Crossover

_SUSPECT = 1e-4  # chance below which tokens are said not to have the target's law


@dataclass(frozen=True, repr=False)
class Simulation(Answer):
    """What was simulated, with standard errors; see `howspec.simulate`.

    values: tokens_per_round, speedup and the rest, each with "mean" and "se".
    """

    SCHEMA = "simulation"

    values: Mapping[str, Any]
    inputs: Mapping[str, object]

    @property
    def notes(self) -> tuple[str, ...]:
        return tuple(self.values.get("notes", ()))

    def data(self) -> Mapping[str, object]:
        return {**self.values, "inputs": self.inputs, "notes": self.notes}

    def headline(self) -> str:
        speedup, tokens = self.values["speedup"], self.values["tokens_per_round"]
        best = f"gamma {self.values['gamma']}: " if "gamma" in self.values else ""
        return (
            f"{best}speed-up {speedup['mean']:.4f} (standard error {speedup['se']:.4f}), "
            f"{tokens['mean']:.4f} tokens per round"
        )

    def blocks(self) -> Iterator[str | Table]:
        names = (
            "speedup", "tokens_per_round", "drafted_per_round", "tokens_per_s", "batch",
            "utilisation",
        )  # fmt: skip
        there = [n for n in names if n in self.values]
        yield Table((
            Column("", there),
            Column("mean", [self.values[n]["mean"] for n in there], ".4f"),
            Column("se", [self.values[n]["se"] for n in there], ".4f"),
        ))  # fmt: skip
        waits = [k for k in ("latency_s", "latency_steps", "ttft_s", "queue_s") if k in self.values]
        if waits:
            columns = [
                Column(c, [self.values[n][c] for n in waits], ".4g") for c in self.values[waits[0]]
            ]
            yield Table((Column("", waits), *columns))
        if "load" in self.values:
            yield f"load {self.values['load']:.3f} of the capacity of a full batch"
        if "decided" in self.values:
            chance = self.values["probability_best"][self.values["gamma"]]
            yield f"the fastest gamma with probability {100 * chance:.0f} %, given these rounds"
        if "best_constant" in self.values:
            excess, best = self.values["excess_over_best_constant"], self.values["best_constant"]
            yield (
                f"takes {100 * excess['mean']:.2f} % (standard error {100 * excess['se']:.2f} %) "
                f"more time than the best constant gamma in hindsight, {best}"
            )
        if "rule" in self.values:
            yield from self._verified()
        yield f"{self.values['rounds']} rounds, seed {self.values['seed']}"

    def _verified(self) -> Iterator[str]:
        v = self.values
        by_theory, single = v["expected_tokens_per_round"], v["token_verification_tokens_per_round"]
        known = "" if by_theory is None else f"; by theory {by_theory:.4f}"
        drafts = "" if v["width"] == 1 else f", {v['width']} drafts a position"
        yield f"rule {v['rule']}{drafts}{known}; token verification of one draft gives {single:.4f}"
        yield (
            f"lossless: {v['tokens']:,} tokens agree with the target's law, p {v['p_value']:.3f}"
            if v["p_value"] > _SUSPECT
            else f"NOT lossless: {v['tokens']:,} tokens do not have the target's law, "
            f"p {v['p_value']:.1e}"
        )


@dataclass(frozen=True, repr=False)
class FleetCrossing(Answer):
    """The load above which a fleet does better without speculation; see `howspec.simulate`.

    found: the rate [1/s] with its interval, the rates searched, and what it rests on.
    """

    SCHEMA = "fleet_crossing"

    found: Crossover
    seed: int
    inputs: Mapping[str, object]

    @property
    def notes(self) -> tuple[str, ...]:
        calm = "the fleet had not settled near the crossing: simulate more requests"
        return () if self.found.stationary or self.found.rate is None else (calm,)

    def data(self) -> Mapping[str, object]:
        known = {n: getattr(self.found, n) for n in self.found.__dataclass_fields__}
        return {**known, "seed": self.seed, "inputs": self.inputs, "notes": self.notes}

    def headline(self) -> str:
        return self.found.statement

    def blocks(self) -> Iterator[str | Table]:
        low, high = self.found.searched
        yield Table((
            Column("", ["crossing", "searched"]),
            Column("requests/s", [self.found.rate, None], ".4f"),
            Column("low", [self.found.low, low], ".4f"),
            Column("high", [self.found.high, high], ".4f"),
        ))  # fmt: skip
        runs = self.found.replications
        yield f"{runs} workloads served both ways at every rate, seed {self.seed}"


@dataclass(frozen=True, repr=False)
class SimulationGrid(Answer):
    """Many settings simulated; see `howspec.simulate`. axes: what was varied; points: in order."""

    SCHEMA = "simulation_grid"

    axes: Mapping[str, Sequence[Any]]
    points: Sequence[Mapping[str, Any]]
    seed: int
    inputs: Mapping[str, object]
    remarks: tuple[str, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        return self.remarks

    def data(self) -> Mapping[str, object]:
        return {
            "axes": self.axes, "points": self.points, "seed": self.seed, "rounds": self._rounds,
            "inputs": self.inputs, "notes": self.notes,
        }  # fmt: skip

    @property
    def _rounds(self) -> int:
        return sum(int(p["rounds"]) for p in self.points)

    def headline(self) -> str:
        best = max(self.points, key=lambda p: float(p["speedup"]["mean"]))
        at = ", ".join(f"{k} {v}" for k, v in best["setting"].items())
        return (
            f"{len(self.points)} settings; largest speed-up {best['speedup']['mean']:.4f} at {at}"
        )

    def blocks(self) -> Iterator[str | Table]:
        columns = [Column(n, [p["setting"][n] for p in self.points]) for n in self.axes]
        for what, name in (("tokens_per_round", "tokens per round"), ("speedup", "speed-up")):
            columns += [
                Column(name, [p[what]["mean"] for p in self.points], ".4f"),
                Column(f"se of {name}", [p[what]["se"] for p in self.points], ".4f"),
            ]
        yield Table(tuple(columns))
        yield f"{self._rounds} rounds, seed {self.seed}"


def simulate(
    *,
    acceptance: float | str | None = None,
    costs: float | str | None = None,
    trace: str | None = None,
    drafter: str | None = None,
    gamma: int | None = None,
    policy: str | None = None,
    tokens: int | None = None,
    requests: int | None = None,
    batch: int | None = None,
    arrival_rate: float | None = None,
    crossing: bool = False,
    rounds: int = 1_000_000,
    rule: str | None = None,
    width: int | None = None,
    vocabulary: int | None = None,
    replay: str | None = None,
    match: float | None = None,
    target: str | None = None,
    draft: str | None = None,
    device: str | None = None,
    task: str | None = None,
    temperature: float | None = None,
    context: float | None = None,
    dtype: str | None = None,
    stack: str | None = None,
    grid: Mapping[str, Sequence[Any]] | None = None,
    backend: str = "loky",
    address: str | None = None,
    workers: int | None = None,
    resume: str | None = None,
    seed: int = 0,
) -> Simulation | SimulationGrid | FleetCrossing:
    """Simulate speculative decoding: tokens per round, speed-up and latency, with their errors.

    acceptance, costs: as numbers or texts, see `howspec.acceptance` and `howspec.costs`; trace:
    recorded acceptance instead. gamma, or a policy such as "heuristic:initial=5". Without tokens
    requests are endless; with them, each has so many. A policy that stops by the draft's confidence
    ("confidence-threshold:threshold=0.4", as transformers does by default; "survival-threshold",
    "heuristic" with a threshold) has confidences from the trace, or calibrated ones drawn about
    acceptance. The policies "controller" and "bandit" learn
    from request to request, "best" searches the fastest gamma. With arrival_rate [1/s], requests
    arrive at random at a fleet; with crossing, the rate is searched above which plain decoding has
    the smaller mean latency. rule: of verification (token, block; of several drafts a position,
    width of them: recursive, recursive_distinct, k_seq, naive, top), run on distributions over a
    vocabulary (1000) that overlap as acceptance says, and tested to be lossless. replay: times of a
    step, as "target_fixed=0.006,target_token=2e-5,..." or a JSON file, in which the published
    simulator of arXiv:2601.11580 is followed on a trace to the digit; match: chance that a draft of
    n-grams finds a continuation that will be rejected. grid: values of several arguments, every
    combination of which is simulated on backend (sequential, threading, loky, dask, ray), kept in
    the file ``resume``. Raises ValueError for arguments that do not fit together.
    """
    inputs = asked(locals(), simulate)
    import numpy as np

    from ..sim.known import check_seed
    from ..sim.simulation import fleet_crossing, simulate_grid, simulate_point

    check_seed(seed)
    setting: dict[str, Any] = {
        "acceptance": acceptance, "costs": costs, "trace": trace, "drafter": drafter,
        "gamma": gamma, "policy": policy, "tokens": tokens, "requests": requests, "batch": batch,
        "arrival_rate": arrival_rate, "rounds": rounds, "rule": rule, "width": width,
        "vocabulary": vocabulary, "replay": replay, "match": match, "target": target,
        "draft": draft, "device": device, "task": task, "temperature": temperature,
        "context": context, "dtype": dtype, "stack": stack,
    }  # fmt: skip
    setting = {name: value for name, value in setting.items() if value is not None}
    if grid is not None and crossing:
        raise ValueError("a crossing is searched in one setting: no grid with it")
    if grid is not None:
        found, remarks = simulate_grid(
            grid, setting, seed=seed, backend=backend, address=address, workers=workers,
            resume=resume,
        )  # fmt: skip
        return SimulationGrid(grid, found, seed, inputs, remarks)
    if resume is not None or address is not None or workers is not None:
        raise ValueError("resume, address and workers belong to a grid, got none")
    rng = np.random.default_rng(seed)
    if crossing:
        return FleetCrossing(fleet_crossing(rng, **setting), seed, inputs)
    return Simulation({**simulate_point(rng, **setting), "seed": seed}, inputs)
