r"""What makes a draft better or worse than its number of parameters says.

    N_tokens:  A / N'^a = A / N^a + B (1 / D^b - 1 / D_0^b)        trained on D tokens, not D_0
    N_ppl:     A / N'^a - A / M^a = ln(ppl_draft / ppl_target)     on the same text

The loss law of training turns both into parameters. A perplexity moves the size half of the way, in
its logarithm: two models of one perplexity are not one model.
Assumes: the loss law holds for the family; D_0 is the training of a usual model.
Wrong when: the draft was distilled, or the text is far from its training.
Source: constants of arXiv:2203.15556, A = 406.4, a = 0.34, B = 410.7, b = 0.28; the rest derived
here, and not fitted: no published row states tokens or perplexities.
"""

from __future__ import annotations

import math

A, SIZE_EXPONENT, B, TOKENS_EXPONENT, ENTROPY = 406.4, 0.34, 410.7, 0.28, 1.69
USUAL_TOKENS = 2e12


def loss(parameters: float, tokens: float = USUAL_TOKENS) -> float:
    """Loss of a model of that size after that training [nat/token]."""
    return float(ENTROPY + A / parameters**SIZE_EXPONENT + B / tokens**TOKENS_EXPONENT)


def equivalent_parameters(parameters: float, tokens: float | None) -> float:
    """Size with which the usual training reaches the same loss; ``parameters`` for tokens None.

    parameters, tokens: > 0. Raises ValueError otherwise.
    """
    positive("parameters", parameters)
    if tokens is None:
        return parameters
    positive("training tokens", tokens)
    more = B / tokens**TOKENS_EXPONENT - B / USUAL_TOKENS**TOKENS_EXPONENT
    term = A / parameters**SIZE_EXPONENT + more
    # More training than any size makes up for: as good as the smallest term that is left.
    least = 0.1 * A / parameters**SIZE_EXPONENT
    return float((A / max(term, least)) ** (1.0 / SIZE_EXPONENT))


def with_perplexities(draft: float, target: float, draft_ppl: float, target_ppl: float) -> float:
    """Size of the draft after half a step towards the one its perplexity stands for.

    draft, target: parameters; perplexities on one text, >= 1. Raises ValueError otherwise.
    """
    for name, value in (("draft perplexity", draft_ppl), ("target perplexity", target_ppl)):
        if not (value >= 1.0 and math.isfinite(value)):
            raise ValueError(f"{name} must be in [1, inf), got {value:g}")
    behind = max(math.log(draft_ppl / target_ppl), 0.0)
    implied = (A / (A / target**SIZE_EXPONENT + behind)) ** (1.0 / SIZE_EXPONENT)
    return math.sqrt(draft * implied)


def usual_layers(parameters: float) -> float:
    """Layers of a usual decoder of that size: 24 at 0.5, 36 at 3, 72 at 70 billion parameters."""
    return float(24.0 * (parameters / 5e8) ** 0.22)


def positive(name: str, value: float) -> None:
    """Raise ValueError unless the value is a finite number above 0."""
    if not (value > 0.0 and math.isfinite(value)):
        raise ValueError(f"{name} must be in (0, inf), got {value:g}")
