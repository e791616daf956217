"""What no function of theory takes is refused in one line: the quantity, its range, what was given.

Arguments of formulas are asked in `test_formulas`; here is what is asked of several arguments at
once, of arrays as a whole, and of functions and laws that are no formulas.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from typing import Any

import howspec.theory
import numpy as np
import pytest

# A call, and what is said of it; "..." stands for the rest of a line.
REFUSED = """
tokens_per_round(nan, 2) -> alpha must be in [0, 1], got nan
tokens_per_round([0.1, -1, -2], 2) -> alpha must be in [0, 1], got -1 (and 1 more)
tokens_per_round(0.5, inf) -> gamma must be in [0, inf), got inf
tokens_variance(0.5, 1.5) -> gamma must be an integer in [0, inf), got 1.5
tokens_pmf(0.5, 1.5) -> gamma must be an integer in [0, inf), got 1.5
tokens_survival(0.5, 2.5) -> n must be an integer in [0, inf), got 2.5
round_cost(2, 0.1, overhead=inf) -> overhead must be in [0, inf), got inf
request_tokens(2, 2, 20_000) -> gamma must be in [0, 10000] for request laws, got 20000
alpha_variance(0.5, 0, 10) -> gamma must be in [1, inf), got 0
drafted_rate(0.5, 0.5) -> gamma must be in [1, inf), got 0.5
exchange_rate(0.5, 0, 0.1) -> gamma must be in [1, inf), got 0
self_speculation_lower(0.5, 0, 0.3) -> gamma must be in [1, inf), got 0
log_linear_length_scale(0.5, 4, 0.5, cost_floor=0, cost_slope=1) -> gamma must be in [1, inf), go...
break_even_alpha(0.1, gamma_max=0) -> gamma_max must be an integer in [1, 2^53], got 0
break_even_alpha(0.1, gamma_max=1.5) -> gamma_max must be an integer in [1, 2^53], got 1.5
break_even_alpha(0.1, overhead=-1) -> overhead must be in [0, inf), got -1
optimal_gamma(2, 0.1) -> alpha must be in [0, 1], got 2
optimal_gamma_gradient(0.5, "x") -> cost_ratio must be a number or an array of numbers, got 'x'
optimal_speedup(0.5, -0.1) -> cost_ratio must be in [0, inf), got -0.1
optimum_curvature(0.5, 0.1, verify_slope=-2) -> verify_slope must be in [0, inf), got -2
best_gamma(0.5, 0.1, overhead=nan) -> overhead must be in [0, inf), got nan
best_gamma(0.5, 0.1, gamma_max=0) -> gamma_max must be an integer in [1, 2^53], got 0
best_gamma(0.5, 0.1, gamma_max=[4, 2.5]) -> gamma_max must be an integer in [1, 2^53], got 2.5
best_gamma(0.5, 0.1, gamma_max=1e300) -> gamma_max must be an integer in [1, 2^53], got 1e+300
regret_halfwidth(0.5, 0.1, tolerance=0) -> tolerance must be in (0, 1), got 0
regret_halfwidth(0.5, 0.1, tolerance=nan) -> tolerance must be in (0, 1), got nan
neighbour_loss(0.5, 0) -> gamma must be at least 1, got 0
measurement_value([1], [[1]], sensitivity=[1], error_variance=1, curvature=-1) -> curvature must...
measurement_value([1], [[1]], sensitivity=[1, 2], error_variance=1, curvature=1) -> gradient, ...

decide([[1, 0]]) -> speedup must be (draws, gammas) numbers in (0, inf), got shape (1, 2)
decide([[1, 2]], objective="speed") -> objective must be one of ...
decide([[1, 2]], weights=[1, 2]) -> weights must be 1 numbers in [0, inf) that are not all 0
decide([[1, 2]], tolerance=1) -> tolerance must be in [0, 1), got 1
value_of_measuring(rng, [[1, 2]], [0.5], noise=0) -> noise must be in (0, inf), got 0
at_hand([[1, 2]], level=1.0) -> level must be in (0, 1), got 1
expected_after(rng, [[[1, 2]] * 9], [nan] * 9) -> shown must be numbers in (-inf, inf), got others
expected_after(rng, [[[1, 2]] * 9], [0] * 9, outcomes=0) -> outcomes must be a whole number >= 1,...
expected_after(rng, [], [0] * 9) -> speedups must hold one table or more, got none
expected_after(rng, [[[-1, 2]] * 9], [0] * 9) -> speedup must be ...

