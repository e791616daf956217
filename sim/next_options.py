r"""Measurements that could be made of a draft, each with what it would show.

A measurement shows numbers that the draws know as well. Of n decided draft tokens it shows rates r,
as 2 arcsin sqrt r, whose error is sqrt(D / n) whatever the rate; D, the design effect, is that of
prompts which differ. Of timed rounds it shows ln C(gamma) / C(0), with the scatter between runs.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..calibrate.doors import Pair
from ..calibrate.known import BETWEEN_RUNS, KnownCosts
from ..calibrate.prior.acceptance_model import DESIGN_EFFECT
from ..theory.decision import score
from ..theory.domain import Floats
from .choice import Objective, sample_rule

# Of `howspec calibrate acceptance`: draft tokens of a round, requests together, prompts of each of
# five domains, new tokens of each.
_GAMMA, _TOGETHER, _PROMPTS, _NEW = 8, 16, 4, 96
_LOG_TOKENS = 2000.0  # decided draft tokens of a server's log: a minute of one that speculates
_REQUESTS, _LONG = 12, 128  # of `howspec measure`: requests at a batch, new tokens of each
_LOCAL = ("eager", "graphs")  # stacks that are measured in this process, without a server
_PASSES = 18 * 17  # timed and untimed passes of a point, and points, of `howspec calibrate costs`
_LOG = "howspec import auto server.log"
_READ = 1e9  # bytes of weights read from a disk in a second


@dataclass(frozen=True)
class Option:
    """A measurement that could be made.

    command: as it is typed; what: is measured by it; then: what the same question is asked with
    afterwards; minutes: of device time, None where not known; shown: what each draw shows in it, in
    standard deviations of its error, shape (draws, numbers).
    """

    command: str
    what: str
    then: str
    minutes: float | None
    shown: Floats


@dataclass(frozen=True)
class Draft:
    """What is known of one draft: tokens per round and round times at gamma = 0.., (draws,
    gammas); costs: of which the times are.
    """

    pair: Pair
    tokens: Floats
    times: Floats
    costs: KnownCosts

    @property
    def name(self) -> str:
        """As it was asked for."""
        return self.pair.at.draft or "the draft"

    @property
    def speedup(self) -> Floats:
        """Speed-ups, shape (draws, gammas)."""
        return np.asarray(self.tokens * self.times[:, :1] / self.times)


def options_of(draft: Draft, objective: Objective, *, into: str = "") -> list[Option]:
    """What can be measured of a draft where it runs, unsure or not.

    objective: by which its gamma is chosen; into: the question after it.
    """
    pair, costs, found = draft.pair, draft.costs, []
    names = _loadable(draft)
    top = draft.tokens.shape[1] - 1
    if names and pair.head is None:
        found.append(_acceptance_here(draft, names))
    if top >= 1:
        found.append(_acceptance_of_a_log(draft))
    if costs.seconds and costs.stack not in _LOCAL:
        found.append(_of_a_server(draft, objective))
        if not into and costs.kind == "predicted":  # what takes the plain time of a token
            found.append(_plain_of_a_server(draft))
    if names and pair.head is None and costs.stack in _LOCAL and costs.seconds:
        found.append(_costs_here(draft, names))
    return [replace(o, then=into + o.then) for o in found]


def _acceptance_here(draft: Draft, names: tuple[str, str]) -> Option:
    at = draft.pair.at
    gamma = min(_GAMMA, draft.tokens.shape[1] - 1)
    words = ["howspec", "calibrate", "acceptance", "--target", names[0], "--draft", names[1],
             "--temperature", f"{at.temperature or 0:g}", "--requests", str(_PROMPTS),
             "--out", "acceptance.json"]  # fmt: skip
    requests = 5.0 * _PROMPTS
    rounds = requests * _NEW / float(draft.tokens[:, gamma].mean())
    shown = rates_shown(draft.tokens, gamma, rounds * _decided(draft.tokens, gamma))
    minutes = None
    if draft.costs.seconds:
        time, length = np.median(draft.times, axis=0), float(draft.tokens[:, gamma].mean())
        turns = np.ceil(requests / _TOGETHER) * _NEW
        minutes = (_loading(draft) + turns * float(time[gamma] / length + time[0])) / 60.0
    what = f"rounds of {requests:.0f} requests with {draft.name}"
    return Option(shlex.join(words), what, "--acceptance acceptance.json", minutes, shown)


def _acceptance_of_a_log(draft: Draft) -> Option:
    gamma = min(4, draft.tokens.shape[1] - 1)
    shown = rates_shown(draft.tokens, gamma, _LOG_TOKENS)
    what = f"{_LOG_TOKENS:.0f} decided draft tokens of {draft.name}"
    return Option(_LOG, what, "--acceptance server.log", 0.0, shown)


def _of_a_server(draft: Draft, objective: Objective) -> Option:
    """Plain decoding and one gamma, the best at hand, of a server under the load asked for."""
    batch, top = max(1, round(draft.pair.at.batch)), draft.tokens.shape[1] - 1
    best = int(score(draft.speedup, sample_rule(objective)).argmax())
    gamma = min(max(1, best), _GAMMA, top)
    words = ["howspec", "measure", "http://localhost:8000", "--gamma", str(gamma), "--batch",
             str(batch), "--out", f"served/gamma-{gamma}.json"]  # fmt: skip
    length, times = float(draft.tokens[:, gamma].mean()), np.median(draft.times, axis=0)
    waves = max(2.0, np.ceil(_REQUESTS / batch))
    decided = waves * batch * _LONG / length * _decided(draft.tokens, gamma)
    shown = [rates_shown(draft.tokens, gamma, decided), times_shown(draft.times, [gamma])]
    seconds = 2.0 * _loading(draft) + waves * _LONG * float(times[gamma] / length + times[0])
    what = f"a server with {draft.name}; the same without it: --gamma 0 --out served/plain.json"
    return Option(
        shlex.join(words), what, "--acceptance served --costs served", seconds / 60.0,
        np.concatenate(shown, axis=1),
    )  # fmt: skip


def _plain_of_a_server(draft: Draft) -> Option:
    """The plain step of a server as it runs, before there is a draft."""
    batch = max(1, round(draft.pair.at.batch))
    words = ["howspec", "measure", "http://localhost:8000", "--gamma", "0", "--batch", str(batch),
             "--out", "served/plain.json"]  # fmt: skip
    steps = max(2.0, np.ceil(_REQUESTS / batch)) * _LONG
    seconds = _loading(draft) + steps * float(np.median(draft.times[:, 0]))
    shown = np.log(draft.times[:, :1]) / BETWEEN_RUNS
    what = f"plain decoding of {draft.pair.at.target}"
    return Option(shlex.join(words), what, "--plain-ms with its ms a token", seconds / 60.0, shown)


def gammas_of_a_server(draft: str, speedups: Floats, scatter: float) -> list[Option]:
    """One gamma each, which shows its own speed-up; with plain decoding measured beside it.

    speedups: shape (draws, gammas), zeros where there is none; scatter: of a measured ln S.
    """
    found = []
    for gamma in range(1, speedups.shape[1]):
        words = ["howspec", "measure", "http://localhost:8000", "--gamma", str(gamma), "--out",
                 f"served/gamma-{gamma}.json"]  # fmt: skip
        what = f"a server with {draft}; the same without it: --gamma 0 --out served/plain.json"
        shown = np.log(speedups[:, [gamma]]) / scatter
        then = f"its speed-up as a row of the table, gamma {gamma}"
        found.append(Option(shlex.join(words), what, then, None, shown))
    return found


def _costs_here(draft: Draft, names: tuple[str, str]) -> Option:
    at, top = draft.pair.at, draft.times.shape[1] - 1
    mode = "eager" if draft.costs.stack == "eager" else "graph"
    words = ["howspec", "calibrate", "costs", "--target", names[0], "--draft", names[1],
             "--random-weights", "--batch", f"{at.batch:g}", "--context", f"{at.cached:g}",
             "--mode", mode, "--out", "costs.json"]  # fmt: skip
    gammas = sorted({min(2, top), min(8, top)})
    time = float(np.median(draft.times[:, gammas[-1]]))
    minutes = (_loading(draft) + _PASSES * 2.0 * time) / 60.0
    what, shown = f"passes and rounds with {draft.name}", times_shown(draft.times, gammas)
    return Option(shlex.join(words), what, "--costs costs.json", minutes, shown)


def rates_shown(tokens: Floats, gamma: int, decided: float) -> Floats:
    """The rate of the first position, and of the later ones together, in units of their errors.

    tokens: per round at gamma = 0.., (draws, gammas); decided: draft tokens whose fate is seen in
    rounds of gamma. Shape (draws, 1 or 2).
    """
    kept = np.diff(tokens[:, : gamma + 1], axis=1)
    tried = np.concatenate([np.ones((len(kept), 1)), kept[:, :-1]], axis=1)
    rounds = decided / _decided(tokens, gamma)
    found = []
    for part in (slice(0, 1), slice(1, gamma)):
        seen = tried[:, part].sum(axis=1)
        if seen.mean() > 0.0:
            rate = np.divide(
                kept[:, part].sum(axis=1), seen, out=np.zeros_like(seen), where=seen > 0
            )
            scale = np.sqrt(rounds * seen.mean() / DESIGN_EFFECT)
            found.append(2.0 * scale * np.arcsin(np.sqrt(np.minimum(np.maximum(rate, 0.0), 1.0))))
    return np.stack(found, axis=1)


def _decided(tokens: Floats, gamma: int) -> float:
    """Mean number of draft tokens of a round whose fate is decided: those up to a rejection."""
    return float(tokens[:, gamma - 1].mean())


def times_shown(times: Floats, gammas: Sequence[int]) -> Floats:
    """ln of round times over that of a plain step, in units of the scatter between runs."""
    return np.asarray(np.log(times[:, list(gammas)] / times[:, :1]) / BETWEEN_RUNS)


def _loading(draft: Draft) -> float:
    """Seconds that both models take to be read."""
    memory = draft.costs.memory
    return 0.0 if memory is None else memory.weights_bytes / _READ


def _loadable(draft: Draft) -> tuple[str, str] | None:
    """What both models are called where they are loaded from, None where they cannot be.

    transformers runs on one accelerator here, so both must fit there.
    """
    pair, memory = draft.pair, draft.costs.memory
    if pair.at.target is None or pair.at.draft is None:
        return None
    if (pair.machine is not None and pair.machine.count > 1) or (memory and not memory.fits):
        return None
    found = [released(n) for n in (pair.at.target, pair.at.draft)]
    return (found[0], found[1]) if found[0] and found[1] else None


def released(name: str) -> str:
    """The hub's name of a model of the tables, or a folder with weights; "" for any other."""
    from ..calibrate.models.catalogue import find_model

    known = find_model(name)
    if known is not None:
        return known.hub
    from ..calibrate.measure.sources import model_source

    try:
        return name if model_source(name, random_weights=False) else ""
    except ValueError:
        return ""
