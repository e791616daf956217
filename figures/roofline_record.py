"""What a cost record says of its machine, and every pass beside its floor.

Of a machine: bandwidth, launches, rates and cache.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..calibrate.models import device, number_format
from ..calibrate.records import Record
from .roofline import TimedModel

# Cache that all of a chip shares, before its memory [byte], by the first word of its name.
_CACHES = {
    "V100": 6e6,  # NVIDIA V100 architecture whitepaper
    "T4": 4e6,  # NVIDIA Turing architecture whitepaper
    "A100": 40e6,  # NVIDIA A100 architecture whitepaper
    "H100": 50e6,  # NVIDIA H100 architecture whitepaper
    "H200": 50e6,  # the same chip with other memory
}


@dataclass(frozen=True)
class Quartiles:
    """Median and quartiles of the repeats of one measurement."""

    low: float
    median: float
    high: float

    def over(self, base: float) -> Quartiles:
        """The same in units of ``base``."""
        return Quartiles(self.low / base, self.median / base, self.high / base)


def quartiles(times: Any) -> Quartiles:
    """The quartiles of what was measured. Raises ValueError unless all of it is above 0."""
    values = np.asarray(times, dtype=np.float64)
    if not (values > 0.0).all():
        raise ValueError(f"times_s must be in (0, inf), got {values.min():g}")
    low, median, high = (float(q) for q in np.quantile(values, (0.25, 0.5, 0.75)))
    return Quartiles(low, median, high)


@dataclass(frozen=True)
class Machine:
    """The limits of a machine, as far as a record and the table of devices know them.

    bandwidth: of a large copy [byte/s]; copied: bytes of one side of it; launch_s: of an operation
    that does nothing; peak: operations per second of the table, of GPUs only, since the rates of a
    CPU are those of all its cores; reached: the highest rate of any pass [op/s]; cache: bytes.
    """

    device: str
    bandwidth: Quartiles | None
    copied: float | None
    launch_s: Quartiles | None
    peak: float | None
    reached: float | None
    cache: float | None

    @property
    def rate(self) -> float | None:
        """The peak, or where it is not known the highest rate that a pass reached."""
        return self.peak or self.reached

    def cached(self, moved: float | None) -> str:
        """Whether so many bytes can stay in a cache from pass to pass: yes, no or unknown.

        Where the size of the cache is not known, only what is larger than the tensor that was
        copied, which was chosen to be far beyond any cache, is sure not to fit.
        """
        if moved is None:
            return "unknown"
        if self.cache is not None:
            return "yes" if moved <= self.cache else "no"
        return "no" if self.copied is not None and moved >= self.copied else "unknown"


def machine_of(record: Record, models: Mapping[str, TimedModel]) -> Machine:
    """The machine of a cost record."""
    copies = [p for p in timed_points(record, "copy_bandwidth") if p.get("bytes")]
    launches = [p for p in timed_points(record, "launch") if p.get("launches")]
    bandwidth = copied = launch = None
    if copies:
        size = float(copies[0]["bytes"])  # read and written
        times = quartiles(copies[0]["times_s"])
        bandwidth = Quartiles(size / times.high, size / times.median, size / times.low)
        copied = 0.5 * size
    if launches:
        launch = quartiles(launches[0]["times_s"]).over(launches[0]["launches"])
    name = str(record.provenance.get("device") or "unknown device")
    peak, cache = _from_table(name, next(iter(models.values())).dtype)
    reached = _highest_rate(record, models)
    return Machine(name, bandwidth, copied, launch, peak, reached, cache)


def timed_points(record: Record, operation: str) -> Iterator[dict[str, Any]]:
    return (p for p in record.points if p["operation"] == operation and p.get("times_s"))


def _from_table(name: str, dtype: str) -> tuple[float | None, float | None]:
    """(peak rate, bytes of cache) of a GPU of the table; None for what is not known.

    A device without units for a number format computes it at a rate that the table does not say.
    """
    try:
        found = device(name)
    except ValueError:
        return None, None
    if found.kind != "gpu":
        return None, None
    native = number_format(dtype).arithmetic in found.rates
    return found.rate(dtype) if native else None, _CACHES.get(found.name.partition(" ")[0])


def _highest_rate(record: Record, models: Mapping[str, TimedModel]) -> float | None:
    rates = []
    for p in timed_points(record, "pass"):
        at = {"batch": p["batch"], "context": p["context"]}
        ops = models[p["model"]].compute_s(p["tokens"], **at, rate=1.0)
        if ops is not None:
            rates.append(ops / float(np.median(p["times_s"])))
    return max(rates) if rates else None


MODES = ("eager", "graph")


@dataclass(frozen=True)
class PassRow:
    """One pass of a record in both modes; None where it was not measured or is not known.

    moved: bytes that it must move; memory_s: these at the copy's bandwidth; compute_s: its
    operations at the peak, reached_s: at the highest rate of the record where there is no peak.
    """

    model: TimedModel
    tokens: int
    batch: int
    context: int
    times: Mapping[str, Quartiles]
    moved: float | None
    memory_s: float | None
    compute_s: float | None
    reached_s: float | None
    cached: str

    @property
    def place(self) -> tuple[int, int]:
        """(batch, context)."""
        return self.batch, self.context

    @property
    def key(self) -> tuple[str, int, int, int]:
        """What tells it from the other passes: model, place, new tokens."""
        return (self.model.name, *self.place, self.tokens)

    @property
    def floor_s(self) -> float | None:
        """The larger of the two floors that are known [s]."""
        known = [t for t in (self.memory_s, self.compute_s) if t is not None]
        return max(known) if known else None

    @property
    def work_s(self) -> float | None:
        """The floor, with the highest rate reached in place of a peak that is not known [s]."""
        known = [t for t in (self.floor_s, self.reached_s) if t is not None]
        return max(known) if known else None

    def median_s(self, mode: str) -> float | None:
        """Median time in a mode [s]."""
        return self.times[mode].median if mode in self.times else None

    def over_floor(self, mode: str) -> float | None:
        """Measured time over the floor."""
        return _ratio(self.median_s(mode), self.floor_s)

    @property
    def eager_over_graph(self) -> float | None:
        """How much slower the same pass is where every operation is launched from the host."""
        return _ratio(self.median_s("eager"), self.median_s("graph"))


def _ratio(above: float | None, below: float | None) -> float | None:
    return above / below if above is not None and below else None


def pass_rows(record: Record, models: Mapping[str, TimedModel], machine: Machine) -> list[PassRow]:
    """Every pass of a record, the largest model first.

    Raises ValueError for an unknown mode, and where no pass has times.
    """
    found: dict[tuple[str, int, int, int], dict[str, Quartiles]] = {}
    for p in timed_points(record, "pass"):
        if p["mode"] not in MODES:
            raise ValueError(f"mode must be one of {', '.join(MODES)}, got {p['mode']!r}")
        key = (p["model"], p["batch"], p["context"], p["tokens"])
        found.setdefault(key, {})[p["mode"]] = quartiles(p["times_s"])
    if not found:
        raise ValueError("record must hold at least one pass with times, got none")
    rows = []
    for (name, batch, context, tokens), times in found.items():
        model = models[name]
        moved = model.pass_bytes(tokens, batch=batch, context=context)
        memory = moved / machine.bandwidth.median if moved and machine.bandwidth else None
        rates = (machine.peak, machine.reached if machine.peak is None else None)
        compute, reached = (
            model.compute_s(tokens, batch=batch, context=context, rate=rate) for rate in rates
        )
        rows.append(PassRow(model, tokens, batch, context, times, moved, memory, compute, reached,
                            machine.cached(moved)))  # fmt: skip
    return sorted(rows, key=lambda r: (-r.model.parameters, r.model.name, *r.place, r.tokens))
