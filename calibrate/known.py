"""What is known of acceptance and of costs: a law, and what it rests on."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from ..theory import AcceptanceLaw, CostLaw, tokens_by_gamma
from ..theory.acceptance import PositionalAcceptance
from ..theory.costs import largest_batch
from ..theory.costs.law import operating_point
from ..theory.domain import Floats

if TYPE_CHECKING:
    from .engines import EngineCounts
    from .models import Device, ModelShape

LARGEST_GAMMA = 256
SHOWN = 4  # draft tokens of the rounds that alpha is stated for where none were measured
# Spread of ln(round / plain step) of one pair from one run of the timing to the next, beside what
# the spread of the times within a run says: three runs within an hour on two cores of a shared
# machine, ten drafts of the bundled ladder, 1 to 8 draft tokens (0.01 at 1, 0.04 from 4 on).
BETWEEN_RUNS = 0.03
Kind = Literal["stated", "measured", "imported", "predicted"]


@dataclass(frozen=True)
class KnownAcceptance:
    """An acceptance law and where it comes from.

    law: its parameters of shape (draws,), or () where nothing is unsure; kind: stated by the user,
    measured by a record, imported from an engine, or predicted; given: what it rests on, in words;
    alpha: draws of the accepted over the decided draft tokens, (draws,); gamma: draft tokens of the
    measured rounds, None where not known; notes: what to know before relying on it; sources:
    citations of published measurements that it rests on; middle: the single law in agreement with
    what was measured, None where the draws have no such middle; coverage: share of the target's
    steps that drafted at all, (draws,), None where every step did, or that is not known; counts:
    the imported statistics behind it, None for other sources.
    """

    law: AcceptanceLaw
    kind: Kind
    given: str
    alpha: Floats
    gamma: int | None = None
    notes: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    middle: PositionalAcceptance | None = None
    coverage: Floats | None = None
    counts: EngineCounts | None = None

    def tokens_per_target_step(self, gamma: int) -> tuple[float, Floats]:
        """Tokens per step of the target, 1 - q + q E[N]: (middle, draws of shape (draws,)).

        q: ``coverage``; a step that drafts nothing gives one token.
        """
        middle, draws = self.tokens(gamma)
        if self.coverage is None:
            return middle, draws
        share = np.resize(self.coverage, draws.size)
        q = float(np.median(self.coverage))
        return 1.0 - q + q * middle, 1.0 - share + share * draws

    def tokens(self, gamma: int) -> tuple[float, Floats]:
        """Tokens per round at gamma: (middle, draws of shape (draws,)), the bonus token counted."""
        draws = np.asarray(tokens_by_gamma(self.law, gamma), dtype=float)
        draws = draws.reshape(-1, gamma + 1)[:, gamma]
        if self.middle is None:
            return float(draws.mean()), draws
        return float(tokens_by_gamma(self.middle, gamma)[gamma]), draws

    @property
    def single(self) -> AcceptanceLaw:
        """A law without draws: the one in the middle, or the rates' mean over the draws."""
        if self.middle is not None or self.law.shape == ():
            return self.law if self.middle is None else self.middle
        return PositionalAcceptance(self.rates(self.positions).mean(axis=0))

    @property
    def positions(self) -> int:
        """Draft positions that the law covers."""
        law = self.law
        covered = (
            np.shape(law.rates)[-1] if isinstance(law, PositionalAcceptance) else LARGEST_GAMMA
        )
        return int(covered)

    def rates(self, positions: int) -> Floats:
        """Conditional rates at positions 1.., shape (draws or 1, positions)."""
        survival = np.asarray(self.law.survival(positions), dtype=float)
        survival = survival.reshape(-1, positions + 1)
        before = survival[:, :-1]
        none = np.zeros_like(before)
        return np.asarray(np.divide(survival[:, 1:], before, out=none, where=before > 0.0))


