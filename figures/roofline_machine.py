"""What a cost record says of its machine: bandwidth, launches, rates and cache."""

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
        bandwidth, copied = (
            Quartiles(size / times.high, size / times.median, size / times.low),
            0.5 * size,
        )
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
        ops = models[p["model"]].compute_s(
            p["tokens"], batch=p["batch"], context=p["context"], rate=1.0
        )
        if ops is not None:
            rates.append(ops / float(np.median(p["times_s"])))
    return max(rates) if rates else None
