"""Linear step times to draw from, and the time of a round pass by pass in any kind of number."""

from __future__ import annotations

from typing import Any

from exact import decades
from hypothesis import strategies as st

TIMES = {
    "step_fixed": decades(-3, -1), "step_per_token": decades(-6, -4),
    "step_per_cached": decades(-9, -7), "draft_fixed": decades(-5, -1.5),
    "draft_per_token": decades(-7, -4.5), "draft_per_cached": decades(-10, -7.5),
}  # fmt: skip
SYSTEMS = st.fixed_dictionaries(TIMES)
TARGET = ("step_fixed", "step_per_token", "step_per_cached")
ALPHAS = st.floats(0.05, 0.98)
CONTEXTS = st.integers(0, 20_000)
H100 = {
    "step_fixed": 5.88590713e-3 + 1.20683946e-3, "step_per_token": 2.10103129e-5,
    "step_per_cached": 3.92645679e-8, "draft_fixed": 2.13526175e-3,
    "draft_per_token": 8.41429603e-7, "draft_per_cached": 2.37768493e-9,
}  # fmt: skip


def round_time(gamma: int, rows: Any, context: Any, t: dict[str, Any], number: Any) -> Any:
    """A round, pass by pass, in the given kind of number."""
    v = {k: number(x) for k, x in t.items()}

    def one(kind: str, tokens: int) -> Any:
        row = v[kind + "_per_cached"] * context + v[kind + "_per_token"] * tokens
        return v[kind + "_fixed"] + rows * row

    extra = v.get("round_overhead", number(0)) if gamma else number(0)
    return one("step", gamma + 1) + gamma * one("draft", 1) + extra


def saved(gamma: int, alpha: float, rows: Any, context: Any, t: dict[str, Any], number: Any) -> Any:
    """Plain decoding time of a round's tokens less the time of the round."""
    tokens = sum((number(alpha) ** i for i in range(gamma + 1)), number(0))
    plain = round_time(0, rows, context, t, number)
    return tokens * plain - round_time(gamma, rows, context, t, number)
