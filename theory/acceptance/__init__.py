"""Acceptance: what was measured, what it estimates, and the laws it is fitted to.

Engines report acceptance in several ways that differ by a bonus token or by a denominator;
`metrics` gives each its own type and converts where the conversion is determined. Counts of rounds
(`counts`) are the raw material: `estimation` turns them into one acceptance probability with an
honest interval, `intervals` into the uncertainty of the best gamma, and `selection` tests whether
one probability is enough. Where it is not, a law says how acceptance varies: with depth (`depth`,
`positional`), from round to round (`mixture`), from request to request (`heterogeneity`), or in
bursts (`markov`), and `bootstrap` gives a sample of its parameters. `offsets` shows what is lost
by measuring positions where no round starts. Every law answers the interface of `law`, so that any
of them goes with any cost law.
"""

from __future__ import annotations

from .bootstrap import bootstrap_law, resample_requests
from .counts import RoundCounts, round_counts
from .coverage import CoveredAcceptance, CoveredCost, round_tokens_from_steps, tokens_per_step
from .depth import depth_log_likelihood, depth_tokens, fit_depth
from .estimation import (
    AlphaEstimate,
    alpha_estimate,
    alpha_variance,
    bootstrap_alpha,
    estimate_alpha,
    rounds_to_measure,
)
from .gated import (
    GateChoice,
    GatedAcceptance,
    GatedRates,
    best_gate,
    gated_drafted,
    gated_last_tokens,
    gated_rates,
    gated_ratio,
    gated_speedup,
    gated_tokens,
)
from .heterogeneity import (
    BetaRequestAcceptance,
    beta_request_log_likelihood,
    draw_requests,
    fit_beta_request,
    jensen_sandwich,
    request_tokens,
    request_tokens_limit,
)
from .intervals import best_gamma_probabilities, optimal_gamma_interval, optimal_gamma_variance
from .law import (
    AcceptanceLaw,
    DepthAcceptance,
    GammaDependentLaw,
    conditional_rate,
    tokens_by_gamma,
)
from .markov import (
    MarkovAcceptance,
    fit_markov,
    markov_first_rate,
    markov_log_likelihood,
    markov_token_rate,
    markov_tokens,
    markov_tokens_limit,
)
from .metrics import (
    AcceptanceLength,
    AcceptedPerRound,
    ConditionalRates,
    DraftedRate,
    Survival,
    acceptance_length,
    alpha_from_drafted_rate,
    alpha_from_length,
    drafted_rate,
    independent_rates,
)
from .mixture import (
    BetaRoundAcceptance,
    beta_conditional_rate,
    beta_round_log_likelihood,
    beta_survival,
    beta_tokens,
    beta_tokens_limit,
    fit_beta_round,
)
from .offsets import (
    markov_offset_tokens,
    markov_start_bias,
    offset_tokens,
    start_position_bias,
    walk_counts,
    walk_rounds,
)
from .positional import PositionalAcceptance, PositionalEstimate, estimate_positional
from .selection import Diagnosis, choose_law, depth_test, dispersion_test, hazards, lag_one_test

__all__ = [
    "AcceptanceLaw",
    "AcceptanceLength",
    "AcceptedPerRound",
    "AlphaEstimate",
    "BetaRequestAcceptance",
    "BetaRoundAcceptance",
    "ConditionalRates",
    "CoveredAcceptance",
    "CoveredCost",
    "DepthAcceptance",
    "Diagnosis",
    "DraftedRate",
    "GammaDependentLaw",
    "GateChoice",
    "GatedAcceptance",
    "GatedRates",
    "MarkovAcceptance",
    "PositionalAcceptance",
    "PositionalEstimate",
    "RoundCounts",
    "Survival",
    "acceptance_length",
    "alpha_estimate",
    "alpha_from_drafted_rate",
    "alpha_from_length",
    "alpha_variance",
    "best_gamma_probabilities",
    "best_gate",
    "beta_conditional_rate",
    "beta_request_log_likelihood",
    "beta_round_log_likelihood",
    "beta_survival",
    "beta_tokens",
    "beta_tokens_limit",
    "bootstrap_alpha",
    "bootstrap_law",
    "choose_law",
    "conditional_rate",
    "depth_log_likelihood",
    "depth_test",
    "depth_tokens",
    "dispersion_test",
    "drafted_rate",
    "draw_requests",
    "estimate_alpha",
    "estimate_positional",
    "fit_beta_request",
    "fit_beta_round",
    "fit_depth",
    "fit_markov",
    "gated_drafted",
    "gated_last_tokens",
    "gated_rates",
    "gated_ratio",
    "gated_speedup",
    "gated_tokens",
    "hazards",
    "independent_rates",
    "jensen_sandwich",
    "lag_one_test",
    "markov_first_rate",
    "markov_log_likelihood",
    "markov_offset_tokens",
    "markov_start_bias",
    "markov_token_rate",
    "markov_tokens",
    "markov_tokens_limit",
    "offset_tokens",
    "optimal_gamma_interval",
    "optimal_gamma_variance",
    "request_tokens",
    "request_tokens_limit",
    "resample_requests",
    "round_counts",
    "round_tokens_from_steps",
    "rounds_to_measure",
    "start_position_bias",
    "tokens_by_gamma",
    "tokens_per_step",
    "walk_counts",
    "walk_rounds",
]
