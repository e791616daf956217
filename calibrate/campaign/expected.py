"""Expected time and memory of the stages of a campaign, from its preset alone."""

from __future__ import annotations

from typing import Any

from ..family.shapes import Preset, preset_named
from ..measure.plans import STEP_TURNS, STEPS, TEMPERATURES
from .estimate import (
    CAPTURE,
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
# Tokens of a round that the slowest row of a batch is expected to emit.
BATCH_TOKENS = 1.6
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
        shape = equal_shape(parameters, layers, vocabulary=vocabulary_of(campaign))
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


def costs_of(machine: Machine, sizes: list[Size], grids: tuple[Costs, ...]) -> Estimate:
    """Loading every model and timing its passes over all grids, draws and verifications too."""
    total = Estimate(len(sizes) * machine.start_s, 0.0, cost_points(len(sizes), grids))
    for costs in grids:
        found = costs_estimate(
            machine,
            sizes,
            tokens=costs.tokens,
            shapes=costs.shapes,
            passes=costs.repeats + costs.warmup + EXTRA_PASSES,
            modes=tuple(mode == "graph" for mode in costs.modes),
        )
        total += Estimate(found.time_s, found.memory_bytes, 0)
    return total


def cost_points(models: int, grids: tuple[Costs, ...]) -> int:
    """Points of a record of these grids: what two grids share is measured once."""
    passes = {
        (n, shape, mode) for g in grids for n in g.tokens for shape in g.shapes for mode in g.modes
    }
    around = {(n, batch) for g in grids for n in g.tokens if n > 1 for batch, _ in g.shapes}
    draws = {batch for g in grids for batch, _ in g.shapes}
    return models * (len(passes) + len(TEMPERATURES) * (len(around) + len(draws))) + 2


def family_costs_estimate(campaign: Campaign) -> Estimate:
    """Timing the models of the family, alone and in rounds."""
    sizes = family_sizes(preset_named(campaign.family))
    return costs_of(campaign.machine, sizes, campaign.costs) + rounds_estimate(campaign)


def rounds_estimate(campaign: Campaign) -> Estimate:
    """Timing rounds: an untimed one and one or two timed ones a turn, plain steps in between."""
    machine, wanted = campaign.machine, campaign.rounds
    target, *drafts = family_sizes(preset_named(campaign.family))
    total = Estimate(0.0, 0.0, 0)
    for draft in drafts:
        for batch, context in wanted.shapes:
            for mode in wanted.modes:
                how: dict[str, Any] = {"batch": batch, "context": context}
                how["graphs"] = mode == "graph"
                step_s = pass_s(machine, target, **how)
                turn_s = STEP_TURNS * (STEPS + 1) * step_s
                for gamma in wanted.gammas:
                    verify_s = pass_s(machine, target, tokens=gamma + 1, **how)
                    turn_s += 3 * (verify_s + gamma * pass_s(machine, draft, **how))
                captures_s = CAPTURE * len(wanted.gammas) * machine.launch_s * target.layers
                time_s = (wanted.repeats + 2) * turn_s + captures_s * how["graphs"]
                memory = sum(
                    model_bytes(machine, m, batch=batch, context=context) for m in (target, draft)
                )
                total += Estimate(time_s, memory, len(wanted.gammas) + 1)
    return total


def architectures_estimate(campaign: Campaign) -> Estimate:
    """Timing the named architectures."""
    from .architectures import architecture_size

    sizes = [architecture_size(name) for name in campaign.architectures]
    if campaign.scaled:
        sizes = [Size(size.name, 3e4, 2, 128.0) for size in sizes]
    return costs_of(campaign.machine, sizes, campaign.architecture_costs)


def equal_estimate(campaign: Campaign) -> Estimate:
    """Timing the models of equal size."""
    return costs_of(campaign.machine, equal_sizes(campaign), campaign.equal_costs)


def acceptance_estimate(campaign: Campaign) -> Estimate:
    """The target's texts, rounds of every draft and the overlaps along the texts."""
    machine, wanted = campaign.machine, campaign.acceptance
    target, *drafts = family_sizes(preset_named(campaign.family))
    groups = DOMAINS * len(wanted.temperatures) * -(-wanted.requests // wanted.batch)
    requests = DOMAINS * len(wanted.temperatures) * wanted.requests
    length = wanted.prompt_tokens + wanted.new_tokens
    how: dict[str, Any] = {"new_tokens": wanted.new_tokens, "batch": wanted.batch}
    how["graphs"] = campaign.graphs
    texts_s = groups * decode_s(machine, target, None, gamma=0, **how)
    total = Estimate(texts_s + machine.start_s, 0.0, requests)
    for draft in drafts:
        # The slowest row of a batch decides, so a round is worth little more than a token.
        rounds_s = groups * decode_s(
            machine, target, draft, gamma=wanted.gamma, tokens_per_round=BATCH_TOKENS, **how
        )
        overlap_s = requests * pass_s(machine, draft, tokens=length)
        memory = sum(
            model_bytes(machine, m, batch=wanted.batch, context=length) for m in (target, draft)
        )
        total += Estimate(rounds_s + overlap_s + machine.start_s, memory, 2 * requests)
    return total


def sweep_estimate(campaign: Campaign) -> Estimate:
    """End-to-end decoding of every draft, gamma, method and batch."""
    wanted = campaign.sweep
    target, *drafts = family_sizes(preset_named(campaign.family))
    smallest = sorted(drafts, key=lambda d: d.parameters)[: wanted.small_drafts]
    total = Estimate(len(drafts) * campaign.machine.start_s, 0.0, 0)
    for batch in wanted.batches:
        blocks = max(DOMAINS * wanted.prompts // batch, 1)
        total += _turns(campaign, target, None, 0, batch) * (blocks * wanted.plain_repeats)
        for draft in drafts:
            top = wanted.small_gamma_max if draft in smallest else wanted.gamma_max
            for gamma in range(1, top + 1):
                total += _turns(campaign, target, draft, gamma, batch) * blocks
            if batch == 1:
                # One more for the heuristic schedule, about as long as at 5 draft tokens.
                for gamma in (*wanted.assisted_gammas, 5):
                    one = _turns(campaign, target, draft, gamma, batch, assisted=True)
                    total += one * wanted.assisted_blocks
    return total


def _turns(
    campaign: Campaign,
    target: Size,
    draft: Size | None,
    gamma: int,
    batch: int,
    *,
    assisted: bool = False,
) -> Estimate:
    """One generation; assisted: by the generate of transformers, without graphs."""
    machine, wanted = campaign.machine, campaign.sweep
    length = wanted.prompt_tokens + wanted.new_tokens
    time_s = decode_s(
        machine,
        target,
        draft,
        new_tokens=wanted.new_tokens,
        gamma=gamma,
        batch=batch,
        tokens_per_round=2.0 if batch == 1 else BATCH_TOKENS,
        graphs=campaign.graphs and not assisted,
    )
    models = [target] if draft is None else [target, draft]
    memory = sum(model_bytes(machine, m, batch=batch, context=length) for m in models)
    return Estimate(time_s, memory, 1)


def vocabulary_of(campaign: Campaign) -> int:
    """Vocabulary of the models that differ in depth at equal parameters."""
    return 512 if campaign.scaled else VOCABULARY
