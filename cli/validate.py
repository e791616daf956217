"""`howspec validate`: predictions against what was measured, with rivals on the same points."""

from __future__ import annotations

from .answering import Given, answering


@answering(
    "rows points seed figure html as_json",
    rows="File of held-out rows; default: everything that is bundled.",
    points="List every point.",
)
def validate(given: Given) -> None:
    """Test the predictions: what was given, what was predicted, how far off, how sure.

    A file (separated text with a header, or JSON) has the columns target, draft, engine, hardware,
    task, batch, gamma, alpha, tau_mean_tokens_per_round, cost_ratio_c, speedup, under these or
    usual other names: sweeps over gamma are predicted with one gamma left out, rows that state
    acceptance, gamma and cost ratio from these, and speed-ups of models and machines that are
    known from the names. Or it has one number a row, in metric and value: speed-ups, speeds and
    plain ones, tokens per round, acceptance. Errors of speed-ups are relative, those of acceptance
    absolute.

    Example:

    howspec validate
    """
