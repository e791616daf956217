"""Why a measured run is as fast as it is, and what to change first: the account and its advice.

Well-known reasons why a measured speed-up is not what was expected, checked on the inputs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ...calibrate.doors import Deployment, acceptance, costs, resolve
from ...calibrate.doors.acceptance import served_behind
from ...calibrate.engines.health import Case, Finding, findings
from ...calibrate.known import KnownAcceptance, KnownCosts
from ...calibrate.models.drafters import Drafter, drafter_of
from ...calibrate.stated import Stated, stated
from ...theory.acceptance import alpha_from_length
from ...theory.domain import check
from ..known import Sources, check_seed
from .account import Account, explain
from .changes import Change, best_setting, changes
from .measured import Measured, ServedRun, served_run

if TYPE_CHECKING:
    from ...calibrate.doors.acceptance import AcceptanceSource

LARGEST_GAMMA = 256


@dataclass(frozen=True)
class Explanation:
    """The account of a run with its advice.

    known: the acceptance behind it; costs: that split what was not measured, None where nothing
    did; health: what looks broken, before what it costs; changes: largest gain first; setting: the
    one to set, None where nothing gains more than 1 %; work: the change that needs work and gains
    most; notes: what to know before relying on it.
    """

    account: Account
    known: KnownAcceptance
    costs: KnownCosts | None
    health: tuple[Finding, ...]
    changes: tuple[Change, ...]
    setting: Change | None
    work: Change | None
    notes: tuple[str, ...]


def explain_run(
    measured: Measured,
    given: Sources,
    at: Deployment = Deployment(),  # noqa: B008 - frozen
    *,
    alpha: str | float | None = None,
    drafter: str | None = None,
    prompt_tokens: int | None = None,
    level: float = 0.9,
    seed: int = 0,
) -> Explanation:
    """Explain a measured speed-up.

    given: acceptance of the run, and costs where they are known; records of servers as either of
    them also state the speeds at the gamma and the batch; at: the pair and its load, from
    which costs that were not measured are predicted where target, draft and device are named.
    alpha: a rate that was stated beside the acceptance, to be compared with it; drafter: "serial"
    or "block", by default as the name of the draft says; prompt_tokens: of a request, where its
    prefill time is not known. Raises ValueError where the speed-up is open.
    """
    if at.temperature is not None and not 0.0 <= at.temperature < float("inf"):
        raise ValueError(f"temperature must be in [0, inf), got {at.temperature:g}")
    if prompt_tokens is not None and prompt_tokens < 0:
        raise ValueError(f"prompt_tokens must be in [0, inf), got {prompt_tokens}")
    if given.gamma is not None and not 1 <= given.gamma <= LARGEST_GAMMA:
        raise ValueError(f"gamma must be an integer in [1, {LARGEST_GAMMA}], got {given.gamma}")
    if drafter not in (None, "serial", "block"):
        raise ValueError(f"drafter must be serial or block, got {drafter!r}")
    kind: Drafter = "block" if drafter == "block" else "serial"
    kind = drafter_of(at.draft) if drafter is None else kind
    rng = np.random.default_rng(check_seed(seed))
    run = _served_run(given, at)
    if run is not None:
        given = replace(given, acceptance=run.served, gamma=run.gamma)
        at, measured = replace(at, batch=run.batch), replace(measured, batch=run.batch)
    beside: Stated | None = None if alpha is None else stated(alpha, "alpha")
    if beside is not None:
        check("alpha", beside.value)
    source: AcceptanceSource = given.acceptance
    if source is None and given.acceptance_length is None:
        if beside is None:
            raise ValueError("explain needs acceptance, acceptance_length or alpha, got none")
        source, beside = beside, None
    number = isinstance(source, int | float | Stated) or given.acceptance_length is not None
    if number and given.gamma is None:
        raise ValueError("explain needs gamma, the draft tokens of a round, or statistics")
    pair = resolve(at)
    known = acceptance(
        source, rng=rng, pair=pair, length=given.acceptance_length, gamma=given.gamma,
        decay=given.decay,
    )  # fmt: skip
    measured, said = _stated_speed(measured, known, at.batch)
    if run is not None:
        measured, said = _measured_speeds(measured, run)
    prior = None
    if given.costs is not None or not at.lacks("target", "draft", "device"):
        prior = costs(given.costs, rng=rng, pair=pair)
    account = explain(
        measured, known, rng, gamma=given.gamma, level=level, costs=prior, context=at.cached
    )
    found = changes(account, known, rng, level=level, drafter=kind)
    more = reasons(
        account, measured, alpha=beside, prompt_tokens=prompt_tokens, temperature=at.temperature
    )
    setting = best_setting(found)
    notes = [*said, *account.notes]
    if account.contradiction is not None:
        notes.insert(0, f"contradiction: {account.contradiction}")
    if setting is not None and setting.gamma > account.gamma:
        notes.append(f"acceptance beyond position {account.gamma} was not measured, only continued")
    if kind == "block":
        notes.append("a block drafter: fewer draft tokens are taken to cost as much as all")
    health = findings(_case(account, measured, known))
    work = next((c for c in found if c.kind == "work"), None)
    all_notes = tuple(dict.fromkeys((*notes, *more, *known.notes)))
    return Explanation(account, known, prior, health, found, setting, work, all_notes)


def _served_run(given: Sources, at: Deployment) -> ServedRun | None:
    """The run that records of servers hold, as acceptance or as costs where that says nothing."""
    other = given.acceptance_length is not None
    source = given.costs if given.acceptance is None and not other else given.acceptance
    served = served_behind(source)
    if served is None:
        return None
    return served_run(served, draft=at.draft, gamma=given.gamma, batch=at.batch)


def _measured_speeds(measured: Measured, run: ServedRun) -> tuple[Measured, list[str]]:
    """The speeds of a measured run, where nothing else gives them."""
    plain, fast = measured.baseline_tokens_per_s, measured.speculative_tokens_per_s
    if plain is None and measured.plain_step_s is None:
        if run.plain is None:
            raise ValueError(
                f"plain decoding was not measured at batch {run.batch:g}: measure the server "
                "without speculation into the same folder, or give baseline_tokens_per_s"
            )
        plain = run.plain
    if fast is None and not measured.times_a_round:
        fast = run.fast
    taken = replace(measured, baseline_tokens_per_s=plain, speculative_tokens_per_s=fast)
    return taken, [run.note] if taken != measured else []


def _stated_speed(
    measured: Measured, known: KnownAcceptance, batch: float
) -> tuple[Measured, list[str]]:
    """The speed with speculation as the statistics state it, where nothing else gives it."""
    counts = known.counts
    if counts is None or measured.speculative_tokens_per_s is not None or measured.times_a_round:
        return measured, []
    speed, of = counts.tokens_per_s, "of all requests together, the median of its intervals"
    if speed is None and counts.request_tokens_per_s is not None:
        speed = counts.request_tokens_per_s * batch
        of = f"{counts.request_tokens_per_s:.4g} a request, times the batch of {batch:g}"
    if speed is None:
        return measured, []
    taken = Stated(speed, 0.5 * 10.0 ** (math.floor(math.log10(speed)) - 2))
    return replace(measured, speculative_tokens_per_s=taken), [
        f"speculative_tokens_per_s is {speed:.4g} as the source states it ({of}): give it where "
        "the plain speed was measured at another load"
    ]


def _case(account: Account, measured: Measured, known: KnownAcceptance) -> Case:
    """What the rules of health look at."""
    speed = account.decode_speedup
    parts = (measured.draft_step_s, measured.cost_ratio, measured.verify_s, measured.verify_slope)
    return Case(
        known.counts,
        decode_speedup=speed.estimate,
        speedup_range=(speed.low, speed.high),
        tokens_per_target_step=account.tokens_per_target_step.estimate,
        step_ratio=account.round_steps.estimate,
        batch=measured.batch,
        explained=any(p is not None for p in parts),
    )


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
