"""Kernels compile with or without a folder to keep them in."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import pytest
from howspec.sim.rounds.compiled import check_count, compile_kernel, compiled


def add(a: float, b: float) -> float:
    return a + b


def test_a_kernel_is_compiled_once_and_gives_the_function() -> None:
    assert compiled(add) is compiled(add)
    assert compiled(add)(2.0, 3.0) == 5.0


def test_without_a_folder_for_the_cache_the_kernel_still_compiles(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    original, asked = numba.njit, []

    def refusing(*signature: Any, cache: bool = False, **options: Any) -> Any:
        asked.append(cache)
        if cache:
            raise RuntimeError("cannot cache function 'add': no locator available")
        return original(*signature, **options)

    monkeypatch.setattr(numba, "njit", refusing)
    kernel = compile_kernel(add, numba.types.float64(numba.types.float64, numba.types.float64))
    assert kernel(1.0, 0.5) == 1.5
    assert asked == [True, False]


@pytest.mark.parametrize("good", [1, 7.0, np.int64(3), np.float32(2.0)])
def test_whole_numbers_of_any_type_are_counts(good: Any) -> None:
    assert check_count("batch", good) == int(good)


@pytest.mark.parametrize("bad", [0, -1, 1.5, float("nan"), float("inf"), "3x", [1, 2], None])
def test_anything_else_is_refused_in_one_line(bad: Any) -> None:
    with pytest.raises(ValueError, match="batch must be") as error:
        check_count("batch", bad)
    assert "\n" not in str(error.value)