DepthAcceptance(1.2) -> alpha must be in [0, 1], got 1.2
DepthAcceptance(0.5, 0) -> decay must be in (0, inf), got 0
DepthAcceptance(0.5, nan) -> decay must be in (0, inf), got nan
DepthAcceptance(0.5).survival(-1) -> gamma must be an integer in [0, inf), got -1
DepthAcceptance([0.5, 0.6]).draw(rng, gamma=2, rounds=3) -> drawing needs a single law, got ...
tokens_by_gamma(DepthAcceptance(0.5), 1.5) -> gamma must be an integer in [0, inf), got 1.5
MarkovAcceptance(0.5, 1.1) -> accept_after_reject must be in [0, 1], got 1.1
BetaRequestAcceptance(2, 0.0) -> shape_reject must be in (0, inf), got 0
BetaRoundAcceptance(-1.0, 2) -> shape_accept must be in (0, inf), got -1
PositionalAcceptance([0.9, 0.8, 0.7]).survival(4) -> gamma must be in [0, 3], the positions ...
PositionalAcceptance([0.9], "guess") -> extension must be 'refuse', 'last' or 'none', got 'guess'
PositionalAcceptance(0.5) -> rates must have one value per position, got shape ()
round_tokens_from_steps(0.0, 2.0) -> step_coverage must be in (0, 1], got 0
Survival([0.5, 0.6]) -> survival must not rise with position, got 0.6 at position 2 after 0.5; ...
Survival([[0.5, 0.4], [0.3, 0.31]]) -> survival must not rise with position, got 0.31 at position...
Survival([1.2]) -> survival must be in [0, 1], got 1.2
ConditionalRates([0.5, nan]) -> conditional rate must be in [0, 1], got nan
ConditionalRates(0.5) -> conditional rate must have one value per position, got shape ()
alpha_from_drafted_rate(0.5, 0) -> gamma must be in [1, inf), got 0
alpha_from_drafted_rate(1.5, 3) -> drafted_rate must be in [0, 1], got 1.5
alpha_from_length(0.9, 3) -> length must be in [1, 4], got 0.9
alpha_from_length(4.5, 3) -> length must be in [1, 4], got 4.5
round_counts([3, 1], 2) -> accepted must be in [0, drafted], got 3 of 2 in round 0
round_counts([1.5], 2) -> accepted must be an integer in [0, inf), got 1.5
round_counts([-1], 2) -> accepted must be an integer in [0, inf), got -1
round_counts([], 2) -> accepted must be one number per round, got shape (0,)
round_counts([1, 2], [3, 3, 3]) -> drafted must have the shape (2,), got (3,)
round_counts([1, 0], 2, request=[1]) -> request must have the shape (2,), got (1,)
walk_rounds([1, 0], 3) -> lengths must be an integer in [1, inf), got 0
alpha_estimate(0, 0) -> accepted_tokens + rejections must be in (0, inf), got 0
estimate_alpha(round_counts([0, 0], 0)) -> the counts hold no drafted token
estimate_alpha(round_counts([1, 0], 2, request=[5, 5])) -> the counts must hold at least 2 reques...
estimate_alpha(round_counts([1, 0], 2)).interval(1.0) -> confidence must be in (0, 1), got 1.0
optimal_gamma_interval(estimate_alpha(round_counts([1, 0], 2)), 0.05, slope_error=-1) -> slope_er...
resample_requests(rng, round_counts([1, 0], 2)) -> resampling needs counts that name at least 2 ...
bootstrap_law(rng, round_counts([1, 2, 0], 3), fit_depth, samples=3) -> resampling needs counts ...
bootstrap_law(rng, round_counts([1], 3), fit_depth, samples=0) -> samples must be an integer in ...
bootstrap_alpha(rng, round_counts([0, 0], 0), samples=2) -> the counts hold no drafted token
gated_rates(3.0, 2.0, 4) -> drafted must be in (0, 4] and accepted in [0, drafted], got 2.0 and 3.0
best_gate([], cost_ratio=0.1) -> confidence must hold one or more values, got none
estimate_positional(round_counts([0, 0], 0)) -> the counts hold no drafted token
fit_depth(round_counts([0, 1, 1], 1)) -> fitting a depth law needs accepted tokens at two draft ...
fit_markov(round_counts([1, 0], [2, 0])) -> a Markov fit needs rounds with at least 1 drafted token
fit_markov(round_counts([1, 1, 0], 1)) -> a Markov fit needs gamma >= 2, accepted tokens, and ...
fit_markov(round_counts([0, 0, 0], 4)) -> a Markov fit needs gamma >= 2, accepted tokens, and ...
fit_markov(round_counts([2, 3], 4, request=[0, 1])) -> a Markov fit needs gamma >= 2, accepted ...
bootstrap_law(rng, round_counts([1, 2], 3, request=[0, 0]), fit_depth, samples=1) -> resampling ...
fit_beta_round(round_counts([3, 3], 3)) -> fitting a Beta law of rounds needs accepted and reject...
fit_beta_request(round_counts([1, 2, 0], 3)) -> fitting a Beta law of requests needs counts of at...
fit_beta_request(round_counts([0, 0], 3, request=[0, 1])) -> fitting a Beta law of requests needs...
choose_law(round_counts([0], 0)) -> the counts hold no drafted token
choose_law(round_counts([1, 0], 2), level=0) -> level must be in (0, 1), got 0

