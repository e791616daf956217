"""Well-known reasons why a measured speed-up is not what was expected, checked on the inputs."""

from __future__ import annotations

from ..calibrate.engines.numbers import Stated
from ..theory.acceptance import alpha_from_length
from .account import Account
from .measured import Measured


def reasons(
    account: Account,
    measured: Measured,
    *,
    alpha: Stated | None = None,
    prompt_tokens: int | None = None,
    temperature: float | None = None,
) -> tuple[str, ...]:
    """Sentences on what is known to mislead, those first that the inputs point to.

    alpha: as it was given beside an acceptance length; prompt_tokens: of one request, where the
    prefill time is not known; temperature: of sampling, >= 0.
    """
    found = list(_steps_disagree(measured))
    if alpha is not None:
        found += _definition(alpha, account)
    if account.prefill_share.estimate > 0.1:
        found.append(
            f"prefill is {100 * account.prefill_share.estimate:.0f} % of a plain request: decoding "
            f"alone speeds up {account.decode_speedup.estimate:.2f} times"
        )
    elif prompt_tokens is not None and measured.prefill_s is None:
        found.append(
            "speeds over whole requests include the prefill, which speculation does not shorten; "
            "--prefill-s and --output-tokens separate it"
        )
    if temperature is not None and temperature > 0.0:
        found.append(
            f"at temperature {temperature:g} a draft that takes its likeliest token is accepted "
            "with the target's probability of that token, which falls with the temperature; let "
            "the draft sample too (in vLLM draft_sample_method probabilistic)"
        )
    grown = sum(
        t.plain_steps.estimate
        for t in account.terms
        if t.plain_steps is not None and t.name.startswith(("verification", "batch"))
    )
    if measured.batch > 1 and grown > 0.2:
        found.append(
            f"at batch {measured.batch:g} the verifying pass takes {1 + grown:.2f} plain steps: "
            "its tokens are no longer free, and a smaller gamma pays at large batches"
        )
    return tuple(found)


def _steps_disagree(measured: Measured) -> list[str]:
    """Step times against the speeds they should give."""
    found = []
    base, plain = measured.baseline_tokens_per_s, measured.plain_step_s
    if base is not None and plain is not None and measured.prefill_s is None:
        implied = measured.batch / base.value
        if abs(implied / plain.value - 1.0) > 0.05:
            found.append(
                f"the baseline speed gives {1e3 * implied:.4g} ms per plain step at batch "
                f"{measured.batch:g}, the stated plain step is {1e3 * plain.value:.4g} ms: prefill "
                "or waiting within the speed, or another batch; the account uses the speeds"
            )
    return found


def _definition(alpha: Stated, account: Account) -> list[str]:
    """Which other number called acceptance rate the given alpha looks like."""
    g, tokens = account.gamma, account.tokens_per_round.estimate
    conditional = float(alpha_from_length(min(max(tokens, 1.0), g + 1.0), g))
    near = max(2.0 * alpha.half_width, 0.005)
    if abs(alpha.value - conditional) <= near or g == 1:
        return []
    others = {
        "accepted over drafted tokens": (tokens - 1.0) / g,
        "tokens per round over gamma + 1, the bonus token counted on both sides": tokens / (g + 1),
    }
    for what, value in others.items():
        if abs(alpha.value - value) <= near:
            return [
                f"the given rate {alpha.value:g} is {what}, not the conditional rate: that is "
                f"{conditional:.3f} at {tokens:.3g} tokens per round and gamma {g}"
            ]
    return [
        f"the given rate {alpha.value:g} and {tokens:.3g} tokens per round at gamma {g} disagree: "
        f"independent acceptance would need a conditional rate of {conditional:.3f}"
    ]
