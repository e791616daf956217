"""Several drafts for one position against linear programs and enumeration of every draft."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import mpmath
import numpy as np
import pytest
from exact import at_digits, pairs, probabilities, relative_error
from howspec.theory.trees import rejection, several
from howspec.theory.trees.verification import overlap
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

few = settings(max_examples=40)
drafts_to = st.integers(1, 6)
PROGRAM = 3e-7  # the solver lets a constraint of the program be missed by 1e-7


def independent(q: np.ndarray, drafts: int) -> dict[tuple[int, ...], float]:
    """Chance of every tuple of independent drafts."""
    tuples = itertools.product(range(q.size), repeat=drafts)
    return {x: float(np.prod(q[list(x)])) for x in tuples}


def distinct(q: np.ndarray, drafts: int) -> dict[tuple[int, ...], float]:
    """Chance of every tuple drawn without replacement, as many as there are tokens with mass."""
    chances = {}
    for x in itertools.permutations(range(q.size), min(drafts, int((q > 0).sum()))):
        chance, left = 1.0, 1.0
        for token in x:
            chance *= q[token] / left if left > 1e-12 else 0.0
            left -= q[token]
        if chance > 0:
            chances[x] = chance
    return chances


def by_program(p: np.ndarray, chances: dict[tuple[int, ...], float]) -> float:
    """The most mass that a coupling can send from each tuple to one of its own tokens."""
    sets: dict[frozenset[int], float] = {}
    for x, chance in chances.items():
        sets[frozenset(x)] = sets.get(frozenset(x), 0.0) + chance
    edges = [(s, y) for s in sets for y in s]
    rows = list(sets)
    a = np.zeros((len(rows) + p.size, len(edges)))
    for column, (s, y) in enumerate(edges):
        a[rows.index(s), column] = 1
        a[len(rows) + y, column] = 1
    bound = np.array([*sets.values(), *p])
    return float(-linprog(-np.ones(len(edges)), A_ub=a, b_ub=bound, method="highs").fun)


@given(pairs(4), st.integers(1, 4))
@few
def test_the_optimum_of_independent_drafts_equals_the_linear_program(
    pair: tuple[np.ndarray, np.ndarray], drafts: int
) -> None:
    p, q = pair
    exact = by_program(p, independent(q, drafts))
    assert several.drafts_optimum(p, q, drafts=drafts) == pytest.approx(exact, abs=PROGRAM)


@given(pairs(5), st.integers(1, 4))
@few
def test_the_optimum_of_distinct_drafts_equals_the_linear_program(
    pair: tuple[np.ndarray, np.ndarray], drafts: int
) -> None:
    p, q = pair
    exact = by_program(p, distinct(q, drafts))
    assert several.drafts_optimum_distinct(p, q, drafts=drafts) == pytest.approx(exact, abs=PROGRAM)


@given(pairs(7), drafts_to)
def test_the_optimum_is_the_least_cut_over_all_sets(
    pair: tuple[np.ndarray, np.ndarray], drafts: int
) -> None:
    p, q = pair
    with mpmath.workdps(40):
        a, b = ([mpmath.mpf(x) / mpmath.fsum(map(mpmath.mpf, y)) for x in y] for y in (p, q))
        cuts = []
        for size in range(p.size + 1):
            for s in itertools.combinations(range(p.size), size):
                inside = mpmath.fsum(a[x] for x in s)
                cuts.append(inside + 1 - mpmath.fsum(b[x] for x in s) ** drafts)
        exact = min(cuts)
        assert abs(several.drafts_optimum(p, q, drafts=drafts) - exact) <= 1e-13 * exact + 1e-30


def test_a_small_optimum_keeps_its_digits() -> None:
    tiny = 1e-20
    got = several.drafts_optimum([tiny, 1 - tiny, 0], [1 - tiny, 0, tiny], drafts=3)
    assert got == pytest.approx(tiny, rel=1e-13)
    far = several.drafts_optimum([1.0, 0.0], [tiny, 1 - tiny], drafts=5)
    assert far == pytest.approx(5 * tiny, rel=1e-13)


def accept_and_output(
    p: np.ndarray, q: np.ndarray, drafts: int, *, replace: bool
) -> tuple[float, np.ndarray]:
    """(acceptance, output law) of recursive rejection, by following every draft."""
    output = np.zeros(p.size)
    if drafts == 0 or q.sum() == 0:
        return 0.0, p
    q = q / q.sum()
    left = np.maximum(p - q, 0)
    after = left / left.sum() if left.sum() > 1e-15 else p
    accepted = 0.0
    for x in np.flatnonzero(q):
        keep = min(1.0, p[x] / q[x])
        accepted += q[x] * keep
        output[x] += q[x] * keep
        if keep < 1:
            rest = q if replace else np.where(np.arange(q.size) == x, 0, q)
            share, law = accept_and_output(after, rest, drafts - 1, replace=replace)
            accepted += q[x] * (1 - keep) * share
            output += q[x] * (1 - keep) * law
    return accepted, output


@given(pairs(4), st.integers(1, 4))
@few
def test_recursive_rejection_equals_enumeration_and_is_exact(
    pair: tuple[np.ndarray, np.ndarray], drafts: int
) -> None:
    p, q = pair
    accepted, output = accept_and_output(p, q, drafts, replace=True)
    assert rejection.recursive_rejection(p, q, drafts=drafts) == pytest.approx(accepted, abs=1e-13)
    np.testing.assert_allclose(output, p, atol=1e-13)
    accepted, output = accept_and_output(p, q, drafts, replace=False)
    got = rejection.recursive_rejection_distinct(p, q, drafts=drafts)
    assert got == pytest.approx(accepted, abs=1e-12)
    np.testing.assert_allclose(output, p, atol=1e-13)


@given(pairs(5), drafts_to)
def test_kseq_is_exact_and_its_rho_the_least(
    pair: tuple[np.ndarray, np.ndarray], drafts: int
) -> None:
    p, q = pair
    accepted, rho = rejection.kseq(p, q, drafts=drafts)
    assert 1 <= rho <= drafts + 1e-12
    kept = np.minimum(q, p / rho)
    beta = kept.sum()
    assert accepted == pytest.approx(1 - (1 - beta) ** drafts, abs=1e-12)
    assert accepted == pytest.approx(rho * beta, abs=1e-12), "the equation of rho"
    if beta > 0:
        # Accepted tokens have law kept / beta; the rest must be filled from the residual of p.
        rest = p - accepted * kept / beta
        assert rest.min() >= -1e-12
        assert rest.sum() == pytest.approx(1 - accepted, abs=1e-12)
    if rho > 1 + 1e-6:
        below = rho * (1 - 1e-3)
        beta = np.minimum(q, p / below).sum()
        overfilled = 1 - (1 - beta) ** drafts > below * beta - 1e-15
        assert overfilled, "a smaller rho would send more to a token than it can take"


@given(pairs(4), st.integers(1, 4))
@few
def test_membership_equals_enumeration_of_drafts_and_target(
    pair: tuple[np.ndarray, np.ndarray], drafts: int
) -> None:
    p, q = pair
    total = sum(chance * p[list(set(x))].sum() for x, chance in independent(q, drafts).items())
    assert several.membership(p, q, drafts=drafts) == pytest.approx(total, abs=1e-13)


@given(pairs(6))
def test_gumbel_coupling_equals_its_double_sum_and_its_floor(
    pair: tuple[np.ndarray, np.ndarray],
) -> None:
    p, q = pair
    total = 0.0
    for j in range(p.size):
        if p[j] > 0 and q[j] > 0:
            total += 1 / sum(max(p[i] / p[j], q[i] / q[j]) for i in range(p.size))
    got = several.gumbel_coupling(p, q)
    assert got == pytest.approx(total, rel=1e-12, abs=1e-300)
    alpha = overlap(p, q)
    assert several.coupling_floor(alpha) * (1 - 1e-12) <= got <= alpha * (1 + 1e-12)


def test_gumbel_coupling_equals_shared_exponential_races() -> None:
    rng = np.random.default_rng(8)
    p, q = np.array([0.5, 0.3, 0.2]), np.array([0.1, 0.3, 0.6])
    races = rng.exponential(size=(200_000, 3))
    same = (races / p).argmin(axis=1) == (races / q).argmin(axis=1)
    exact = several.gumbel_coupling(p, q)
    assert abs(same.mean() - exact) < 4 * (exact * (1 - exact) / same.size) ** 0.5


RULES: dict[str, Callable[..., float]] = {
    "optimum": several.drafts_optimum,
    "recursive": rejection.recursive_rejection,
    "kseq": lambda p, q, *, drafts: rejection.kseq(p, q, drafts=drafts)[0],
    "membership": several.membership,
    "distinct optimum": several.drafts_optimum_distinct,
    "distinct recursive": rejection.recursive_rejection_distinct,
}


@given(pairs(4), st.integers(1, 4))
def test_no_exact_verifier_exceeds_the_optimum_and_all_start_from_the_overlap(
    pair: tuple[np.ndarray, np.ndarray], drafts: int
) -> None:
    p, q = pair
    alpha = overlap(p, q)
    value = {name: rule(p, q, drafts=drafts) for name, rule in RULES.items()}
    slack = 1e-12
    for name in ("recursive", "kseq", "membership"):
        assert value[name] <= value["optimum"] + slack, name
    assert value["distinct recursive"] <= value["distinct optimum"] + slack
    # K-SEQ keeps a fixed share of the best, as its paper promises.
    assert value["kseq"] >= (1 - np.exp(-1)) * value["optimum"] - slack
    assert value["optimum"] >= alpha - slack
    for name in set(RULES) - {"membership"}:
        assert RULES[name](p, q, drafts=1) == pytest.approx(alpha, abs=1e-12), name
        more = RULES[name](p, q, drafts=drafts + 1)
        assert more >= value[name] - slack, f"{name}: one more draft never loses"


@pytest.mark.parametrize("spread", [0.2, 1.0, 3.0])
def test_verifiers_in_use_keep_their_order_in_random_cases(spread: float) -> None:
    rng = np.random.default_rng(9)
    order = ["membership", "recursive", "kseq", "optimum", "distinct optimum"]
    for _ in range(120):
        size, drafts = int(rng.integers(2, 6)), int(rng.integers(1, 5))
        p, q = rng.dirichlet([spread] * size, size=2)
        value = {name: rule(p, q, drafts=drafts) for name, rule in RULES.items()}
        ranked = [value[name] for name in order]
        assert (np.diff(ranked) >= -1e-10).all(), order
        assert value["recursive"] <= value["distinct recursive"] + 1e-10


@given(probabilities(), probabilities(), st.integers(1, 40))
def test_two_tokens_are_the_general_rules(p: float, q: float, drafts: int) -> None:
    pair = ([p, 1 - p], [q, 1 - q])
    with mpmath.workdps(400):
        a, b = mpmath.mpf(p), mpmath.mpf(q)
        best = min(mpmath.mpf(1), a + 1 - b**drafts, 2 - a - (1 - b) ** drafts)
        reached, accepted, target = mpmath.mpf(1), mpmath.mpf(0), a
        for _ in range(drafts):
            share = min(target, b) + min(1 - target, 1 - b)
            accepted += reached * share
            reached *= 1 - share
            target = mpmath.mpf(1 if target > b else 0)
        point = {"target_mass": p, "draft_mass": q, "drafts": drafts}
        assert (
            abs(at_digits(rejection.two_token_recursive_rejection, 400, **point) - accepted) < 1e-30
        )
        assert abs(several.two_token_drafts_optimum(p, q, drafts) - best) <= 1e-13 * best
        got = rejection.two_token_recursive_rejection(p, q, drafts)
        assert abs(got - accepted) <= 1e-13 * accepted
    assert several.drafts_optimum(*pair, drafts=drafts) == pytest.approx(float(best), rel=1e-12)
    assert rejection.recursive_rejection(*pair, drafts=drafts) == pytest.approx(
        float(accepted), rel=1e-12, abs=1e-15
    )


@given(probabilities())
@few
def test_the_coupling_floor_is_one_minus_over_one_plus_the_variation(alpha: float) -> None:
    with mpmath.workdps(400):
        variation = 1 - mpmath.mpf(alpha)
        exact = (1 - variation) / (1 + variation)
        assert relative_error(several.coupling_floor(alpha), exact) < 1e-15


def test_equal_laws_are_always_accepted_and_disjoint_laws_never() -> None:
    p = np.array([0.2, 0.5, 0.3])
    for name in set(RULES) - {"membership"}:
        assert RULES[name](p, p, drafts=3) == pytest.approx(1), name
    for name, rule in RULES.items():
        assert rule([1.0, 0.0, 0.0], [0.0, 0.4, 0.6], drafts=2) == pytest.approx(0, abs=1e-15), name
    # Without replacement, all tokens drafted means that the target's choice is among them.
    assert several.drafts_optimum_distinct([0.9, 0.1], [0.1, 0.9], drafts=2) == 1
    assert rejection.recursive_rejection_distinct([0.9, 0.1], [0.1, 0.9], drafts=2) == 1
    assert several.gumbel_coupling(p, p) == pytest.approx(1)
    assert several.gumbel_coupling([1.0, 0.0], [0.0, 1.0]) == 0