AffineCost(-0.1) -> cost_ratio must be in [0, inf), got -0.1
AffineCost(0.1, nan) -> verify_slope must be in [0, inf), got nan
AffineCost(0.1, 0, [0, -3]) -> overhead must be in [0, inf), got -3
AffineCost(0.1, step=0) -> step must be in (0, inf), got 0
AffineCost(0.1, step=inf) -> step must be in (0, inf), got inf
AffineCost(0.1).round_time(2.5) -> gamma must be an integer in [0, inf), got 2.5
LinearPass(1.0, -1.0) -> per_token must be in [0, inf), got -1
MoEPass(8, 2, 1.0, 1.0, -1.0) -> per_token must be in [0, inf), got -1
RooflinePass(-1.0, 1.0, 1.0, 1.0) -> weight_bytes must be in (0, inf), got -1
SequentialDraftCost(LinearPass(1.0), LinearPass(0.3), -1.0) -> overhead must be in [0, inf), got -1
ParallelDraftCost(LinearPass(1.0), LinearPass(0.3), nan) -> overhead must be in [0, inf), got nan
ParallelDraftCost(LinearPass(1.0), LinearPass(0.3), block=0) -> block must be an integer in ...
StaircasePass(LinearPass(1.0), sizes=(4, 2)) -> sizes must increase, got (4, 2)
TablePass((1, 2), (1.0, 2.0, 3.0)) -> times must have shape (2, 1, 1), got (3,)
TablePass((1, 2), (1.0, 2.0), batches=(1, 2)) -> times must have shape (2, 2, 1), got (2,)
TablePass((2, 1), (1.0, 2.0)) -> tokens must be a list of increasing numbers, got (2, 1)
TablePass((1,), (1.0,)) -> tokens must hold two points or more
TablePass((1, 2), (1.0, 0.0)) -> times must be in (0, inf)
TablePass((1, 2), (1.0, 2.0)).step_time([3.0]) -> tokens must be in the measured range [1, 2], got 3
TablePass((1, 2), (1.0, 2.0)).step_time([1.0], batch=4) -> batch must be in the measured range [1...
TablePass((1, 2), (1.0, 2.0)).step_time([1.0], context=5) -> context must be in the measured rang...
experts_touched(1, 1, experts=8, active_experts=9) -> active_experts must be at most experts, got 9
largest_batch(1, 1, weight_bytes=1, kv_bytes=1) -> memory must be more than weight_bytes + ...
helpful_batches(1.5, 0, **H100) -> alpha must be in [0, 1], got 1.5
crossover_batch(0.5, 0, **{**H100, "draft_fixed": nan}) -> draft_fixed must be in [0, inf), got nan
in_service_probability(1.5, 0.5, 2, 1, **H100, context=0) -> in_service must be an integer in ...
choose_gamma(DepthAcceptance(0.8), AffineCost(0.1), gamma_max=0) -> gamma_max must be an integer...
choose_gamma(DepthAcceptance(0.8), AffineCost(0.1), tolerance=1) -> tolerance must be in [0, 1),...

rounds_pmf(one(0.5, 0.6), 5) -> pmf must be >= 0 and sum to 1 on its last axis
rounds_moments(one(1.5, -0.5), 5) -> pmf must be >= 0 and sum to 1 on its last axis
rounds_quantile(one(nan, 1.0), 0.5) -> distribution must be >= 0 and sum to 1 on its last axis
rounds_quantile(one(0.5, 0.5), 1.5) -> probability must be in [0, 1], got 1.5
completion_rounds(np.array(1.0), 3) -> distribution must be >= 0 and sum to 1 on its last axis
completion_rounds(one(0.5, 0.5)) -> give a batch, or one distribution per sequence
rounds_pmf(one(1.0), 0) -> length must be an integer in [1, inf), got 0
rounds_quantile_normal(10, 0, round_mean=3, round_factorial_2=1) -> round_factorial_2 must be at ...
RequestMix(0.5) -> alpha must be one-dimensional, got shape ()
RequestMix([0.5, 0.6], [0.5, 0.6]) -> weight must have the shape of alpha and sum to 1
RequestMix([0.5, 0.6], [1.5, -0.5]) -> weight must be in [0, 1], got 1.5 (and 1 more)
RequestMix.beta(0.0, 1.0) -> a must be in (0, inf), got 0
RequestMix.beta(1.0, 1.0, nodes=0) -> nodes must be an integer in [1, inf), got 0

DraftScaleLaw(0.05, 0.1, 0.25, 0.02, 1.0).optimal_scale(0) -> gamma must be in [1, inf), got 0
DraftScaleLaw(0.05, 0.1, 0.25, 0.02, 1.0).optimal_scale(2, largest=0.0) -> largest must be in ...
DraftScaleLaw(0.05, 0.1, 0.25, 0.02, 1.0).turning_point(0) -> gamma_max must be an integer in ...
DraftScaleLaw(0.05, 0.1, 0.25, 0.02, 1.0).speedup(0.0, 3) -> scale must be in (0, inf), got 0
QuantisedScaleLaw(DraftScaleLaw([0.05, 0.1], 0.1, 0.3, 0.02, 1), 1, 1) -> a law in two axes takes...
compare_with_zero_scale(DraftScaleLaw([0, 0.1], 0.1, 0.3, 0.02, 1), 0.5) -> comparing needs a sin...
drafting_share(0.99, 3, 0.3, 0.05) -> alpha must be in [0, 1 - rejection_floor], got 0.99
unique_turning_point([0.1, 0.2], [0.5, 0.6], [0.1, 0.2], gamma=2) -> need three or more sizes, ...
unique_turning_point([0.1, 0.3, 0.2], [0.5] * 3, [0.1] * 3, gamma=2) -> sizes must increase, ...
unique_turning_point([0.1, 0.2, 0.3], [1.6] * 3, [0.1] * 3, gamma=2) -> acceptance must be in [0,...
unique_turning_point([0.1, 0.2, 0.3], [0.5] * 3, [0.1] * 3, gamma=0) -> sizes must increase, ...
ShapeLaw(0.4, 0.1, 0.25, 0.02, 1, 0.75).at_layers(1) -> rejection_floor must be in [0, 1), got 1.15
ShapeLaw(0.4, 0.1, 0.25, -0.02, 1.0) -> layer_time must be in [0, inf), got -0.02
ShapeLaw(0.4, 0.1, 0.25, [0.1, 0.2], 1.0) -> layer_time must be a number, got an array
sdsl_size(1e4) -> target_parameters must be in (1e5, inf), got 10000
sdsl_size(7e9, cost_floor=1.0) -> cost_floor must be in [0, 1), got 1

branching_ceiling(0, 1.5, 4.0) -> verified_nodes must be an integer in [1, inf), got 0
greedy_certificate(0.2, 0.3) -> second_mass must be in [0, min(top_mass, 1 - top_mass)], got ...
greedy_certificate(0.8, 0.3) -> second_mass must be in [0, min(top_mass, 1 - top_mass)], got ...
logit_oscillation([0.0, -inf], [0.0, 0.0]) -> logits must be finite arrays of at least one axis
rule_certificate([0.4, 0.3, 0.3], [False, True, True]) -> stands must hold the likeliest tokens ...
rule_certificate([0.4, 0.3, 0.3], [True]) -> p and stands must have one shape (V,), got (3,), (1,)
covered_certificate([[0.5, 0.5]], 1) -> p must have shape (V,), got (1, 2)
total_variation([0.5, 0.6], [0.5, 0.5]) -> p must sum to 1 along its last axis, got 1.1
lenient_verification([0.5, 0.5], [0.5, 0.4], leniency=0.9) -> q must sum to 1 along its last axis...
lenient_verification([0.5, 0.5], [0.5, 0.5], leniency=0) -> leniency must be in (0, 1], got 0
threshold_policy([0.5, 0.6], [0.5, 0.6], cost_ratio=0.1) -> weights must sum to 1, got 1.1
threshold_policy([0.5, 0.6], [1.0], cost_ratio=0.1) -> values and weights must be equal 1-d array...
threshold_policy([0.5], [1.0], cost_ratio=0.1, gamma_max=0) -> gamma_max must be an integer in ...
stopping_threshold(0.0, 0.1, 1.0) -> alpha must be in (0, 1], got 0
lookahead_latency(0.5, 1.5, 10) -> cost_ratio must be in [0, 1], got 1.5
investments(0.8, 5, 0.07, improvement=0.0) -> improvement must be in (0, 1), got 0.0

budgeted_lengths([[0.5, 0.6]], 1) -> survival must not rise along a request
budgeted_lengths([0.5, 0.4], 1) -> survival must have shape (requests, positions), got (2,)
budgeted_lengths([[0.5, 0.4]], 1.5) -> budget must be an integer in [0, inf), got 1.5
best_budget([[0.5, 0.4]], [1.0, 1.1, 1.2, 1.3]) -> round_time must have 1 to 3 entries, got (4,)
best_budget([[0.5, 0.4]], [0.0, 1.1]) -> round_time must be in (0, inf)
fan_out(1.0, 3, budget=8, miss_exponent=0.5) -> alpha must be in (0, 1), got 1
fan_out(0.5, 3, budget=0.0, miss_exponent=0.5) -> budget must be in (0, inf), got 0.0
trimmed_acceptance([0.5, 0.5], [0.5, 0.5], [True]) -> kept must have the shape of the vocabulary,...
trimmed_acceptance([0.5, 0.5], [1.0, 0.0], [False, True]) -> the draft must give the kept tokens ...
trimmed_acceptance([0.5, 0.5], [0.5, 0.4], [True, True]) -> q must sum to 1 along the last axis
sparse_cache_cost(11, 10, batch=1, weight_bytes=1, draft_weight_bytes=1, kv_bytes=1) -> draft_cac...
chain_time([1.0], [1.0, 2.0]) -> times must be >= 0 and lengths > 0, one of each for every model

growth_exponent([0.8, 0.8]) -> ranks must sum to a value in [0, 1], got 1.6
growth_exponent([]) -> ranks must be one or more values in one dimension, got (0,)
rank_entropy([1.5]) -> ranks must be in [0, 1], got 1.5
equal_ranks_theta(3, 0.5) -> equal_children * equal_rank must be in [0, 1], got 1.5
nodes_worth([0.5], least_value=0) -> least_value must be in (0, 1], got 0
nodes_worth([1.0], least_value=0.5) -> ranks must be below 1 for a finite count, got 1
best_tree([0.2, 0.3], 3) -> ranks must be in non-increasing order along the last axis
best_tree([0.9, 0.3], 3) -> ranks of one level must sum to a value in [0, 1], got 1.2
best_tree([-0.1], 3) -> ranks must be in [0, 1], got -0.1
best_tree(0.5, 3) -> ranks must have one or two dimensions, got 0
best_tree([0.5], 1.5) -> nodes must be an integer in [0, inf), got 1.5
best_tree([0.5], 3, depth=-1) -> tree_depth must be an integer in [0, inf), got -1
best_tree_size([0.5], 3, draft_step=-1) -> cost_ratio must be in [0, inf), got -1
best_tree_size([0.5], 3, draft_step=0.1, verify_time=[1, 1]) -> verify_time must hold 4 values in...
geometric_ranks(0.5, 1.0, count=2) -> rank_ratio must be in [0, 1), got 1
ranked_children_mass(0.8, 0.5, 2) -> rank_first / (1 - rank_ratio) must be in [0, 1], got 1.6
tree_tokens([-1, -1], [0.6, 0.6]) -> probabilities of siblings must sum to at most 1, got 1.2
tree_tokens([-1, 0, 0], [0.6, 0.6, 0.6]) -> probabilities of siblings must sum to at most 1, got 1.2
tree_tokens([-1, 1], [0.5, 0.5]) -> parents[1] must be in [-1, 0], got 1
tree_tokens([-2], [0.5]) -> parents[0] must be in [-1, -1], got -2
tree_tokens([-1], [0.5, 0.5]) -> parents must be in one dimension of 2 nodes, got (1,)
tree_tokens([-1], [nan]) -> probabilities must be in [0, 1], got nan
drafts_optimum([0.5, 0.5], [1.0], drafts=2) -> p and q must have one shape (V,), got (2,) and (1,)
drafts_optimum([1.0], [1.0], drafts=0) -> drafts must be an integer in [1, inf), got 0
kseq([1.0], [1.0], drafts=1.5) -> drafts must be an integer in [1, inf), got 1.5
membership([0.5, 0.6], [0.5, 0.5], drafts=2) -> p must sum to 1 along its last axis, got 1.1
drafts_optimum_distinct([1 / 17] * 17, [1 / 17] * 17, drafts=2) -> p must hold in [1, 16] tokens ...
recursive_rejection_distinct([1 / 9] * 9, [1 / 9] * 9, drafts=8) -> V^(K-1) must be in [1, 1e5], ...
chosen_path_mass(0.8, 0.3, 2) -> mass_below + draft_mass must be in [0, 1], got 1.1
overlap([0.5, 0.4], [0.5, 0.5]) -> p must sum to 1 along its last axis, got 0.9
overlap([0.5, 0.5], [1.5, -0.5]) -> q must be in [0, 1], got 1.5 (and 1 more)
distribution("p", 1.0) -> p must be a distribution along its last axis, got shape ()
sampled_from([0, 1], temperature=-1) -> temperature must be in [0, inf), got -1
sampled_from([0, 1], top_p=0) -> top_p must be in (0, 1], got 0
sampled_from([0, 1], top_k=0) -> top_k must be an integer in [1, inf), got 0
sampled_from([0, nan]) -> logits must have in [-inf, inf) a finite largest value, got none
sampled_from([-inf, -inf]) -> logits must have in [-inf, inf) a finite largest value, got none
block_weights(one(*HALF), [HALF], [0]) -> target, draft and tokens must have shapes (gamma + 1, V...
block_weights([HALF] * 2, [HALF], [2]) -> tokens must be in [0, 1], got [2]
block_weights([[0.5, 0.4]] * 2, [HALF], [0]) -> target must sum to 1 along its last axis, got 0.9
block_next_token([HALF] * 2, [HALF], [0], accepted=2) -> accepted must be an integer in [0, 1], g...
block_gain(np.eye(2), np.eye(2), 40, **START) -> V^gamma must be in [1, 4e6] to be enumerated, go...
block_gain(np.eye(3), np.eye(3), 1, **START) -> target and draft must have shape (2, 2), got (3, 3)
traversal_endings([HALF] * 3, [HALF] * 3, [0, 1], parents=[-1, 1]) -> parents must be -1 or an ...
traversal_endings([HALF] * 3, [HALF] * 3, [0, 2], parents=[-1, 0]) -> tokens must be in [0, 1], g...
traversal_endings([HALF] * 3, [HALF] * 3, [0], parents=[-1]) -> target and draft must have shape ...
traversal_gain(np.eye(2), np.eye(2), [9] * 9, **START) -> states to enumerate must be at most 4e5...
multipath_tokens(np.eye(2), np.eye(2), 40, drafts=2, **START) -> V^gamma must be in [1, 1e5], got...
"""
H100 = {
    "step_fixed": 7e-3, "step_per_token": 2e-5, "step_per_cached": 4e-8, "draft_fixed": 2e-3,
}  # fmt: skip


def names() -> dict[str, Any]:
    """Everything that a call may name: what the modules of theory define, and a few short words."""
    known: dict[str, Any] = {
        "np": np, "nan": np.nan, "inf": np.inf, "rng": np.random.default_rng(0), "H100": H100,
        "one": lambda *values: np.array(values), "HALF": [0.5, 0.5],
        "START": {"target_start": [1, 0], "draft_start": [1, 0]},
    }  # fmt: skip
    for module in pkgutil.walk_packages(howspec.theory.__path__, "howspec.theory."):
        defined = vars(importlib.import_module(module.name)).items()
        known |= {k: v for k, v in defined if getattr(v, "__module__", None) == module.name}
    return known


KNOWN = names()


@pytest.mark.parametrize(
    ("call", "message"), [case.split(" -> ") for case in REFUSED.splitlines() if case]
)
def test_bad_input_is_one_line_with_quantity_range_and_value(call: str, message: str) -> None:
    start, rest, _ = message.partition("...")
    with pytest.raises(ValueError, match=re.escape(start)) as caught:
        eval(call, KNOWN)
    said = str(caught.value)
    assert "\n" not in said
    assert said.startswith(start) if rest else said == start
