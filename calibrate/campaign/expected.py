"""Expected time and memory of the stages of a campaign, from its preset alone."""

from __future__ import annotations

from ..family.shapes import Preset, preset_named
from .estimate import (
    NOTHING,
    Estimate,
    Machine,
    Size,
    costs_estimate,
    decode_s,
    model_bytes,
    pass_s,
)
from .presets import Campaign, Costs

# Domains of the default texts: code, and with a folder of texts three more.
DOMAINS = 4
# A step of training moves weights, gradients and the optimiser's state, and keeps activations.
TRAINING_NUMBERS = 10.0
# Untimed passes that a point needs beside its own: filling the cache, capturing a graph.
EXTRA_PASSES = 3
VOCABULARY = 32_000


def family_sizes(preset: Preset) -> list[Size]:
    """Sizes of a family's models, the target first."""
    return [
        Size(s.name, s.parameters(preset.vocabulary), s.layers, 2.0 * s.hidden * s.layers)
        for s in preset.shapes
    ]


def equal_sizes(campaign: Campaign) -> list[Size]:
    """Sizes of the models that differ in depth at equal parameters."""
    from .equal import equal_shape

    found = []
    for parameters, layers in campaign.equal:
        shape = equal_shape(parameters, layers, vocabulary=_vocabulary(campaign))
        numbers = 2.0 * shape.hidden * layers
        found.append(Size(shape.name, shape.parameters, layers, numbers))
    return found


def family_estimate(campaign: Campaign) -> Estimate:
    """Training: 6 operations a parameter and token, and the launches of every step."""
    preset, machine = preset_named(campaign.family), campaign.machine
    total = Estimate(10.0 * machine.start_s, 0.0, 0)
    for shape, size in zip(preset.shapes, family_sizes(preset), strict=True):
        steps = -(-shape.tokens // (shape.batch * preset.sequence))
        work_s = 6.0 * size.parameters * shape.tokens / machine.operations_per_s
        # A step is three passes long, and the optimiser about one more.
        time_s = work_s + steps * 4.0 * size.layers * machine.launch_s
        rows = shape.batch * preset.sequence
        activations = rows * (12.0 * shape.hidden * shape.layers + 2.0 * preset.vocabulary)
        memory = 4.0 * (TRAINING_NUMBERS * size.parameters + activations)
        total += Estimate(time_s + machine.start_s, memory, 1)
    return total


def costs_of(machine: Machine, sizes: list[Size], costs: Costs) -> Estimate:
    """Timing the passes of every model."""
    passes = costs.repeats + costs.warmup + EXTRA_PASSES
    modes = tuple(mode == "graph" for mode in costs.modes)
    return costs_estimate(
        machine, sizes, tokens=costs.tokens, shapes=costs.shapes, passes=passes, modes=modes
    )


def acceptance_estimate(campaign: Campaign) -> Estimate:
    """The target's texts, rounds of every draft and the overlaps along the texts."""
    machine, wanted = campaign.machine, campaign.acceptance
    target, *drafts = family_sizes(preset_named(campaign.family))
    requests = DOMAINS * len(wanted.temperatures) * wanted.requests
    length = wanted.prompt_tokens + wanted.new_tokens
    texts = requests * decode_s(machine, target, None, new_tokens=wanted.new_tokens, gamma=0)
    total = Estimate(texts + machine.start_s, 0.0, requests)
    for draft in drafts:
        rounds = requests * decode_s(
            machine, target, draft, new_tokens=wanted.new_tokens, gamma=wanted.gamma
        )
        overlap = requests * sum(pass_s(machine, m, tokens=length) for m in (target, draft))
        memory = sum(model_bytes(machine, m, batch=1, context=length) for m in (target, draft))
        total += Estimate(rounds + overlap + machine.start_s, memory, 2 * requests)
    return total


def sweep_estimate(campaign: Campaign) -> Estimate:
    """End-to-end decoding of every draft, gamma, method and batch."""
    machine, wanted = campaign.machine, campaign.sweep
    target, *drafts = family_sizes(preset_named(campaign.family))
    smallest = sorted(drafts, key=lambda d: d.parameters)[: wanted.small_drafts]
    requests = DOMAINS * wanted.prompts * wanted.repeats
    total = NOTHING
    for batch in wanted.batches:
        methods = 1 + (len(wanted.asg) if batch == 1 else 0)
        plain = decode_s(machine, target, None, new_tokens=wanted.new_tokens, gamma=0, batch=batch)
        total += Estimate(requests * plain, 0.0, requests)
        for draft in drafts:
            top = wanted.small_gamma_max if draft in smallest else wanted.gamma_max
            for gamma in range(1, top + 1):
                one = decode_s(
                    machine,
                    target,
                    draft,
                    new_tokens=wanted.new_tokens,
                    gamma=gamma,
                    batch=batch,
                )
                length = wanted.prompt_tokens + wanted.new_tokens
                memory = model_bytes(machine, target, batch=batch, context=length)
                memory += model_bytes(machine, draft, batch=batch, context=length)
                total += Estimate(methods * requests * one, memory, methods * requests)
    return total


def _vocabulary(campaign: Campaign) -> int:
    return 512 if campaign.scaled else VOCABULARY
