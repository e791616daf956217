"""The campaigns: what is measured of which models, as data.

`cpu` is an hour and a half on two cores, `gpu` 12 minutes on one large GPU in two calls, the most
valuable stages first, `tiny` a minute anywhere: the same stages on models of a few thousand
parameters. `dry` makes of any campaign one that runs its every stage on tiny models on the CPU.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import pairwise

from .estimate import CPU, H100, Machine

Shape = tuple[int, int]


@dataclass(frozen=True)
class Costs:
    """Passes to time: every number of tokens at every (batch, context) in every mode.

    tokens: new tokens of a pass; shapes: (batch, context [token]); modes: eager, graph; repeats,
    warmup: timed and untimed passes of a point.
    """

    tokens: tuple[int, ...]
    shapes: tuple[Shape, ...]
    modes: tuple[str, ...] = ("eager",)
    repeats: int = 11
    warmup: int = 3


@dataclass(frozen=True)
class Rounds:
    """Whole rounds of every draft to time, beside plain steps of the target.

    gammas: draft tokens of a round; shapes: (batch, context [token]); modes: eager, graph; repeats:
    times of each round, plain steps among them.
    """

    gammas: tuple[int, ...] = (1, 2, 3, 4, 5, 6, 7, 8)
    shapes: tuple[Shape, ...] = ((1, 64), (1, 112), (1, 160))
    modes: tuple[str, ...] = ("eager",)
    repeats: int = 12


@dataclass(frozen=True)
class Acceptance:
    """Requests of every domain and temperature: rounds of gamma draft tokens, and overlaps."""

    temperatures: tuple[float, ...] = (0.0, 0.7, 1.0)
    requests: int = 24
    prompt_tokens: int = 64
    new_tokens: int = 96
    gamma: int = 8
    batch: int = 12


@dataclass(frozen=True)
class Sweep:
    """End-to-end decoding: plain, SpS with 1 to ``gamma_max`` draft tokens, and AsG.

    assisted_gammas: of AsG with a constant number, which takes part at batch 1 in
    ``assisted_blocks`` prompts; prompts: of every domain; plain_repeats: turns of plain decoding
    among the others at every prompt.
    """

    gamma_max: int = 7
    assisted_gammas: tuple[int, ...] = (1, 2, 3, 4, 5, 6, 7)
    assisted_blocks: int = 4
    batches: tuple[int, ...] = (1,)
    prompts: int = 8
    prompt_tokens: int = 64
    new_tokens: int = 96
    plain_repeats: int = 4
    temperature: float = 1.0


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
    costs: tuple[Costs, ...]
    rounds: Rounds
    acceptance: Acceptance
    sweep: Sweep
    architectures: tuple[str, ...] = ()
    architecture_costs: tuple[Costs, ...] = ()
    pairs: tuple[tuple[str, str], ...] = ()
    pair_rounds: Rounds = Rounds()
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


def _grid(batches: tuple[int, ...], contexts: tuple[int, ...]) -> tuple[Shape, ...]:
    """Every context at every batch: a table between them needs all."""
    return tuple((b, c) for b in batches for c in contexts)


_CPU = Campaign(
    name="cpu",
    family="cpu",
    device="cpu",
    dtype="float32",
    machine=CPU,
    costs=(
        Costs(_ALL_TOKENS, ((1, 64), (1, 112), (1, 192)), repeats=21),
        Costs((*range(1, 11), 12, 16, 24, 33), ((1, 512), (4, 112))),
    ),
    rounds=Rounds(repeats=16),
    acceptance=Acceptance(requests=16, batch=16),
    sweep=Sweep(assisted_blocks=1),
)
_GPU = Campaign(
    name="gpu",
    family="gpu",
    device="cuda",
    dtype="bfloat16",
    machine=H100,
    architectures=ARCHITECTURES,
    architecture_costs=(
        Costs(_EDGES, ((1, 512), (8, 512), (32, 512)), ("graph",), repeats=5, warmup=1),
        Costs(_SOME_TOKENS, ((1, 4096), (8, 4096), (32, 4096)), ("graph",), repeats=3, warmup=1),
        Costs(_FEW_TOKENS, ((1, 512), (8, 512)), ("eager",), repeats=3, warmup=1),
    ),
    pairs=PAIRS,
    pair_rounds=Rounds(tuple(range(1, 8)), ((1, 512),), ("graph",), 3),
    costs=(
        Costs(_EDGES, _grid((1, 8), (64, 128, 192)), ("graph",)),
        Costs(_SOME_TOKENS, ((1, 128), (8, 128)), ("eager",), repeats=5),
    ),
    rounds=Rounds(tuple(range(1, 9)), _grid((1, 8), (64, 128, 192)), ("graph",), 5),
    acceptance=Acceptance((0.0, 1.0), requests=32, new_tokens=128, batch=32),
    sweep=Sweep(
        assisted_gammas=(1, 3, 5, 7),
        assisted_blocks=1,
        batches=(1, 8),
        prompts=4,
        new_tokens=128,
        plain_repeats=3,
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
    costs=(Costs((1, 2, 4), _grid((1, 2), (16, 32)), repeats=3, warmup=1),),
    rounds=Rounds((1, 2, 3), _grid((1, 2), (16, 32)), repeats=2),
    acceptance=Acceptance(
        (0.0, 1.0), requests=2, prompt_tokens=16, new_tokens=12, gamma=3, batch=2
    ),
    sweep=Sweep(
        gamma_max=2,
        assisted_gammas=(2,),
        assisted_blocks=1,
        prompts=1,
        prompt_tokens=16,
        new_tokens=10,
        plain_repeats=2,
    ),
)
CAMPAIGNS = {c.name: c for c in (_CPU, _GPU, _TINY)}


def campaign_named(name: str) -> Campaign:
    """A campaign by name. Raises ValueError listing the names."""
    if name not in CAMPAIGNS:
        raise ValueError(f"campaign must be one of {', '.join(CAMPAIGNS)}, got {name!r}")
    return CAMPAIGNS[name]


def dry(campaign: Campaign) -> Campaign:
    """The same stages on tiny models with tiny grids on the CPU, within about a minute."""
    few = (Costs((1, 3), ((1, 16), (2, 16)), repeats=2, warmup=1),)
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
            _TINY.sweep,
            batches=campaign.sweep.batches[:2],
        ),
        architectures=one_of_each_family(campaign.architectures),
        architecture_costs=few if campaign.architecture_costs else (),
        pairs=tuple((b, a) for a, b in pairwise(one_of_each_family(campaign.architectures)))[:2],
        pair_rounds=Rounds((1, 3), ((1, 16),), repeats=2),
        scaled=True,
        call_s=math.inf,
        limited=False,
    )


def one_of_each_family(names: tuple[str, ...]) -> tuple[str, ...]:
    """The first of each family."""
    first = {name.partition("-")[0].rstrip("0123456789"): name for name in reversed(names)}
    return tuple(reversed(first.values()))
