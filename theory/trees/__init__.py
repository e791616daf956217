"""Draft trees, several drafts for one position, and verification rules.

A tree is worth the sum of its path products (`value`); the best tree under a budget of nodes is
grown best first (`optimal`), which also tells when more nodes stop paying. What a verifier can
accept follows from the two models' probabilities: one draft (`verification`), several (`several`),
what verifiers in use reach (`rejection`), a whole block or a tree from its leaves (`block`).
"""

from __future__ import annotations

from .block import BlockGain as BlockGain
from .block import Ending as Ending
from .block import block_gain as block_gain
from .block import block_next_token as block_next_token
from .block import block_passes as block_passes
from .block import block_stop_law as block_stop_law
from .block import block_weights as block_weights
from .block import traversal_endings as traversal_endings
from .block import traversal_gain as traversal_gain
from .block import verify_block as verify_block
from .optimal import Tree as Tree
from .optimal import TreeChoice as TreeChoice
from .optimal import best_tree as best_tree
from .optimal import best_tree_size as best_tree_size
from .optimal import equal_ranks_theta as equal_ranks_theta
from .optimal import growth_exponent as growth_exponent
from .optimal import nodes_worth as nodes_worth
from .optimal import rank_entropy as rank_entropy
from .optimal import tokens_by_nodes as tokens_by_nodes
from .optimal import tree_deficit_exponent as tree_deficit_exponent
from .optimal import tree_tokens_growth as tree_tokens_growth
from .optimal import tree_tokens_limit as tree_tokens_limit
from .rejection import chosen_path_mass as chosen_path_mass
from .rejection import chosen_token_law as chosen_token_law
from .rejection import kseq as kseq
from .rejection import kseq_acceptance as kseq_acceptance
from .rejection import multipath_tokens as multipath_tokens
from .rejection import ranked_tokens as ranked_tokens
from .rejection import recursive_rejection as recursive_rejection
from .rejection import recursive_rejection_distinct as recursive_rejection_distinct
from .rejection import two_token_recursive_rejection as two_token_recursive_rejection
from .several import coupling_floor as coupling_floor
from .several import drafts_optimum as drafts_optimum
from .several import drafts_optimum_distinct as drafts_optimum_distinct
from .several import gumbel_coupling as gumbel_coupling
from .several import hub_acceptance as hub_acceptance
from .several import hub_share as hub_share
from .several import membership as membership
from .several import membership_share as membership_share
from .several import two_token_drafts_optimum as two_token_drafts_optimum
from .value import geometric_ranks as geometric_ranks
from .value import parallel_chains_tokens as parallel_chains_tokens
from .value import path_products as path_products
from .value import ranked_children_mass as ranked_children_mass
from .value import regular_tree_tokens as regular_tree_tokens
from .value import tree_tokens as tree_tokens
from .verification import block_accept_probability as block_accept_probability
from .verification import block_weight_step as block_weight_step
from .verification import greedy_draft_acceptance as greedy_draft_acceptance
from .verification import overlap as overlap
from .verification import overlap_from_logits as overlap_from_logits
from .verification import residual as residual
from .verification import sampled_from as sampled_from
from .verification import temperature_sweep as temperature_sweep
from .verification import two_token_overlap as two_token_overlap
