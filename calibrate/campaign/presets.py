"""The campaigns: what is measured of which models, as data.

`cpu` is an hour and a half on two cores, `gpu` 25 minutes on one large GPU, `tiny` a minute
anywhere: the same stages on models of a few thousand parameters. `dry` makes of any campaign one
that runs its every stage on tiny models on the CPU.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from .estimate import CPU, H200, Machine

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
class Acceptance:
    """Requests of every domain and temperature: rounds of gamma draft tokens, and overlaps."""

    temperatures: tuple[float, ...] = (0.0, 0.7, 1.0)
    requests: int = 8
    prompt_tokens: int = 64
    new_tokens: int = 128
    gamma: int = 7


@dataclass(frozen=True)
class Sweep:
    """End-to-end decoding: plain, SpS and AsG with 1 to ``gamma_max`` draft tokens.

    small_gamma_max: the same for the ``small_drafts`` smallest drafts; asg: constant and heuristic
    schedules of AsG, at batch 1 only; prompts: of every domain.
    """

    gamma_max: int = 7
    small_gamma_max: int = 7
    small_drafts: int = 0
    asg: tuple[str, ...] = ("asg_constant", "asg_heuristic")
    batches: tuple[int, ...] = (1,)
    prompts: int = 1
    prompt_tokens: int = 64
    new_tokens: int = 128
    repeats: int = 3
    temperature: float = 1.0


@dataclass(frozen=True)
class Campaign:
    """One campaign.

    family: preset of the family; architectures: names of models that are timed with random
    weights, () for none; equal: (parameters, layers) of Llama-style models that are timed with
    random weights, depth against width; scaled: whether architectures are scaled down to a few
    thousand parameters.
    """

    name: str
    family: str
    device: str
    dtype: str
    machine: Machine
    costs: Costs
    acceptance: Acceptance
    sweep: Sweep
    architectures: str | None = None
    architecture_costs: Costs | None = None
    equal: tuple[tuple[float, int], ...] = ()
    equal_costs: Costs | None = None
    scaled: bool = False
    seed: int = 0


_ALL_TOKENS = tuple(range(1, 34))
# The ends, every number that drafting reaches, and a few beyond where the curve bends.
_SOME_TOKENS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 13, 17, 21, 25, 29, 33)
_FEW_TOKENS = (1, 2, 5, 9, 17, 33)

_CPU = Campaign(
    name="cpu",
    family="cpu",
    device="cpu",
    dtype="float32",
    machine=CPU,
    costs=Costs(_ALL_TOKENS, tuple((b, c) for b in (1, 4) for c in (64, 192, 512))),
    acceptance=Acceptance(),
    sweep=Sweep(),
)
_GPU = Campaign(
    name="gpu",
    family="gpu",
    device="cuda",
    dtype="bfloat16",
    machine=H200,
    costs=Costs(
        _ALL_TOKENS, ((1, 128), (1, 512), (4, 256), (16, 256)), ("eager", "graph"), repeats=15
    ),
    acceptance=Acceptance(requests=32),
    sweep=Sweep(small_gamma_max=12, small_drafts=4, batches=(1, 4, 16), repeats=2),
    architectures="all",
    architecture_costs=Costs(
        _SOME_TOKENS,
        ((1, 128), (1, 2048), (1, 8192), (4, 128), (16, 128), (16, 2048), (64, 128), (64, 2048)),
        ("eager", "graph"),
        repeats=7,
    ),
    equal=tuple((p, n) for p in (1e7, 1e8, 1e9) for n in (2, 4, 8, 16, 32, 64)),
    equal_costs=Costs(_FEW_TOKENS, ((1, 128), (16, 128)), ("eager", "graph"), repeats=11),
)
_TINY = Campaign(
    name="tiny",
    family="tiny",
    device="cpu",
    dtype="float32",
    machine=CPU,
    costs=Costs((1, 2, 5), ((1, 16), (2, 16)), repeats=3, warmup=1),
    acceptance=Acceptance((0.0, 1.0), requests=1, prompt_tokens=16, new_tokens=12, gamma=3),
    sweep=Sweep(gamma_max=2, prompts=1, prompt_tokens=16, new_tokens=10, repeats=1),
)
CAMPAIGNS = {c.name: c for c in (_CPU, _GPU, _TINY)}


def campaign_named(name: str) -> Campaign:
    """A campaign by name. Raises ValueError listing the names."""
    if name not in CAMPAIGNS:
        raise ValueError(f"campaign must be one of {', '.join(CAMPAIGNS)}, got {name!r}")
    return CAMPAIGNS[name]


def dry(campaign: Campaign) -> Campaign:
    """The same stages on tiny models with tiny grids on the CPU, within about a minute."""
    few = Costs((1, 3), ((1, 16), (2, 16)), repeats=2, warmup=1)
    asg = campaign.sweep.asg
    return replace(
        campaign,
        name=f"{campaign.name}-dry",
        family="tiny",
        device="cpu",
        dtype="float32",
        machine=CPU,
        costs=few,
        acceptance=_TINY.acceptance,
        sweep=replace(
            _TINY.sweep,
            asg=asg,
            batches=campaign.sweep.batches[:2],
            small_gamma_max=3,
            small_drafts=min(campaign.sweep.small_drafts, 1),
        ),
        architecture_costs=few if campaign.architecture_costs else None,
        equal=tuple((2e4, n) for n in (1, 2, 4)) if campaign.equal else (),
        equal_costs=few if campaign.equal else None,
        scaled=True,
    )
