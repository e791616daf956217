"""`howspec crossover`: batch, context and load at which a pair stops paying."""

from __future__ import annotations

from .answering import Given, answering


@answering(
    "target draft device acceptance costs alpha acceptance_length gamma plain_ms batch context "
    "batch_max dtype stack task temperature gamma_max objective level seed online figure html "
    "as_json",
    batch_max="Largest batch looked at; less where memory ends before.",
)
def crossover(given: Given) -> None:
    """Find the batch, context and load at which the best gamma becomes 0.

    Batch and load at --context tokens a sequence, context at --batch sequences. The load is of
    generated tokens, with the batch that keeps up with it.

    Example:

    howspec crossover --target Llama-3.1-8B --draft Llama-3.2-1B --device H100 --task chat
    """
