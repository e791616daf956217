"""Compiling kernels with Numba, so that they also work from an installed, read-only package.

Compiled code is kept beside the source where that folder can be written, else in the user's cache
folder (or `NUMBA_CACHE_DIR`). Where neither can be written the kernel is compiled anew in each
process instead of failing. A kernel calls no kernel of another file: Numba notices a change of a
kernel's own file only.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any, TypeVar, cast

from ...theory.domain import as_floats

F = TypeVar("F", bound=Callable[..., Any])


def compile_kernel(function: F, signature: Any = None) -> F:
    """Compile ``function`` with Numba and release the interpreter lock while it runs.

    signature: a Numba signature, to compile now; without one each new set of argument types is
    compiled at its first call.
    """
    njit: Any = import_module("numba").njit
    given = () if signature is None else (signature,)
    try:
        return cast(F, njit(*given, cache=True, nogil=True)(function))
    except RuntimeError:  # no folder in which compiled code could be kept
        return cast(F, njit(*given, nogil=True)(function))


def numba_types() -> Any:
    """Numba's module of types, loaded at the first use."""
    return import_module("numba").types


@cache
def compiled(function: F) -> F:
    """The compiled form of a plain function, made at the first use and then reused."""
    return compile_kernel(function)


def check_count(name: str, value: int, *, low: int = 1) -> int:
    """Return a whole number of at least ``low``, or raise ValueError naming it and its range."""
    number = as_floats(name, value)
    if number.ndim or not (number >= low and number < 2**62 and number == int(number)):
        raise ValueError(f"{name} must be an integer in [{low}, inf), got {value!r}")
    return int(number)
