"""`howspec explain`: where the time of a measured run goes, and which change pays most."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .checks import check_level, check_seed
from .output import health_lines, print_json, print_table

if TYPE_CHECKING:
    import numpy as np

    from ..calibrate.engines.evidence import Evidence
    from ..calibrate.engines.health import Case
    from ..calibrate.engines.stated import Stated
    from ..sim.account import Account
    from ..sim.measured import Measured

_DIGITS = "Its digits count as its accuracy; 98.2+-1.5 states a standard error."


def explain(
    baseline_tokens_per_s: Annotated[
        str | None,
        typer.Option(help=f"Speed without speculation, all requests together. {_DIGITS}"),
    ] = None,
    speculative_tokens_per_s: Annotated[
        str | None, typer.Option(help="Speed with speculation, at the same load.")
    ] = None,
    statistics: Annotated[
        str | None,
        typer.Option(
            help="Counts of the run: JSON of `howspec import --json`, an engine's log, a URL of "
            "its metrics, - for standard input, or a record."
        ),
    ] = None,
    drafter: Annotated[
        str | None,
        typer.Option(
            help="serial (one token after another) or block (all in one pass, such as DFlash); "
            "default: by the name of --draft, else serial."
        ),
    ] = None,
    draft: Annotated[
        str | None, typer.Option(help="Draft within a record that holds several.")
    ] = None,
    acceptance_length: Annotated[
        str | None, typer.Option(help="Tokens per round with the bonus token, with --gamma.")
    ] = None,
    alpha: Annotated[
        str | None, typer.Option(help="Conditional acceptance rate of a draft token, with --gamma.")
    ] = None,
    decay: Annotated[
        float, typer.Option(help="Factor of alpha from one draft position to the next.")
    ] = 1.0,
    gamma: Annotated[int | None, typer.Option(help="Draft tokens of a round.")] = None,
    plain_step_ms: Annotated[
        str | None, typer.Option(help="Time of a plain step of the target.")
    ] = None,
    round_ms: Annotated[str | None, typer.Option(help="Time of a whole speculative round.")] = None,
    draft_step_ms: Annotated[str | None, typer.Option(help="Time of one draft step.")] = None,
    verify_ms: Annotated[
        str | None, typer.Option(help="Time of the target's pass over gamma + 1 tokens.")
    ] = None,
    cost_ratio: Annotated[
        str | None, typer.Option(help="Draft step in plain steps, in place of --draft-step-ms.")
    ] = None,
    verify_slope: Annotated[
        str | None,
        typer.Option(help="Plain steps that a token adds to verifying, in place of --verify-ms."),
    ] = None,
    overhead: Annotated[
        str | None, typer.Option(help="Plain steps that a round costs beyond its passes.")
    ] = None,
    batch: Annotated[float, typer.Option(help="Sequences decoded together.")] = 1.0,
    verify_ratio_batch_1: Annotated[
        str | None,
        typer.Option(help="Verifying pass over plain step at batch 1; separates the batch."),
    ] = None,
    prefill_s: Annotated[
        str | None,
        typer.Option(help="Prefill of a request, where the speeds include it; with output tokens."),
    ] = None,
    prompt_tokens: Annotated[int | None, typer.Option(help="Prompt of a request.")] = None,
    output_tokens: Annotated[
        int | None, typer.Option(help="Tokens that a request generates.")
    ] = None,
    temperature: Annotated[float | None, typer.Option(help="Sampling temperature.")] = None,
    level: Annotated[float, typer.Option(help="Probability that an interval holds.")] = 0.9,
    seed: Annotated[int, typer.Option(help="Seed of the draws.")] = 0,
    figure: Annotated[
        Path | None, typer.Option(help="Draw the waterfall into this .png, .pdf or .svg.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Explain a measured speed-up: what each loss takes, and which change would pay most.

    The ideal is gamma + 1: every draft token accepted, drafting and verifying free. The factors of
    the terms (shared out by Shapley's rule, so that no order is preferred) multiply with it to the
    measured ratio exactly. What the inputs only show as a sum stays one term.

    Example:

    howspec explain --baseline-tokens-per-s 41 --speculative-tokens-per-s 72 --alpha 0.8 --gamma 3
    """
    import numpy as np

    from ..calibrate.engines.drafters import Drafter, drafter_of
    from ..calibrate.engines.health import findings
    from ..calibrate.engines.stated import stated
    from ..sim.account import explain as account_of
    from ..sim.changes import best_setting, changes
    from ..sim.reasons import reasons

    if figure is not None:
        from ..figures.waterfall import check_suffix

        check_suffix(figure)
    if temperature is not None and not 0.0 <= temperature < float("inf"):
        raise ValueError(f"--temperature must be in [0, inf), got {temperature:g}")
    if prompt_tokens is not None and prompt_tokens < 0:
        raise ValueError(f"--prompt-tokens must be in [0, inf), got {prompt_tokens}")
    if gamma is not None and not 1 <= gamma <= 256:
        raise ValueError(f"--gamma must be an integer in [1, 256], got {gamma}")
    if drafter is not None and drafter not in ("serial", "block"):
        raise ValueError(f"--drafter must be serial or block, got {drafter!r}")
    kind: Drafter = "block" if drafter == "block" else "serial"
    kind = drafter_of(draft) if drafter is None else kind
    check_seed(seed)
    check_level(level)
    rng = np.random.default_rng(seed)
    rate = None if alpha is None else _rate(stated(alpha, "alpha"))
    evidence = _evidence(rng, statistics, acceptance_length, rate, decay, gamma, draft)
    texts = {
        "baseline_tokens_per_s": baseline_tokens_per_s,
        "speculative_tokens_per_s": speculative_tokens_per_s,
        "cost_ratio": cost_ratio,
        "verify_slope": verify_slope,
        "overhead": overhead,
        "verify_ratio_batch_1": verify_ratio_batch_1,
        "prefill_s": prefill_s,
    }
    times = {"plain_step": plain_step_ms, "round": round_ms, "draft_step": draft_step_ms,
             "verify": verify_ms}  # fmt: skip
    measured = _measured(texts, times, batch, output_tokens if prefill_s is not None else None)
    account = account_of(measured, evidence, rng, gamma=gamma, level=level)
    found = changes(account, evidence, rng, level=level, drafter=kind)
    health = findings(_case(account, measured, evidence))
    beside = rate if statistics is not None or acceptance_length is not None else None
    notes = reasons(
        account, measured, alpha=beside, prompt_tokens=prompt_tokens, temperature=temperature
    )
    if kind == "block":
        notes = (*notes, "a block drafter: fewer draft tokens are taken to cost as much as all")
    answer = _answer(account, found, best_setting(found), (*notes, *evidence.notes), evidence)
    answer = {"health": list(health), **answer}
    if figure is not None:
        from ..figures.waterfall import waterfall

        answer["figure"] = str(waterfall(account, figure))
    if as_json:
        print_json(answer)
    else:
        _print(answer)


