"""`howspec synthetic`: settings that make an engine accept a wanted number of draft tokens."""

from __future__ import annotations

from .answering import printing
from .options import numbers, spelled
from .output import Shown

ENGINES = ("vllm", "sglang", "tensorrt-llm", "llama.cpp", "atom")


@printing(
    engine=f"One of {', '.join(ENGINES)}.",
    gamma="Draft tokens of a round.",
    acceptance_length="Tokens per round, the bonus token counted.",
    rates="Share of rounds that accept the first k tokens, k = 1.., with commas.",
    alpha="Independent acceptance with this rate, as rates.",
    independent="Spread the length over positions as one alpha would.",
    method="Method of the draft, in the engine's words.",
    model="Draft model, in the engine's words.",
)
def synthetic(
    engine: str,
    gamma: int,
    acceptance_length: float | None = None,
    rates: str | None = None,
    alpha: float | None = None,
    independent: bool = False,
    method: str | None = None,
    model: str | None = None,
) -> Shown:
    """Emit an engine's simulated acceptance, so that a benchmark measures the cost side alone.

    vLLM, SGLang, llama.cpp and ATOM take the acceptance length with the bonus token, TensorRT-LLM
    one less. The text that comes out means nothing.

    Example:

    howspec synthetic --engine vllm --gamma 4 --acceptance-length 3.24
    """
    from ..sim.emit.synthetic import (
        independent_rates_of,
        minimum_variance_rates,
        rates_of_alpha,
        synthetic_settings,
    )

    given = {"--acceptance-length": acceptance_length, "--rates": rates, "--alpha": alpha}
    named = [name for name, value in given.items() if value is not None]
    if len(named) != 1:
        raise ValueError(f"synthetic needs one of {', '.join(given)}, got {len(named)}")
    if independent and acceptance_length is None:
        raise ValueError(f"--independent goes with --acceptance-length, got {named[0]}")
    share: tuple[float, ...] | None = None
    if rates is not None:
        share = numbers(rates, "--rates")
    elif alpha is not None:
        share = rates_of_alpha(alpha, gamma)
    elif independent and acceptance_length is not None:
        share = independent_rates_of(acceptance_length, gamma)
    emission = synthetic_settings(
        spelled(engine, ENGINES),
        gamma,
        acceptance_length=acceptance_length if share is None else None,
        rates=share,
        method=method,
        model=model,
    )
    length = acceptance_length if share is None else 1.0 + sum(share)
    assert length is not None
    entry = {
        "engine": emission.engine, "gamma": gamma, "acceptance_length": length,
        "rates": minimum_variance_rates(length, gamma) if share is None else share,
        "command": emission.command, "environment": emission.environment,
        "config": emission.config, "notes": emission.notes,
    }  # fmt: skip
    return Shown(entry, [emission.text()], [f"note: {note}" for note in emission.notes])
