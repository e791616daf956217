"""Statistics of requests that are streamed: what a later chunk of a request says counts alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

_T = TypeVar("_T")
_OPEN = 20_000


class Latest(Generic[_T]):
    """Keeps the latest value of each name and hands it on when its request is over.

    A request is over with its last chunk, with the end of the source, or when 20,000 others came
    after it, so that memory does not grow with the source.
    """

    def __init__(
        self, done: Callable[[_T], None], follows: Callable[[_T, _T], bool] = lambda a, b: True
    ) -> None:
        """done: takes what is over; follows: whether the second can be a later chunk of the first.

        Where it cannot, because a count fell, two requests share a name and both count.
        """
        self._done, self._follows = done, follows
        self._open: dict[str, _T] = {}
        self.replaced = 0

    def put(self, name: Any, value: _T, *, last: bool = False) -> None:
        """Take the value of a chunk; a request without a name, or with its last chunk, is over."""
        if not isinstance(name, str):
            self._done(value)
            return
        before = self._open.pop(name, None)
        if before is not None:
            if self._follows(before, value):
                self.replaced += 1
            else:
                self._done(before)
        if last:
            self._done(value)
            return
        self._open[name] = value
        if len(self._open) > _OPEN:
            self._done(self._open.pop(next(iter(self._open))))

    def close(self) -> None:
        """Hand on every request that is still open."""
        while self._open:
            self._done(self._open.pop(next(iter(self._open))))