def _case(account: Account, measured: Measured, evidence: Evidence) -> Case:
    """What the rules of health look at."""
    from ..calibrate.engines.health import Case

    speed = account.decode_speedup
    parts = (measured.draft_step_s, measured.cost_ratio, measured.verify_s, measured.verify_slope)
    return Case(
        evidence.counts,
        decode_speedup=speed.estimate,
        speedup_range=(speed.low, speed.high),
        tokens_per_target_step=account.tokens_per_target_step.estimate,
        step_ratio=account.round_steps.estimate,
        batch=measured.batch,
        explained=any(p is not None for p in parts),
    )


def _rate(alpha: Stated) -> Stated:
    if not 0.0 <= alpha.value <= 1.0:
        raise ValueError(f"alpha must be in [0, 1], got {alpha.value:g}")
    return alpha


def _evidence(
    rng: np.random.Generator,
    statistics: str | None,
    acceptance_length: str | None,
    alpha: Stated | None,
    decay: float,
    gamma: int | None,
    draft: str | None,
) -> Evidence:
    """Acceptance from the strongest of the inputs: statistics, then a length, then alpha."""
    from ..calibrate.engines import evidence as sources

    if statistics is not None and acceptance_length is not None:
        raise ValueError("give --statistics or --acceptance-length, not both")
    if statistics is not None:
        from ..calibrate.engines.recorded import load_evidence

        return load_evidence(statistics, rng, gamma=gamma, draft=draft)
    if draft is not None:
        raise ValueError("--draft chooses within the record of --statistics, got none")
    if gamma is None:
        raise ValueError("explain needs --gamma, the draft tokens of a round, or --statistics")
    if acceptance_length is not None:
        return sources.from_length(acceptance_length, gamma, rng)
    if alpha is not None:
        return sources.from_alpha(alpha, rng, decay=decay, gamma=gamma)
    raise ValueError("explain needs --statistics, --acceptance-length or --alpha")


