r"""Time of a pass from a model's shape, a device's peak rates and what software reaches of them.

    T = t_o + agg(t_l n_l, (R^q + C^q)^(1/q)) + 2 n_l t_r log2(count)
    R = (1 + kappa [B m > 1]) (u_m W(B m) + B S kv) / (e_m BW)
    C = u(B m) (B m - 1) (phi + S phi_a) / (e_c R_peak)
    u(n) = 1 for plain weights, for packed ones about the least of tile / n, or 1, and
    u_c e_c R_peak / R_lanes

t_o is the engine's work around a pass, t_l the launches of one of n_l layers, t_r a step of the
reductions over the devices that share the pass. agg adds where launches are captured or run before
the work, and takes the larger where they run ahead of it (kernels launched one by one on an
accelerator): both were measured on one machine in
github.com/adixg/vllm-specdecode-cost-model@0796e27. W counts the experts that the tokens touch;
kappa is what a pass of several tokens reads more slowly than a pass of one.

Reading R and computing C overlap: q = 1 adds them, a large q takes the larger, so that further
tokens are nearly free where memory bounds and cost their products where computing does; q is
learned for each stack. The products of one token run while its weights are read, so computing
counts from the second token on. Packed weights (16 bits unpacked as they are read, or blocks of
fewer bits) are read u_m times as slowly; few tokens are multiplied one by one on the lanes of 32
bits, each in u_c times what these take at their peak R_lanes, and many in tiles (of 32, of servers
16) on the matrix units (where there are some) that cost the same however many are filled: V(n) of
github.com/mxxm-t/mx-llama.cpp issue 10 and github.com/sathvik-vadari/spec-decode-advisor@9f9d462
rises to 8 or 12 tokens, is flat to 32 and doubles at 33. So V(8) is about 2 on an old card, on a
new one with matrix units and on Apple's chips alike: their lanes and bandwidths stand in one ratio.
MLX on M1 and M2 is the exception: its kernel reads packed weights again for every token (`_AGAIN`).
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ...theory.costs import compute_time, experts_touched, memory_time
from ...theory.domain import Floats
from ..models import Device, ModelShape, number_format
from ..tables.schema import table_lines

# What software reaches, one parameter a row, fitted and drawn as logarithms.
_TABLE = {row["name"]: row for row in csv.DictReader(table_lines(__package__, "costs_parameters"))}
PARAMETERS = tuple(_TABLE)
# Of the common prior: median, and standard deviation of the logarithm of the common mean and of a
# stack around it. Shares of a peak are known within a factor; times of launches hardly at all.
COMMON = {
    name: (float(row["median"]), float(row["spread"]), float(row["stacks"]))
    for name, row in _TABLE.items()
}
# Deviations of a source; the work around a pass and the launches are of one processor.
DEVIATIONS = {name: row["deviation"] for name, row in _TABLE.items() if row["deviation"]}
_PACKED = ("unpacked", "blocks")  # kernels that multiply in another format than that of the weights
# Tokens that a matrix kernel of packed weights takes at once: of llama.cpp and MLX, and those of
# the smallest instruction of NVIDIA's units, which kernels of servers use (arXiv:2408.11743).
_TILE, _INSTRUCTION = 32.0, 16.0
_SWITCH = 6.0  # order of the minimum of two kinds of kernels: near the smaller, and smooth
_AHEAD = 6.0  # order of the norm where launches run ahead: near the larger, and smooth
# github.com/ml-explore/mlx/pull/3764: `qmv` reads packed weights again for every row, and the
# kernel that does not is for Apple's GPUs from M3 on; a part of it comes out of the caches. What a
# further token reads, over the weights: rounds on M1 Pro, M1 Max, M1 Ultra and M2 Max amount to 0.5
# to 0.75 (lmstudio-ai/mlx-engine issues 103 and 113, ARahim3/mlx-dspark issue 38, pulls
# ml-explore/mlx-lm 990 and lablup/mlxcel 1182). In tiles a pass costs about 4 plain ones up to 32
# tokens (mlx pull 3863).
_AGAIN, _DEAREST = 0.6, 4.0
_REREADS = re.compile(r"Apple M[12]\b")


@dataclass(frozen=True)
class Work:
    """What passes have to do, one entry each, all of shape (n,).

    weights: bytes that every pass reads, experts aside; expert: bytes of one expert, experts and
    active: of a layer; cache: bytes of one cached token; token_ops, attention_ops: operations;
    bandwidth, rate: peak of all devices together; lanes: that rate over the one of 32 bits; layers;
    several: steps of a reduction over the devices; packed: weights that are unpacked; nested: their
    scales are packed too; again: share of them that each further token reads again; tile: tokens
    that their matrix kernel takes at once; runs_ahead: launches overlap with the work; around: 1
    where the engine's work is part of the time, else 0.
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
    lanes: Floats
    layers: Floats
    several: Floats
    packed: Floats
    nested: Floats
    again: Floats
    tile: Floats
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
    rate, form = device.rate(dtype), number_format(dtype)
    ahead = stack == "eager" and device.kind != "cpu"
    packed = form.kernel in _PACKED
    affine = packed and not form.name.startswith("mxfp")  # those have the other kernel everywhere
    rereads = affine and stack == "mlx" and _REREADS.match(device.name) is not None
    values = {
        "weights": shape.read_bytes(dtype),
        "expert": shape.expert_bytes(dtype) if shape.is_moe else 0.0,
        "experts": float(max(shape.experts, 1)),
        "active": float(max(shape.active_experts, 1)),
        "cache": shape.kv_bytes_per_token(kv_dtype),
        "token_ops": shape.token_ops(),
        "attention_ops": shape.attention_ops(),
        "bandwidth": bandwidth * device.count,
        "rate": rate * device.count,
        "lanes": rate / device.rates.get("fp32", rate),
        "layers": float(shape.layers),
        "several": math.log2(device.count),
        "packed": float(packed),
        "nested": float(form.nested),
        "again": _AGAIN if rereads else 0.0,
        "tile": _TILE if stack in ("llama.cpp", "mlx") else _INSTRUCTION,
        "runs_ahead": float(ahead),
        "around": float(not forward),
    }
    return Work(**{name: np.array([value]) for name, value in values.items()})


