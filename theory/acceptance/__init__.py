"""Acceptance: what was measured, what it estimates, and the laws it is fitted to.

Engines report acceptance in several ways that differ by a bonus token or by a denominator;
`metrics` gives each its own type and converts where the conversion is determined. Counts of rounds
(`counts`) are the raw material: `estimation` turns them into one acceptance probability with an
honest interval, `intervals` into the uncertainty of the best gamma, and `selection` tests whether
one probability is enough. Where it is not, a law says how acceptance varies: with depth
(`positional`), from round to round (`mixture`), from request to request (`heterogeneity`), or in
bursts (`markov`), and `bootstrap` gives a sample of its parameters. `offsets` shows what is lost
by measuring positions where no round starts. Every law answers the interface of `law`, so that any
of them goes with any cost law.
"""

from __future__ import annotations

from .counts import RoundCounts as RoundCounts
from .counts import round_counts as round_counts
from .coverage import CoveredAcceptance as CoveredAcceptance
from .coverage import CoveredCost as CoveredCost
from .coverage import round_tokens_from_steps as round_tokens_from_steps
from .coverage import tokens_per_step as tokens_per_step
from .estimation import AlphaEstimate as AlphaEstimate
from .estimation import alpha_estimate as alpha_estimate
from .estimation import alpha_variance as alpha_variance
from .estimation import best_gamma_probabilities as best_gamma_probabilities
from .estimation import bootstrap_alpha as bootstrap_alpha
from .estimation import estimate_alpha as estimate_alpha
from .estimation import optimal_gamma_interval as optimal_gamma_interval
from .estimation import optimal_gamma_variance as optimal_gamma_variance
from .estimation import rounds_to_measure as rounds_to_measure
from .gated import GateChoice as GateChoice
from .gated import GatedAcceptance as GatedAcceptance
from .gated import GatedRates as GatedRates
from .gated import best_gate as best_gate
from .gated import gated_drafted as gated_drafted
from .gated import gated_last_tokens as gated_last_tokens
from .gated import gated_rates as gated_rates
from .gated import gated_ratio as gated_ratio
from .gated import gated_speedup as gated_speedup
from .gated import gated_tokens as gated_tokens
from .heterogeneity import BetaRequestAcceptance as BetaRequestAcceptance
from .heterogeneity import beta_request_log_likelihood as beta_request_log_likelihood
from .heterogeneity import draw_requests as draw_requests
from .heterogeneity import fit_beta_request as fit_beta_request
from .heterogeneity import jensen_sandwich as jensen_sandwich
from .heterogeneity import request_tokens as request_tokens
from .heterogeneity import request_tokens_limit as request_tokens_limit
from .law import AcceptanceLaw as AcceptanceLaw
from .law import DepthAcceptance as DepthAcceptance
from .law import GammaDependentLaw as GammaDependentLaw
from .law import conditional_rate as conditional_rate
from .law import tokens_by_gamma as tokens_by_gamma
from .markov import MarkovAcceptance as MarkovAcceptance
from .markov import fit_markov as fit_markov
from .markov import markov_first_rate as markov_first_rate
from .markov import markov_log_likelihood as markov_log_likelihood
from .markov import markov_token_rate as markov_token_rate
from .markov import markov_tokens as markov_tokens
from .markov import markov_tokens_limit as markov_tokens_limit
from .metrics import AcceptanceLength as AcceptanceLength
from .metrics import AcceptedPerRound as AcceptedPerRound
from .metrics import ConditionalRates as ConditionalRates
from .metrics import DraftedRate as DraftedRate
from .metrics import Survival as Survival
from .metrics import acceptance_length as acceptance_length
from .metrics import alpha_from_drafted_rate as alpha_from_drafted_rate
from .metrics import alpha_from_length as alpha_from_length
from .metrics import drafted_rate as drafted_rate
from .metrics import independent_rates as independent_rates
from .mixture import BetaRoundAcceptance as BetaRoundAcceptance
from .mixture import beta_conditional_rate as beta_conditional_rate
from .mixture import beta_round_log_likelihood as beta_round_log_likelihood
from .mixture import beta_survival as beta_survival
from .mixture import beta_tokens as beta_tokens
from .mixture import beta_tokens_limit as beta_tokens_limit
from .mixture import fit_beta_round as fit_beta_round
from .offsets import markov_offset_tokens as markov_offset_tokens
from .offsets import markov_start_bias as markov_start_bias
from .offsets import offset_tokens as offset_tokens
from .offsets import start_position_bias as start_position_bias
from .offsets import walk_counts as walk_counts
from .offsets import walk_rounds as walk_rounds
from .positional import PositionalAcceptance as PositionalAcceptance
from .positional import PositionalEstimate as PositionalEstimate
from .positional import depth_log_likelihood as depth_log_likelihood
from .positional import depth_tokens as depth_tokens
from .positional import estimate_positional as estimate_positional
from .positional import fit_depth as fit_depth
from .selection import Diagnosis as Diagnosis
from .selection import bootstrap_law as bootstrap_law
from .selection import choose_law as choose_law
from .selection import depth_test as depth_test
from .selection import dispersion_test as dispersion_test
from .selection import hazards as hazards
from .selection import lag_one_test as lag_one_test
from .selection import resample_requests as resample_requests