def _measured(
    texts: dict[str, str | None],
    times: dict[str, str | None],
    batch: float,
    output_tokens: int | None,
) -> Measured:
    from ..calibrate.engines.stated import Stated, stated
    from ..sim.measured import Measured

    given: dict[str, Stated] = {k: stated(v, k) for k, v in texts.items() if v is not None}
    for name in ("baseline_tokens_per_s", "speculative_tokens_per_s"):
        speed = given[name].value if name in given else 1.0
        if 0.0 < speed < 1e-6 or speed > 1e9:
            raise ValueError(f"{name} must be in [1e-6, 1e9], got {speed:g}")
    for name, text in times.items():
        if text is not None:
            given[f"{name}_s"] = stated(text, f"{name}_ms").scaled(1e-3)
    if output_tokens is not None:
        given["output_tokens"] = Stated(float(output_tokens))
    return Measured(batch=batch, **given)


def _answer(
    account: Account, found: Any, setting: Any, notes: tuple[str, ...], evidence: Evidence
) -> dict[str, Any]:
    step = account.plain_step_s
    terms = [
        {
            "name": t.name,
            "factor": t.factor,
            "plain_steps": t.plain_steps,
            "milliseconds": None if t.plain_steps is None or step is None
            else 1e3 * step * t.plain_steps.estimate,
            "share_of_round": None if t.plain_steps is None
            else t.plain_steps.estimate / account.round_steps.estimate,
            "determined": len(t.parts) == 1,
        }
        for t in account.terms
    ]  # fmt: skip
    more = list(account.notes)
    if account.contradiction is not None:
        more.insert(0, f"contradiction: {account.contradiction}")
    if setting is not None and setting.gamma > account.gamma:
        more.append(f"acceptance beyond position {account.gamma} was not measured, only continued")
    work = [c for c in found if c.kind == "work"]
    return {
        "speedup": account.speedup,
        "decode_speedup": account.decode_speedup,
        "ideal": account.ideal,
        "gamma": account.gamma,
        "tokens_per_round": account.tokens_per_round,
        "tokens_per_target_step": account.tokens_per_target_step,
        "coverage": account.coverage,
        "round_in_plain_steps": account.round_steps,
        "plain_step_ms": None if step is None else 1e3 * step,
        "prefill_share": account.prefill_share,
        "terms": terms,
        "changes": list(found),
        "best_change": found[0],
        "best_setting": setting,
        "best_work": work[0] if work else None,
        "contradiction": account.contradiction,
        "acceptance_from": evidence.given,
        "notes": [*more, *notes],
    }


def _span(value: Any, digits: int = 2) -> str:
    return f"{value.low:.{digits}f}-{value.high:.{digits}f}"


def _print(answer: dict[str, Any]) -> None:
    for line in health_lines(answer["health"]):
        print(line)
    speed = answer["speedup"]
    verb = "slower" if speed.estimate < 1.0 else "faster"
    print(
        f"measured {speed.estimate:.3f} times plain decoding ({verb}; {100 * speed.level:g} % "
        f"interval {_span(speed, 3)}); the ideal at gamma {answer['gamma']} is {answer['ideal']:g}"
    )
    steps = f"{answer['round_in_plain_steps'].estimate:.3f} plain steps"
    if answer["coverage"] < 1.0:
        print(
            f"{answer['tokens_per_target_step'].estimate:.3f} tokens per target step, of which "
            f"{100 * answer['coverage']:.0f} % drafted; "
            f"{answer['tokens_per_round'].estimate:.3f} per drafting round; a step takes {steps}"
        )
    else:
        print(f"{answer['tokens_per_round'].estimate:.3f} tokens per round; a round takes {steps}")
    rows = []
    for t in answer["terms"]:
        steps, ms = t["plain_steps"], t["milliseconds"]
        rows.append([
            t["name"], f"x{t['factor'].estimate:.3f}", _span(t["factor"], 3),
            "-" if steps is None else f"{steps.estimate:+.3f}", "-" if ms is None else f"{ms:.3f}",
        ])  # fmt: skip
    print_table(["term", "factor", "interval", "plain steps", "ms"], rows)
    changes = [
        [
            c.name,
            c.kind,
            f"x{c.gain.estimate:.3f}",
            _span(c.gain, 3),
            f"{100 * c.probability:.0f} %",
        ]
        for c in answer["changes"]
    ]
    print_table(["change", "kind", "gain", "interval", "probability"], changes)
    print(_advice(answer))
    for note in answer["notes"]:
        print(f"note: {note}")


def _advice(answer: dict[str, Any]) -> str:
    setting, work = answer["best_setting"], answer["best_work"]
    if answer["contradiction"] is not None:
        return "the inputs contradict each other: repeat the measurement before changing anything"
    if setting is not None:
        text = f"set: {setting.name} (x{setting.gain.estimate:.2f}, {_span(setting.gain)})"
    else:
        text = f"set: nothing; gamma {answer['gamma']} is within 1 % of the best setting"
    if work is not None:
        text += f"; work on: {work.name} (x{work.gain.estimate:.2f}, {_span(work.gain)})"
    return text
