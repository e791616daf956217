"""Settings that make an engine accept a wanted number of draft tokens."""

from __future__ import annotations

from collections.abc import Sequence

from ..listing import Listing


def synthetic(
    *,
    engine: str,
    gamma: int,
    acceptance_length: float | None = None,
    rates: Sequence[float] | None = None,
    alpha: float | None = None,
    independent: bool = False,
    method: str | None = None,
    model: str | None = None,
) -> Listing:
    """Emit an engine's simulated acceptance, so that a benchmark measures the cost side alone.

    One of acceptance_length (the bonus token counted), rates (share of rounds that accept the first
    k tokens) and alpha, as such rates; independent: spread the length as one alpha would. method,
    model: of the draft, in the engine's words. Raises ValueError for what cannot be.
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
        share = tuple(rates)
    elif alpha is not None:
        share = rates_of_alpha(alpha, gamma)
    elif independent and acceptance_length is not None:
        share = independent_rates_of(acceptance_length, gamma)
    emission = synthetic_settings(
        engine, gamma,
        acceptance_length=acceptance_length if share is None else None, rates=share,
        method=method, model=model,
    )  # fmt: skip
    length = acceptance_length if share is None else 1.0 + sum(share)
    assert length is not None
    entry = {
        "engine": emission.engine, "gamma": gamma, "acceptance_length": length,
        "rates": minimum_variance_rates(length, gamma) if share is None else share,
        "command": emission.command, "environment": emission.environment,
        "config": emission.config, "notes": emission.notes,
    }  # fmt: skip
    return Listing(entry, (emission.text(),))