def around(
    middle: PositionalAcceptance,
    sample: PositionalAcceptance,
    kind: Kind,
    given: str,
    gamma: int | None = None,
    notes: tuple[str, ...] = (),
    *,
    coverage: Floats | None = None,
    counts: EngineCounts | None = None,
) -> KnownAcceptance:
    """A law in agreement with what was measured, and a sample of laws around it.

    sample: rates of shape (draws, positions); the rest as of `KnownAcceptance`.
    """
    alpha = pooled(sample, gamma or SHOWN)
    return KnownAcceptance(
        sample, kind, given, alpha, gamma, notes, middle=middle, coverage=coverage, counts=counts
    )


_USABLE = {"gpu": 0.9, "tpu": 0.9, "npu": 0.9, "cpu": 0.8}  # the rest is for activations
_UNBOUNDED = 10**9  # batches: the context is 0, so that a sequence takes no room


@dataclass(frozen=True)
class MemoryUse:
    """What target, draft and caches take of a device's memory [byte].

    weights_bytes, caches_bytes: of both models; target_bytes: weights of the target alone;
    usable_bytes: memory of all devices less what activations need; largest_batch: that fits at this
    context, 0 where the weights do not, None where the context is 0 and any number fits; device:
    its name; count: how many there are; bits: the most, of 8 and 4, that the target's weights may
    have for everything to fit where it does not, None where neither is enough.
    """

    weights_bytes: float
    target_bytes: float
    caches_bytes: float
    usable_bytes: float
    largest_batch: int | None
    device: str
    count: int = 1
    bits: int | None = None

    @classmethod
    def of(
        cls,
        target: ModelShape,
        draft: ModelShape | None,
        device: Device,
        *,
        dtype: str,
        draft_dtype: str = "",
        kv_dtype: str = "bf16",
        batch: float = 1,
        context: float = 0,
    ) -> MemoryUse:
        """Of weights of both models and the caches of a batch, in the memory of the devices."""
        rows, ctx = operating_point(batch, context)
        models = [(target, dtype)] + ([(draft, draft_dtype or dtype)] if draft is not None else [])
        weights = [shape.bytes(form) for shape, form in models]
        cache = float(sum(shape.cache_bytes(ctx, kv_dtype) for shape, _ in models))
        usable = _USABLE[device.kind] * device.total_memory
        most = 0.0
        if sum(weights) < usable:
            # The cache of a whole sequence stands for that of one token, windows included.
            most = largest_batch(usable, 1.0, weight_bytes=sum(weights), kv_bytes=cache)
        whole = None if most >= _UNBOUNDED else int(most)
        rest = sum(weights[1:]) + rows * cache
        fewer = (b for b in (8, 4) if target.bytes(f"int{b}") + rest <= usable)
        bits = None if weights[0] + rest <= usable else next(fewer, None)
        return cls(
            sum(weights), weights[0], rows * cache, usable, whole, device.name, device.count, bits
        )

    @property
    def least(self) -> int:
        """The fewest such devices that everything fits on."""
        need = self.weights_bytes + self.caches_bytes
        return max(math.ceil(self.count * need / self.usable_bytes), 1)

    @property
    def fits(self) -> bool:
        """Whether everything fits."""
        return self.weights_bytes + self.caches_bytes <= self.usable_bytes

    @property
    def line(self) -> str:
        """One line that says whether it fits, and how much there is."""
        need = (
            f"weights {self.weights_bytes / 1e9:.3g} GB and caches {self.caches_bytes / 1e9:.3g} GB"
        )
        label = self.device if self.count == 1 else f"{self.count}x {self.device}"
        have = f"{self.usable_bytes / 1e9:.3g} GB usable on {label}"
        if self.fits:
            return f"fits: {need} in {have}"
        enough = f"it needs {self.least}x {self.device} or more"
        if self.bits is not None:
            enough += f", or the target's weights in {self.bits} bits"
        if self.target_bytes >= self.usable_bytes:
            return (
                f"does NOT fit: the target alone takes {self.target_bytes / 1e9:.3g} GB of "
                f"weights, more than the {have}, so that plain decoding does not run either; "
                f"{enough}"
            )
        if self.largest_batch == 0:
            room = "the weights leave no room for a sequence"
            return f"does NOT fit: {need}, with {have}; {room}; {enough}"
        return f"does NOT fit: {need}, with {have}; the largest batch is {self.largest_batch}"

    def holds(self, batch: float) -> bool:
        """Whether so many sequences fit."""
        return self.largest_batch is None or batch <= self.largest_batch


