"""Long arrays, evaluated in blocks, give what short ones give."""

from __future__ import annotations

import numpy as np
from howspec.theory import best_gamma, optimal_gamma, speedup, tokens_per_round
from howspec.theory.domain import BLOCK, in_blocks


def _points(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    alpha = rng.random(n)
    alpha[::97], alpha[5::89] = 1.0, 0.0
    return alpha, rng.integers(0, 33, n).astype(float), rng.random(n) ** 2


def test_every_element_of_a_long_array_is_what_it_is_alone() -> None:
    n = 5 * BLOCK + 123
    alpha, gamma, cost = _points(n)
    parts = [slice(i, i + 1000) for i in range(0, n, 1000)]
    for function, arguments in (
        (tokens_per_round, (alpha, gamma)),
        (speedup, (alpha, gamma, cost)),
        (optimal_gamma, (alpha, cost)),
        (best_gamma, (alpha, cost)),
    ):
        whole = function(*arguments)
        pieces = [function(*(a[p] for a in arguments)) for p in parts]
        np.testing.assert_array_equal(whole, np.concatenate(pieces))


def test_long_results_keep_their_shape_whatever_is_broadcast() -> None:
    alpha = np.linspace(0, 1, 300)[:, None]
    gamma = np.arange(200.0)
    table = tokens_per_round(alpha, gamma)
    assert table.shape == (300, 200)
    assert table.size > 2 * BLOCK
    np.testing.assert_array_equal(table[7], tokens_per_round(alpha[7], gamma))
    np.testing.assert_array_equal(table[:, 9], tokens_per_round(alpha[:, 0], 9))
    turned = tokens_per_round(np.asfortranarray(np.broadcast_to(alpha, (300, 200)).copy()), gamma)
    np.testing.assert_array_equal(turned, table)


def test_a_function_sees_blocks_and_short_arrays_at_once() -> None:
    sizes: list[int] = []

    def double(x: np.ndarray) -> np.ndarray:
        sizes.append(x.size)
        return 2 * x

    long = np.arange(3.0 * BLOCK)
    np.testing.assert_array_equal(in_blocks(double, long), 2 * long)
    assert max(sizes) <= BLOCK
    assert sum(sizes) == long.size
    sizes.clear()
    assert in_blocks(double, np.arange(2.0 * BLOCK)).shape == (2 * BLOCK,)
    assert sizes == [2 * BLOCK]
