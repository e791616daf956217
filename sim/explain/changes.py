"""What one change would bring: another gamma, a loss halved, speculation off.

Each gain is end-to-end speed after the change over speed now, all else equal. Where the account
knows parts only as a sum, every way to share it out counts as equally likely, and the intervals
are as wide as that makes them. Drafting and the growth of the verifying pass are taken as
proportional to gamma, overhead as paid once a round.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from ...calibrate.evidence import reach
from ...calibrate.known import KnownAcceptance
from ...theory import tokens_by_gamma
from ...theory.acceptance import PositionalAcceptance
from ...theory.domain import Floats
from ...theory.interval import Interval, interval
from .account import Account
from .measured import PARTS


@dataclass(frozen=True)
class Change:
    """One change and its gain.

    name: what is changed; kind: "setting" for what only has to be set, "work" for what needs a
    better draft or engine; gain: speed after over speed before; gamma: draft tokens of a round
    after the change, 0 for plain decoding; probability: share of the draws in which it gains.
    """

    name: str
    kind: Literal["setting", "work"]
    gain: Interval
    gamma: int
    probability: float


def changes(
    account: Account,
    known: KnownAcceptance,
    rng: np.random.Generator,
    *,
    level: float = 0.9,
    drafter: Literal["serial", "block"] = "serial",
) -> tuple[Change, ...]:
    """Every change with its gain, the largest first.

    known: the acceptance behind the account; drafter: "serial" makes one token after another,
    "block" all of them at once, so that fewer draft tokens are not cheaper. Under a contradiction
    only turning speculation off can be stated, and it is the measurement itself.
    """
    off = 1.0 / account.sample.speedup
    found = [_change("speculation off", "setting", off, 0, level, 1.0 / account.speedup.estimate)]
    if account.contradiction is None:
        model = _Model(account, known, rng, block=drafter == "block")
        found += _gammas(model, level)
        found += _halved(model, level)
    return tuple(sorted(found, key=lambda c: -c.gain.estimate))


def _change(
    name: str,
    kind: Literal["setting", "work"],
    gain: Floats,
    gamma: int,
    level: float,
    estimate: float | None = None,
) -> Change:
    chance = float((gain > 1.0).mean())
    return Change(name, kind, interval(gain, level, estimate=estimate), gamma, chance)


class _Model:
    """Speed of each draw as a function of gamma and of the parts, shape (draws,)."""

    def __init__(
        self, account: Account, known: KnownAcceptance, rng: np.random.Generator, *, block: bool
    ) -> None:
        self.account, self.block = account, block
        draws = account.sample.tokens.size
        self.parts = dict.fromkeys(PARTS, np.zeros(draws))
        self.per_token = {"draft": not block, "verification growth": True, "overhead": False}
        names = [t for t in account.terms if t.plain_steps is not None]
        for term, value in zip(names, account.sample.parts, strict=True):
            held = ("overhead",) if term.name == "unexplained" else term.parts
            held = ("verification growth",) if term.name == "batch" else held
            share = rng.dirichlet(np.ones(len(held)), draws)
            for i, name in enumerate(held):
                self.parts[name] = self.parts[name] + share[:, i] * value
        self.top = min(reach(account.gamma), known.positions)
        self.law = PositionalAcceptance(np.resize(known.rates(self.top), (draws, self.top)))
        now = tokens_by_gamma(self.law, account.gamma)[:, account.gamma]
        # The account's own draws of the tokens are the measured ones; others follow in proportion.
        self.scale = account.sample.tokens / now

    def gain(
        self,
        gamma: int,
        *,
        smaller: str | None = None,
        factor: float = 0.5,
        law: PositionalAcceptance | None = None,
        coverage: Floats | None = None,
    ) -> Floats:
        """Speed at gamma, with one part scaled, another acceptance or coverage, over the speed now.

        A block is drafted and verified whole, so a part of it takes no less than all.
        """
        ratio = gamma / self.account.gamma
        ratio = max(ratio, 1.0) if self.block else ratio
        q = self.account.sample.coverage if coverage is None else coverage
        paid = q / self.account.sample.coverage
        steps = np.ones_like(self.scale)
        for name, value in self.parts.items():
            grown = paid * value * (ratio if self.per_token[name] else 1.0)
            steps = steps + (factor * grown if name == smaller else grown)
        tokens = tokens_by_gamma(law or self.law, gamma)[:, gamma]
        tokens = 1.0 - q + q * np.minimum(tokens * self.scale, gamma + 1.0)
        p = self.account.sample.prefill
        speed = (1.0 + p) / (p + np.maximum(steps, 1e-9) / tokens)
        return np.asarray(speed / self.account.sample.speedup)


def _gammas(model: _Model, level: float) -> list[Change]:
    now = model.account.gamma
    found = [
        _change(f"gamma {g} in place of {now}", "setting", model.gain(g), g, level)
        for g in range(1, model.top + 1)
        if g != now
    ]
    best = max(found, key=lambda c: c.gain.estimate)
    near = [c for c in found if abs(c.gamma - now) == 1 and c.gamma != best.gamma]
    return [best, *near]


def _halved(model: _Model, level: float) -> list[Change]:
    now = model.account.gamma
    found = []
    for name, what in (
        ("draft", "drafting twice as fast"),
        ("verification growth", "half the growth of the verifying pass"),
        ("overhead", "half the overhead of a round"),
    ):
        if np.abs(model.parts[name]).mean() > 1e-6:
            found.append(_change(what, "work", model.gain(now, smaller=name), now, level))
    if model.account.coverage < 1.0:
        q = 0.5 + 0.5 * model.account.sample.coverage
        more = model.gain(now, coverage=q)
        found.append(_change("half the steps without drafts", "work", more, now, level))
    rates = 0.5 + 0.5 * np.asarray(model.law.rates)
    better = model.gain(now, law=replace(model.law, rates=rates))
    found.append(_change("half the rejections", "work", better, now, level))
    return found


def best_setting(found: tuple[Change, ...]) -> Change | None:
    """The setting with the largest expected gain, None where none gains more than 1 %."""
    settings = [c for c in found if c.kind == "setting" and c.gain.estimate > 1.01]
    return max(settings, key=lambda c: c.gain.estimate) if settings else None
