"""`howspec predict`: the best gamma and its speed-up, of numbers, a sweep or a named pair."""

from __future__ import annotations

from . import options
from .answering import Given, answering

_OF_SWEEPS = ("target", "draft", "gamma_max", "objective", "level", "seed")


@answering(
    "target draft device acceptance costs alpha cost_ratio acceptance_length gamma alpha_tokens "
    "decay verify_slope overhead plain_ms known_draft sweep task temperature tuned batch "
    "context dtype draft_dtype stack p_min gamma_max objective level seed online price_per_hour "
    "power_w figure html as_json",
    sweep="Measured sweep: a table, or the name of a bundled one.",
    tuned="The draft was trained towards the target.",
    draft_dtype="Number format of the draft; default that of the target.",
)
def predict(given: Given) -> object:
    """Predict the best number of draft tokens and its speed-up, with an interval.

    With numbers, costs are in units of one plain step of the target: a round costs
    1 + gamma (cost-ratio + verify-slope) + overhead, the overhead paid only when speculating.
    For a named pair, what is not given of acceptance and costs is predicted, and the answer says
    which part is stated, measured, imported or predicted.

    Examples:

    howspec predict --alpha 0.8 --cost-ratio 0.05

    howspec predict --target Llama-3.1-70B --draft Llama-3.2-1B --device "4x H100" --task chat

    howspec predict --target Qwen3-32B --draft Qwen3-1.7B --device H100 --plain-ms 34.2

    howspec predict --acceptance-length 2.4 --gamma 5 --cost-ratio 0.1

    howspec predict --sweep paper_bloom_grid --target BLOOM-7.1B
    """
    sweep = given.pop("sweep")
    if sweep is None:
        return None
    options.alone("sweep", {n: v for n, v in given.items() if n not in _OF_SWEEPS})
    from ..verbs.predict_sweep import predict_sweep

    return predict_sweep(sweep, **{n: given[n] for n in _OF_SWEEPS})
