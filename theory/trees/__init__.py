"""Draft trees, several drafts for one position, and verification rules.

A tree is worth the sum of its path products (`value`); the best tree under a budget of nodes is
grown best first (`optimal`), and `growth` tells when more nodes stop paying. What a verifier can
accept follows from the two models' probabilities: one draft (`verification`, `logits`), several
(`several`, `rejection`), a whole block (`block`), a tree from its leaves (`traversal`), one of
several paths (`multipath`).
"""

from __future__ import annotations

from .block import (
    BlockGain,
    block_gain,
    block_next_token,
    block_passes,
    block_stop_law,
    block_weights,
    verify_block,
)
from .growth import (
    equal_ranks_theta,
    growth_exponent,
    nodes_worth,
    rank_entropy,
    tree_deficit_exponent,
    tree_tokens_growth,
    tree_tokens_limit,
)
from .logits import overlap_from_logits, sampled_from, temperature_sweep
from .multipath import chosen_path_mass, chosen_token_law, multipath_tokens, ranked_tokens
from .optimal import Tree, TreeChoice, best_tree, best_tree_size, tokens_by_nodes
from .rejection import (
    kseq,
    kseq_acceptance,
    recursive_rejection,
    recursive_rejection_distinct,
    two_token_recursive_rejection,
)
from .several import (
    coupling_floor,
    drafts_optimum,
    drafts_optimum_distinct,
    gumbel_coupling,
    hub_acceptance,
    hub_share,
    membership,
    membership_share,
    two_token_drafts_optimum,
)
from .traversal import Ending, traversal_endings, traversal_gain
from .value import (
    geometric_ranks,
    parallel_chains_tokens,
    path_products,
    ranked_children_mass,
    regular_tree_tokens,
    tree_tokens,
)
from .verification import (
    block_accept_probability,
    block_weight_step,
    greedy_draft_acceptance,
    overlap,
    residual,
    two_token_overlap,
)

__all__ = [
    "BlockGain",
    "Ending",
    "Tree",
    "TreeChoice",
    "best_tree",
    "best_tree_size",
    "block_accept_probability",
    "block_gain",
    "block_next_token",
    "block_passes",
    "block_stop_law",
    "block_weight_step",
    "block_weights",
    "chosen_path_mass",
    "chosen_token_law",
    "coupling_floor",
    "drafts_optimum",
    "drafts_optimum_distinct",
    "equal_ranks_theta",
    "geometric_ranks",
    "greedy_draft_acceptance",
    "growth_exponent",
    "gumbel_coupling",
    "hub_acceptance",
    "hub_share",
    "kseq",
    "kseq_acceptance",
    "membership",
    "membership_share",
    "multipath_tokens",
    "nodes_worth",
    "overlap",
    "overlap_from_logits",
    "parallel_chains_tokens",
    "path_products",
    "rank_entropy",
    "ranked_children_mass",
    "ranked_tokens",
    "recursive_rejection",
    "recursive_rejection_distinct",
    "regular_tree_tokens",
    "residual",
    "sampled_from",
    "temperature_sweep",
    "tokens_by_nodes",
    "traversal_endings",
    "traversal_gain",
    "tree_deficit_exponent",
    "tree_tokens",
    "tree_tokens_growth",
    "tree_tokens_limit",
    "two_token_drafts_optimum",
    "two_token_overlap",
    "two_token_recursive_rejection",
    "verify_block",
]