@dataclass(frozen=True)
class MedianCost:
    """The median over the draws of a cost law, a single law in its place."""

    law: CostLaw

    @property
    def shape(self) -> tuple[int, ...]:
        """()."""
        return ()

    def round_time(self, gamma: int, *, batch: float = 1, context: float = 0) -> Floats:
        """Times of rounds at 0..gamma, (gamma + 1,), in the unit of the law."""
        times = np.asarray(self.law.round_time(gamma, batch=batch, context=context), dtype=float)
        return np.asarray(np.median(times.reshape(-1, gamma + 1), axis=0))


@dataclass(frozen=True)
class KnownCosts:
    """A cost law and where it comes from.

    law, kind, given, notes, sources: as of `KnownAcceptance`. seconds: whether its times are
    seconds, else plain steps of the target. gamma_max, batch_max: the most that it covers, None
    where it has no end; contexts: the least and most cached tokens that it was measured at, None
    where any; stack, device, dtype, draft_dtype: what it is of, "" where not known.
    """

    law: CostLaw
    kind: Kind
    given: str
    notes: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    seconds: bool = False
    gamma_max: int | None = None
    batch_max: int | None = None
    contexts: tuple[float, float] | None = None
    stack: str = ""
    device: str = ""
    dtype: str = ""
    draft_dtype: str = ""
    memory: MemoryUse | None = None

    @property
    def single(self) -> CostLaw:
        """A law without draws: the one known, or the median over its draws."""
        return self.law if self.law.shape == () else MedianCost(self.law)

    def plain_step(self, *, batch: float = 1, context: float = 0) -> Floats:
        """Times of a plain step, (draws,) or (1,) [s, or 1 where the law counts plain steps]."""
        times = np.asarray(self.law.round_time(0, batch=batch, context=context), dtype=float)
        return times.reshape(-1)

    def growth(self, gamma: int, *, batch: float = 1, context: float = 0) -> Floats | None:
        """What the verifying pass over gamma + 1 tokens takes beyond a plain step, in plain steps.

        Shape (draws,); None where the law does not tell it from the rest.
        """
        slope = getattr(self.law, "verify_slope", None)
        if slope is not None:
            return np.asarray(gamma * slope, dtype=float).reshape(-1)
        target = getattr(self.law, "target", None)
        if target is None or not hasattr(target, "step_time"):
            return None
        times = target.step_time(np.array([1.0, gamma + 1.0]), batch=batch, context=context)
        times = np.asarray(times, dtype=float).reshape(-1, 2)
        return np.asarray(times[:, 1] / times[:, 0] - 1.0)

    def cost_ratio(self, *, batch: float = 1, context: float = 0) -> Floats | None:
        """Time of a draft step over that of a plain step, (draws,) or (1,); None where unknown."""
        ratio = getattr(self.law, "cost_ratio", None)
        if ratio is None:
            return None
        value = ratio(batch=batch, context=context) if callable(ratio) else ratio
        return np.asarray(value, dtype=float).reshape(-1)


def pooled(law: AcceptanceLaw, gamma: int) -> Floats:
    """Accepted over decided draft tokens in rounds of gamma, (draws,) or (1,)."""
    tokens = np.asarray(tokens_by_gamma(law, gamma), dtype=float).reshape(-1, gamma + 1)
    return np.asarray((tokens[:, gamma] - 1.0) / tokens[:, gamma - 1])
