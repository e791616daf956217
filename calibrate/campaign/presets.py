"""The campaigns: what is measured of which models, as data.

`cpu` is an hour and a half on two cores, `gpu` 12 minutes on one large GPU in two calls, the most
valuable stages first, `tiny` a minute anywhere: the same stages on models of a few thousand
parameters. A dry run of any campaign runs its every stage on tiny models on the CPU.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Generic, TypeVar

from ..measure.plans import AcceptancePlan, PassGrid, RoundPlan, SweepPlan
from .estimate import CPU, H100, Machine

P = TypeVar("P", AcceptancePlan, SweepPlan)


@dataclass(frozen=True)
class Decoding(Generic[P]):
    """A plan and its prompts: so many of every domain, cut to so many tokens each."""

    plan: P
    prompts: int
    tokens: int = 64


@dataclass(frozen=True)
class Campaign:
    """One campaign.

    family: preset of the family; architectures: names of models that are timed with random
    weights, () for none; pairs: (target, draft) of them whose rounds are timed; scaled: whether
    architectures are scaled down to a few thousand parameters; call_s: how long a call takes if
    nothing else is said; limited: whether a stage that takes half as long again as expected lets
    the next begin, and goes on behind the last.
    """

    name: str
    family: str
    device: str
    dtype: str
    machine: Machine
    costs: tuple[PassGrid, ...]
    rounds: RoundPlan
    acceptance: Decoding[AcceptancePlan]
    sweep: Decoding[SweepPlan]
    architectures: tuple[str, ...] = ()
    architecture_costs: tuple[PassGrid, ...] = ()
    pairs: tuple[tuple[str, str], ...] = ()
    pair_rounds: RoundPlan = field(default_factory=RoundPlan)
    scaled: bool = False
    call_s: float = math.inf
    limited: bool = False
    seed: int = 0

    @property
    def graphs(self) -> bool:
        """Whether decoding runs through captured graphs."""
        return self.device == "cuda"


# The paper's models and, for today's, Qwen3; the small ones first, for each is worth the same.
ARCHITECTURES = (
    *(f"Qwen3-{size}" for size in ("0.6B", "1.7B", "4B", "8B")),
    *(f"Pythia-{size}" for size in ("70M", "160M", "410M", "1B", "1.4B", "2.8B")),
    *("TinyLLaMA-1.1B", "LLaMA-7B"),
    *("DistilGPT2", "GPT2", "GPT2-Medium", "GPT2-Large", "GPT2-XL"),
    *(f"BLOOM-{size}" for size in ("560M", "1.1B", "1.7B", "3B", "7.1B")),
)
PAIRS = (
    ("Qwen3-8B", "Qwen3-0.6B"),
    ("Pythia-2.8B", "Pythia-160M"),
    ("LLaMA-7B", "TinyLLaMA-1.1B"),
    ("GPT2-XL", "DistilGPT2"),
    ("BLOOM-7.1B", "BLOOM-560M"),
)
_ALL_TOKENS = tuple(range(1, 34))
# Up to a round of 8, and on both sides of the edges at which kernels change their tiles.
_EDGES = (1, 2, 3, 4, 5, 6, 8, 9, 12, 16, 17, 24, 32, 33)
_SOME_TOKENS = (1, 2, 3, 5, 9, 17, 33)
_FEW_TOKENS = (1, 5, 33)


def _grid(batches: tuple[int, ...], contexts: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
    """Every context at every batch: a table between them needs all."""
    return tuple((b, c) for b in batches for c in contexts)


_CPU = Campaign(
    name="cpu",
    family="cpu",
    device="cpu",
    dtype="float32",
    machine=CPU,
    costs=(
        PassGrid(_ALL_TOKENS, ((1, 64), (1, 112), (1, 192)), repeats=21),
        PassGrid((*range(1, 11), 12, 16, 24, 33), ((1, 512), (4, 112))),
    ),
    rounds=RoundPlan(shapes=((1, 64), (1, 112), (1, 160)), repeats=16),
    acceptance=Decoding(AcceptancePlan(), prompts=16),
    sweep=Decoding(SweepPlan(assisted_blocks=1), prompts=8),
)
_GPU = Campaign(
    name="gpu",
    family="gpu",
    device="cuda",
    dtype="bfloat16",
    machine=H100,
    architectures=ARCHITECTURES,
    architecture_costs=(
        PassGrid(_EDGES, ((1, 512), (8, 512), (32, 512)), ("graph",), repeats=5, warmup=1),
        PassGrid(_SOME_TOKENS, ((1, 4096), (8, 4096), (32, 4096)), ("graph",), repeats=3, warmup=1),
        PassGrid(_FEW_TOKENS, ((1, 512), (8, 512)), ("eager",), repeats=3, warmup=1),
    ),
    pairs=PAIRS,
    pair_rounds=RoundPlan(tuple(range(1, 8)), ((1, 512),), ("graph",), 3),
    costs=(
        PassGrid(_EDGES, _grid((1, 8), (64, 128, 192)), ("graph",)),
        PassGrid(_SOME_TOKENS, ((1, 128), (8, 128)), ("eager",), repeats=5),
    ),
    rounds=RoundPlan(tuple(range(1, 9)), _grid((1, 8), (64, 128, 192)), ("graph",), 5),
    acceptance=Decoding(AcceptancePlan((0.0, 1.0), new_tokens=128, batch=32), prompts=32),
    sweep=Decoding(
        SweepPlan(
            assisted_gammas=(1, 3, 5, 7),
            assisted_blocks=1,
            batches=(1, 8),
            new_tokens=128,
            plain_repeats=3,
        ),
        prompts=4,
    ),
    call_s=540.0,
    limited=True,
)
_TINY = Campaign(
    name="tiny",
    family="tiny",
    device="cpu",
    dtype="float32",
    machine=CPU,
    costs=(PassGrid((1, 2, 4), _grid((1, 2), (16, 32)), repeats=3, warmup=1),),
    rounds=RoundPlan((1, 2, 3), _grid((1, 2), (16, 32)), repeats=2),
    acceptance=Decoding(
        AcceptancePlan((0.0, 1.0), gamma=3, new_tokens=12, batch=2), prompts=2, tokens=16
    ),
    sweep=Decoding(
        SweepPlan(
            gammas=(1, 2), assisted_gammas=(2,), assisted_blocks=1, new_tokens=10, plain_repeats=2
        ),
        prompts=1,
        tokens=16,
    ),
)  # fmt: skip
CAMPAIGNS = {c.name: c for c in (_CPU, _GPU, _TINY)}


def campaign_named(name: str, *, dry_run: bool = False) -> Campaign:
    """A campaign by name, or its dry run. Raises ValueError listing the names."""
    if name not in CAMPAIGNS:
        raise ValueError(f"campaign must be one of {', '.join(CAMPAIGNS)}, got {name!r}")
    return _dry(CAMPAIGNS[name]) if dry_run else CAMPAIGNS[name]


def _dry(campaign: Campaign) -> Campaign:
    """The same stages on tiny models with tiny grids on the CPU, within about a minute."""
    few = (PassGrid((1, 3), ((1, 16), (2, 16)), repeats=2, warmup=1),)
    return replace(
        campaign,
        name=f"{campaign.name}-dry",
        family="tiny",
        device="cpu",
        dtype="float32",
        machine=CPU,
        costs=_TINY.costs,
        rounds=_TINY.rounds,
        acceptance=_TINY.acceptance,
        sweep=replace(
            _TINY.sweep, plan=replace(_TINY.sweep.plan, batches=campaign.sweep.plan.batches[:2])
        ),
        architectures=one_of_each_family(campaign.architectures),
        architecture_costs=few if campaign.architecture_costs else (),
        pairs=tuple((b, a) for a, b in pairwise(one_of_each_family(campaign.architectures)))[:2],
        pair_rounds=RoundPlan((1, 3), ((1, 16),), repeats=2),
        scaled=True,
        call_s=math.inf,
        limited=False,
    )


def one_of_each_family(names: tuple[str, ...]) -> tuple[str, ...]:
    """The first of each family."""
    first = {name.partition("-")[0].rstrip("0123456789"): name for name in reversed(names)}
    return tuple(reversed(first.values()))