@dataclass(frozen=True)
class Peak:
    """Times of passes at the peak rates, before any loss, of one shape [s].

    weights, cache: reading them; compute: products from the second token on; several: 1 where the
    pass has several tokens; tiles: products of tokens in whole tiles, over those of the tokens.
    """

    weights: Floats
    cache: Floats
    compute: Floats
    several: Floats
    tiles: Floats


def peak_times(work: Work, *, tokens: Floats, batch: Floats, cached: Floats) -> Peak:
    """Times at the peak rates of passes over ``tokens`` tokens of each of ``batch`` sequences.

    cached: tokens that a layer attends to on average. Everything broadcasts.
    """
    sizes = work.weights
    if work.expert.any():
        counts = {"experts": work.experts, "active_experts": work.active}
        sizes = sizes + work.expert * experts_touched(tokens, batch, **counts)
    read = {"weight_bytes": sizes, "bandwidth": work.bandwidth}
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
    again = np.minimum(work.again * (total - 1.0), _DEAREST - 1.0)
    weights = weights + again * work.weights / work.bandwidth  # tokens touch experts of their own
    later = np.asarray(compute) * (1.0 - 1.0 / total)
    several = np.where(total > 1.0, 1.0, 0.0) + 0.0 * later
    tiles = np.maximum(1.0, work.tile / total) + 0.0 * later
    return Peak(weights + 0.0 * later, cache + 0.0 * later, later, several, tiles)


def pass_times(work: Work, values: Mapping[str, Floats], peak: Peak) -> Floats:
    """Times of passes with what software reaches of the peak [s].

    values: exponentials of PARAMETERS. Everything broadcasts; what no pass needs is not computed.
    """
    packed, ahead = work.packed > 0.0, work.runs_ahead > 0.0
    weights, computing = peak.weights, peak.compute / values["compute"]
    if packed.any():
        weights = weights * np.where(packed, values["packing"], 1.0)
        computing = computing * _unpacking(work, _each(work, values), peak)
    reading = (weights + peak.cache) / values["memory"]
    reading = reading * (1.0 + values["switch"] * peak.several)
    busy = _power_mean(reading, computing, 1.0 + values["overlap"])
    launch = work.layers * values["launch"]
    around = values["overhead"] * work.around + 2.0 * work.layers * values["reduce"] * work.several
    times = busy + (launch + around)
    if ahead.any():
        times = np.where(ahead, _power_mean(busy, launch, _AHEAD) + around, times)
    return np.asarray(times)


def draw_times(
    work: Work,
    values: Mapping[str, Floats],
    factor: Floats,
    *,
    tokens: Floats,
    batch: float,
    cached: float,
) -> Floats:
    """Times of a pass over 1 or more tokens of a model, (draws, len(tokens)) [s].

    work: of one model, arrays of shape (1,); values, factor: of shape (draws,), the latter how much
    slower than its shape says the model runs; the rest as of `pass_times` and `peak_times`. The
    draws of one number of tokens stand one after the other.
    """
    at = tokens[:, None]
    peak = peak_times(work, tokens=at, batch=np.asarray(batch), cached=np.asarray(cached))
    return (pass_times(work, values, peak) * factor).T


def _each(work: Work, values: Mapping[str, Floats]) -> Floats:
    """What multiplying packed weights with one token costs, in products on the matrix units."""
    nested = np.where(work.nested > 0.0, values["nested"], 1.0)
    return np.asarray(work.lanes * values["unpack"] * nested * values["compute"])


def _unpacking(work: Work, each: Floats, peak: Peak) -> Floats:
    """What packed weights cost in computing, 1 for plain ones: ``each`` one by one, or in tiles."""
    lower = _power_mean(1.0 / each, 1.0 / peak.tiles, _SWITCH)
    return np.where(work.packed > 0.0, 1.0 / lower, 1.0)


def _power_mean(one: Floats, other: Floats, order: Floats | float) -> Floats:
    """(x^q + y^q)^(1/q), elementwise, without overflow; y may be 0."""
    large, small = np.asarray(np.maximum(one, other)), np.asarray(np.minimum(one, other))
    small /= large
    small **= order
    small += 1.0
    small **= 1.0 / order
    large *= small
    return large
