"""Records of servers, one or several of one model: configurations, their times and acceptance.

Times are those while a whole wave decodes: from the last first token to the earliest end, so that
neither a prompt nor a half-empty batch is among them. A step of the target is one of its passes
over a sequence; steps that drafted nothing count as rounds that accepted nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..records import Record, is_record, read_record

Floats = NDArray[np.float64]
Point = Mapping[str, Any]
PLAIN = (None, "plain", 0)


@dataclass(frozen=True)
class Configuration:
    """What a server ran with: a draft (None where it has no name), its method, and gamma."""

    draft: str | None
    method: str
    gamma: int

    @property
    def called(self) -> str:
        """In words."""
        if self.gamma == 0:
            return "plain"
        return f"{self.draft or self.method}, gamma {self.gamma}"


@dataclass(frozen=True)
class Wave:
    """One wave: requests that started together.

    window_s, window_tokens: the time in which all of them decoded, and the tokens that came in it;
    steps: of the target over a sequence, first tokens apart; accepted, reached: accepted tokens,
    and steps that accepted at least k = 1..gamma, None where that is not known; start: which start
    of the server it belongs to.
    """

    point: Point
    window_s: float
    window_tokens: int
    first_s: Floats
    gaps_s: Floats
    end_s: float
    steps: int | None
    accepted: int | None
    reached: Floats | None
    start: tuple[int, int]

    @property
    def tokens(self) -> int:
        """All that the requests generated."""
        return int(sum(self.point["tokens"]))

    @property
    def token_s(self) -> float:
        """Time of a token of one sequence."""
        return self.window_s * int(self.point["batch"]) / self.window_tokens

    @property
    def tokens_per_step(self) -> float | None:
        """Tokens per step of the target; exactly 1 for plain decoding."""
        if self.steps is None or self.accepted is None:
            return None
        return 1.0 + self.accepted / self.steps

    @property
    def context(self) -> float:
        """Cached tokens of a sequence, on average over its decoding."""
        prompts = self.point["prompt_tokens"] or [0]
        return float(np.mean(prompts)) + 0.5 * self.tokens / len(self.point["tokens"])


def wave_of(point: Point, record: int = 0) -> Wave:
    """A point of a record of kind "serving", the number of which tells its start from others'.

    Raises ValueError where its lists do not fit.
    """
    sizes = point["arrivals"]
    times, counts = point["arrivals_s"], point["arrived"]
    if not sizes or len(times) != sum(sizes) or len(counts) != sum(sizes) or 0 in sizes:
        raise ValueError("arrivals must say how many of arrivals_s and arrived are of each request")
    ends = np.cumsum(sizes)[:-1]
    at = [np.asarray(a, dtype=np.float64) for a in np.split(np.asarray(times), ends)]
    got = [np.asarray(n, dtype=np.int64) for n in np.split(np.asarray(counts), ends)]
    first, last = max(float(a[0]) for a in at), min(float(a[-1]) for a in at)
    if last <= first:  # one that ended before another began: the wave as a whole stands in
        first, last = min(float(a[0]) for a in at), max(float(a[-1]) for a in at)
    tokens = sum(_by(a, n, last) - _by(a, n, first) for a, n in zip(at, got, strict=True))
    return Wave(
        point, last - first, max(int(tokens), 1),
        np.array([a[0] for a in at]) - np.asarray(point["start_s"], dtype=np.float64),
        np.concatenate([np.diff(a) for a in at]), max(float(a[-1]) for a in at),
        *_steps(point), (record, int(point.get("start", 0))),
    )  # fmt: skip


def _by(times: Floats, arrived: NDArray[np.int64], moment: float) -> int:
    """Tokens that had come by a moment."""
    at = int(np.searchsorted(times, moment, side="right"))
    return int(arrived[at - 1]) if at else 0


def _steps(point: Point) -> tuple[int | None, int | None, Floats | None]:
    """(steps, accepted, steps that accepted at least k) of a wave.

    The last round of a request may accept more than the request has room for, so that the rounds
    can be more than tokens less accepted.
    """
    gamma, accepted = int(point["gamma"]), point["accepted"]
    behind = sum(point["tokens"]) - len(point["tokens"])
    if gamma == 0:
        return max(behind, 1), 0, None
    if accepted is None:
        return None, None, None
    steps = max(int(point["rounds"] or 0), behind - int(accepted), 1)
    ladder = point["accepted_by_position"]
    if ladder is None:
        return steps, int(accepted), None
    reached = np.zeros(gamma)
    reached[: len(ladder)] = ladder[:gamma]
    return steps, int(accepted), reached


@dataclass(frozen=True)
class Served:
    """Measurements of servers of one model; see `served_of`."""

    records: tuple[Record, ...]

    @cached_property
    def waves(self) -> dict[Configuration, dict[int, list[Wave]]]:
        """Waves by configuration and batch, both in rising order."""
        found: dict[Configuration, dict[int, list[Wave]]] = {}
        for number, record in enumerate(self.records):
            for p in record.points:
                found.setdefault(_configuration(p), {}).setdefault(int(p["batch"]), []).append(
                    wave_of(p, number)
                )
        order = sorted(found, key=lambda c: (c.gamma, c.draft or "", c.method))
        return {c: dict(sorted(found[c].items())) for c in order}

    @property
    def drafts(self) -> tuple[str, ...]:
        """Drafts, or methods where these have no name, that were measured."""
        return tuple(dict.fromkeys(c.draft or c.method for c in self.waves if c.gamma))

    def only(self, keep: Callable[[Configuration], bool]) -> Served:
        """The measurements of some of the configurations, of which there must be one."""
        kept = []
        for record in self.records:
            points = tuple(p for p in record.points if keep(_configuration(p)))
            if points:
                kept.append(replace(record, points=points))
        return Served(tuple(kept))

    @property
    def model(self) -> str:
        """The model that was served."""
        return model_of(self.records[0])

    @property
    def engine(self) -> str:
        """The engine with its version."""
        told = self.records[0].provenance.get("server", {})
        return f"{told.get('engine', 'unknown')} {told.get('version', '')}".strip()

    @property
    def temperature(self) -> float:
        """Of sampling."""
        return float(self.records[0].settings.get("temperature", 0.0))

    def plain(self) -> dict[int, list[Wave]]:
        """Waves of plain decoding by batch, empty where it was not measured."""
        return self.waves.get(Configuration(*PLAIN), {})

    def of_draft(self, draft: str | None = None) -> dict[int, dict[int, list[Wave]]]:
        """Waves of one draft by gamma and batch.

        draft: its name or its method, needed where the records hold several. Raises ValueError
        without speculation, and for a draft that there is not.
        """
        speculative = [c for c in self.waves if c.gamma]
        if not speculative:
            raise ValueError("the servers did not speculate: plain decoding alone was measured")
        names = {(c.draft, c.method) for c in speculative}
        chosen = [n for n in names if draft is not None and draft in n]
        if len(names) == 1 and not chosen:
            chosen = list(names)
        if len(chosen) != 1:
            known = ", ".join(sorted(d or m for d, m in names))
            raise ValueError(f"several drafts were measured, name one: {known}; got {draft!r}")
        return {c.gamma: self.waves[c] for c in speculative if (c.draft, c.method) == chosen[0]}


def _configuration(point: Point) -> Configuration:
    return Configuration(point["draft"], str(point["method"]), int(point["gamma"]))


def model_of(record: Record) -> str:
    """The model of a record of kind "serving"."""
    return next(iter(record.provenance.get("models") or {}), "unknown")


def served_of(source: str | Path | Record | Served) -> Served | None:
    """The records of servers behind a source: a file, or a folder of them; None for anything else.

    Raises ValueError where they are of different models, prompts, lengths or temperatures.
    """
    if isinstance(source, Served):
        return source
    if isinstance(source, Record):
        return Served((source,)) if source.kind == "serving" else None
    path = Path(source)
    files = sorted(path.glob("*.json*")) if path.is_dir() else [path]
    records = [r for f in files if (r := _record(f)) is not None]
    if not records:
        return None
    for file, other in zip(files[1:], records[1:], strict=False):
        _check_alike(records[0], other, file)
    return Served(tuple(records))


_ALIKE = ("new_tokens", "temperature", "seed", "api", "prompts")


def _check_alike(first: Record, other: Record, file: Path) -> None:
    mine, its = model_of(first), model_of(other)
    if mine != its:
        raise ValueError(f"{file}: is of the model {its}, others there are of {mine}")
    for name in _ALIKE:
        here, there = (_without_texts(r.settings.get(name)) for r in (first, other))
        if here != there:
            raise ValueError(f"{file}: was measured with {name} {there}, others with {here}")


def _without_texts(value: Any) -> Any:
    return {k: v for k, v in value.items() if k != "texts"} if isinstance(value, dict) else value


def _record(file: Path) -> Record | None:
    """The record of a server that a file holds, begun or finished; None for anything else."""
    if not (file.name.endswith((".json", ".json.gz")) and file.is_file() and is_record(file)):
        return None
    with_kind = read_record(file)
    return with_kind if with_kind.kind == "serving" else None
