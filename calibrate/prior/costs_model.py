r"""Time of a pass from a model's shape, a device's peak rates and what software reaches of them.

    T = t_o + agg(t_l n_l, work) + 2 n_l t_r log2(count)
    work = (1 + kappa [B m > 1]) (u_m W(B m) + B S kv) / (e_m BW)
           + u_c (B m - 1) (phi + S phi_a) / (e_c R)

t_o is the engine's work around a pass, t_l the launches of one of n_l layers, t_r a step of the
reductions over the devices that share the pass. agg adds where launches are captured or run before
the work, and takes the larger where they run ahead of it (kernels launched one by one on an
accelerator): both were measured on one machine in
github.com/adixg/vllm-specdecode-cost-model@0796e27. W counts the experts that the tokens touch;
kappa is what a pass of several tokens reads more slowly than a pass of one. The products of one
token run while its weights are read, so computing counts from the second token on. u_m and u_c
apply to weights of 8 bits or fewer, which are unpacked as they are read, and again for the products
of several tokens.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ...theory.costs import compute_time, experts_touched, memory_time
from ...theory.domain import Floats
from ..models import Device, ModelShape, number_format

# Logarithms of: share of the peak bandwidth, share of the peak rate, launch of a layer [s], work
# around a pass [s], excess of reading for several tokens, reading and computing with packed weights
# over plain ones, one step of a reduction [s].
PARAMETERS = (
    "memory", "compute", "launch", "overhead", "switch", "packing", "unpack", "reduce",
)  # fmt: skip
_BITS_UNPACKED = 8.5
_OVERLAP = 6.0  # order of the norm where launches run ahead: near the larger, and smooth


@dataclass(frozen=True)
class Work:
    """What passes have to do, one entry each, all of shape (n,).

    weights: bytes that every pass reads, experts aside; expert: bytes of one expert, experts and
    active: of a layer; cache: bytes of one cached token; token_ops, attention_ops: operations;
    bandwidth, rate: peak of all devices together; layers; several: steps of a reduction over the
    devices; packed: weights of 8 bits or fewer; runs_ahead: launches overlap with the work; around:
    1 where the engine's work is part of the time, else 0.
    """

    weights: Floats
    expert: Floats
    experts: Floats
    active: Floats
    cache: Floats
    token_ops: Floats
    attention_ops: Floats
    bandwidth: Floats
    rate: Floats
    layers: Floats
    several: Floats
    packed: Floats
    runs_ahead: Floats
    around: Floats

    def __getitem__(self, index: object) -> Work:
        return Work(**{name: value[index] for name, value in vars(self).items()})


def work_of(
    shape: ModelShape,
    device: Device,
    *,
    dtype: str,
    kv_dtype: str,
    stack: str,
    forward: bool = False,
) -> Work:
    """The work of a model's passes on a device, arrays of shape (1,).

    Raises ValueError for an unknown format, and where the device lacks its arithmetic.
    """
    bandwidth = device.measured_bandwidth or device.bandwidth
    ahead = stack == "eager" and device.kind != "cpu"
    values = {
        "weights": shape.read_bytes(dtype),
        "expert": shape.expert_bytes(dtype) if shape.is_moe else 0.0,
        "experts": float(max(shape.experts, 1)),
        "active": float(max(shape.active_experts, 1)),
        "cache": shape.kv_bytes_per_token(kv_dtype),
        "token_ops": shape.token_ops(),
        "attention_ops": shape.attention_ops(),
        "bandwidth": bandwidth * device.count,
        "rate": device.rate(dtype) * device.count,
        "layers": float(shape.layers),
        "several": math.log2(device.count),
        "packed": float(number_format(dtype).bits <= _BITS_UNPACKED),
        "runs_ahead": float(ahead),
        "around": float(not forward),
    }
    return Work(**{name: np.array([value]) for name, value in values.items()})


def joined(works: Sequence[Work]) -> Work:
    """Several works one after the other."""
    names = vars(works[0])
    return Work(**{n: np.concatenate([getattr(w, n) for w in works]) for n in names})


@dataclass(frozen=True)
class Parts:
    """Parts of the time of passes, all of one shape [s]: they add up to ``total``.

    memory, compute, launch: little where they hide behind another part; packed: the part of memory
    that reads packed weights; switch: what is there only with several tokens.
    """

    memory: Floats
    packed: Floats
    switch: Floats
    compute: Floats
    launch: Floats
    reduce: Floats
    overhead: Floats

    @property
    def total(self) -> Floats:
        """Time of the pass [s]."""
        work = self.memory + self.switch + self.compute  # packed is a part of memory
        return np.asarray(work + self.launch + self.reduce + self.overhead)


@dataclass(frozen=True)
class Peak:
    """Times of passes at the peak rates, before any loss, of one shape [s].

    weights, cache: reading them; compute: products from the second token on; several: 1 where the
    pass has several tokens.
    """

    weights: Floats
    cache: Floats
    compute: Floats
    several: Floats


def peak_times(work: Work, *, tokens: Floats, batch: Floats, cached: Floats) -> Peak:
    """Times at the peak rates of passes over ``tokens`` tokens of each of ``batch`` sequences.

    cached: tokens that a layer attends to on average. Everything broadcasts.
    """
    touched = experts_touched(tokens, batch, experts=work.experts, active_experts=work.active)
    read = {"weight_bytes": work.weights + work.expert * touched, "bandwidth": work.bandwidth}
    weights = memory_time(batch, 0.0, kv_bytes=0.0, **read)
    cache = memory_time(batch, cached, kv_bytes=work.cache, **read) - weights
    compute = compute_time(
        tokens,
        batch,
        context=cached,
        token_ops=work.token_ops,
        attention_ops=work.attention_ops,
        compute_rate=work.rate,
    )
    total = np.asarray(tokens * batch, dtype=np.float64)
    later = np.asarray(compute) * (1.0 - 1.0 / total)
    several = np.where(total > 1.0, 1.0, 0.0) + 0.0 * later
    return Peak(np.asarray(weights) + 0.0 * later, np.asarray(cache), later, several)


def pass_parts(work: Work, values: Mapping[str, Floats], peak: Peak) -> Parts:
    """Parts of the times of passes with what software reaches of the peak.

    values: exponentials of PARAMETERS. Everything broadcasts.
    """
    packing, unpacking = _packed(work, values)
    weights = peak.weights * packing / values["memory"]
    reading = weights + peak.cache / values["memory"]
    slower = reading * values["switch"] * peak.several
    computing = peak.compute * unpacking / values["compute"]
    launch = work.layers * values["launch"]
    busy = reading + slower + computing
    norm = _norm(busy, launch)
    # Shares of the norm (x^p + y^p)^(1/p) = x (x/norm)^(p-1) + y (y/norm)^(p-1).
    ahead = work.runs_ahead > 0.0
    of_busy = np.where(ahead, (busy / norm) ** (_OVERLAP - 1.0), 1.0)
    of_launch = np.where(ahead, (launch / norm) ** (_OVERLAP - 1.0), 1.0)
    return Parts(
        reading * of_busy,
        weights * of_busy * work.packed,
        slower * of_busy,
        computing * of_busy,
        launch * of_launch,
        2.0 * work.layers * values["reduce"] * work.several + 0.0 * busy,
        values["overhead"] * work.around + 0.0 * busy,
    )


def pass_times(work: Work, values: Mapping[str, Floats], peak: Peak) -> Floats:
    """Times of passes of one model, (draws, tokens): `pass_parts` added up, but faster.

    work: of one model, arrays of shape (1,); values: of shape (draws,); peak: of shape (tokens,).
    """
    packing, unpacking = _packed(work, values)
    slow = 1.0 / values["memory"]
    later = slow * values["switch"]
    rates = [slow * packing, slow, later * packing, later, unpacking / values["compute"]]
    again = [peak.weights * peak.several, peak.cache * peak.several]
    busy = np.stack(rates).T @ np.stack([peak.weights, peak.cache, *again, peak.compute])
    launch = (work.layers * values["launch"])[:, None]
    around = values["overhead"] * work.around + 2.0 * work.layers * values["reduce"] * work.several
    joined_up = _norm(busy, launch) if work.runs_ahead[0] > 0.0 else busy + launch
    return np.asarray(joined_up + around[:, None])


def _packed(work: Work, values: Mapping[str, Floats]) -> tuple[Floats, Floats]:
    """What packed weights cost in reading and in computing, 1 for plain ones."""
    packed = work.packed > 0.0
    return np.where(packed, values["packing"], 1.0), np.where(packed, values["unpack"], 1.0)


def _norm(busy: Floats, launch: Floats) -> Floats:
    large, small = np.maximum(busy, launch), np.minimum(busy, launch)
    return np.asarray(large * (1.0 + (small / large) ** _OVERLAP) ** (1.0 / _OVERLAP))
