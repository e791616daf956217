"""`howspec predict`: the best gamma and its speed-up, of numbers, a sweep or a named pair."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from .checks import GAMMA_LIMIT, check_gamma_max, check_level, check_load, check_seed
from .output import print_json, print_table
from .predict_pair import PairOptions, part_lines, predict_pair

if TYPE_CHECKING:
    from ..sim.prediction import Prediction
    from ..sim.sweep_answer import SweepPrediction


def predict(
    alpha: Annotated[
        float | None,
        typer.Option(help="Acceptance probability of a draft token given those before it, [0, 1]."),
    ] = None,
    cost_ratio: Annotated[
        float | None, typer.Option(help="Time of a draft step, in plain target steps.")
    ] = None,
    verify_slope: Annotated[
        float, typer.Option(help="Time each further token adds to verification, in target steps.")
    ] = 0.0,
    overhead: Annotated[
        float, typer.Option(help="Other time of a speculative round, in target steps.")
    ] = 0.0,
    decay: Annotated[
        float, typer.Option(help="Factor of alpha from one draft position to the next.")
    ] = 1.0,
    gamma_max: Annotated[
        int | None,
        typer.Option(help="Largest gamma tried; default 32, or the largest measured one."),
    ] = None,
    sweep: Annotated[
        str | None, typer.Option(help="CSV of a measured sweep, or the name of a bundled one.")
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(help="Target model: a name, a config.json or its folder; or within a sweep."),
    ] = None,
    draft: Annotated[
        str | None, typer.Option(help="Draft model: a name, a config.json or its folder.")
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="Device of the pair, such as H100 or '2x A100 80GB'.")
    ] = None,
    batch: Annotated[float, typer.Option(help="Sequences decoded together.")] = 1.0,
    context: Annotated[float, typer.Option(help="Tokens in the cache of each sequence.")] = 0.0,
    dtype: Annotated[
        str, typer.Option(help="Number format of the target's weights; default the usual one.")
    ] = "",
    draft_dtype: Annotated[
        str, typer.Option(help="Number format of the draft; default that of the target.")
    ] = "",
    stack: Annotated[
        str | None,
        typer.Option(help="Software: serving (default), eager, graphs, llama.cpp, or an engine."),
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(help="chat, code, math, prose, summarisation...; default any of them."),
    ] = None,
    temperature: Annotated[
        float | None, typer.Option(help="Sampling temperature; default greedy.")
    ] = None,
    tuned: Annotated[
        bool, typer.Option("--tuned", help="The draft was trained towards the target.")
    ] = False,
    alpha_tokens: Annotated[
        float | None,
        typer.Option(help="Draft tokens behind --alpha: it updates the prediction of the pair."),
    ] = None,
    acceptance: Annotated[
        str | None, typer.Option(help="Record of measured acceptance of the pair.")
    ] = None,
    statistics: Annotated[
        str | None,
        typer.Option(help="Engine log, metrics, or JSON of `howspec import --json`."),
    ] = None,
    acceptance_length: Annotated[
        str | None,
        typer.Option(help="Tokens per round with the bonus token, measured at --gamma."),
    ] = None,
    gamma: Annotated[
        int | None,
        typer.Option(help="Draft tokens of the measured rounds, compared with the best gamma."),
    ] = None,
    costs: Annotated[
        str | None,
        typer.Option(help="Cost record of the machine, JSON of a cost law, or CSV of passes."),
    ] = None,
    online: Annotated[
        bool, typer.Option("--online", help="Look up unknown models on the hub.")
    ] = False,
    level: Annotated[float, typer.Option(help="Probability that an interval holds.")] = 0.9,
    seed: Annotated[int, typer.Option(help="Seed of the posterior draws.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Predict the best number of draft tokens and its speed-up, with an interval.

    Costs are in units of one plain step of the target: a round costs
    1 + gamma (cost-ratio + verify-slope) + overhead, the overhead paid only when speculating.
    For a named pair, what is not given of acceptance and costs is predicted, and the answer says
    which part is measured, imported or predicted.

    Examples:

    howspec predict --alpha 0.8 --cost-ratio 0.05

    howspec predict --target Llama-3.1-70B --draft Llama-3.2-1B --device "4x H100" --task chat

    howspec predict --acceptance-length 2.4 --gamma 5 --cost-ratio 0.1

    howspec predict --sweep paper_bloom_grid --target BLOOM-7.1B
    """
    check_seed(seed)
    check_level(level)
    check_load(batch, context)
    if gamma_max is not None:
        check_gamma_max(gamma_max, GAMMA_LIMIT if sweep is None else 256)
    numbers = {"alpha": alpha, "cost-ratio": cost_ratio}
    given = [name for name, value in numbers.items() if value is not None]
    pair = PairOptions(
        target, draft, device, batch, context, dtype, draft_dtype, stack, task, temperature, tuned,
        online, alpha, alpha_tokens, decay, acceptance, statistics, gamma, costs, cost_ratio,
        verify_slope, overhead, gamma_max, level, seed, acceptance_length,
    )  # fmt: skip
    if sweep is None and pair.asks_for_pair:
        answer = predict_pair(pair)
    elif sweep is None:
        if len(given) < 2:
            missing = " and ".join(f"--{n}" for n in numbers if n not in given)
            raise ValueError(
                f"predict needs --alpha and --cost-ratio, --target, --draft and --device, or "
                f"--sweep; missing {missing}"
            )
        assert alpha is not None
        assert cost_ratio is not None
        top = 32 if gamma_max is None else gamma_max
        answer = _from_numbers(alpha, cost_ratio, verify_slope, overhead, decay, top, level)
    else:
        fixed = [f"--{n}" for n in given]
        fixed += [
            f"--{n}"
            for n, v, default in (
                ("verify-slope", verify_slope, 0.0),
                ("overhead", overhead, 0.0),
                ("decay", decay, 1.0),
            )
            if v != default
        ]
        fixed += [f"--{n}" for n in pair.of_pairs]
        if fixed:
            raise ValueError(f"a sweep is fitted, so {', '.join(fixed)} cannot be given with it")
        answer = _from_sweep(sweep, target, draft, gamma_max, level, seed)
    if as_json:
        print_json(answer)
    else:
        _print(answer)


def _from_numbers(
    alpha: float,
    cost_ratio: float,
    verify_slope: float,
    overhead: float,
    decay: float,
    gamma_max: int,
    level: float,
) -> dict[str, Any]:
    from ..calibrate.learned.realisation import expected_measurement
    from ..sim.prediction import break_even
    from ..sim.prediction import predict as predict_laws
    from ..theory import AffineCost, DepthAcceptance, break_even_alpha

    cost = AffineCost(cost_ratio, verify_slope, overhead)
    prediction = predict_laws(DepthAcceptance(alpha, decay), cost, gamma_max=gamma_max, level=level)
    if decay == 1.0:
        threshold = break_even_alpha(
            cost_ratio, verify_slope=verify_slope, overhead=overhead, gamma_max=gamma_max
        )
    else:
        threshold = break_even(cost, decay=decay, gamma_max=gamma_max)
    inputs = {
        "alpha": alpha,
        "cost_ratio": cost_ratio,
        "verify_slope": verify_slope,
        "overhead": overhead,
        "decay": decay,
        "gamma_max": gamma_max,
    }
    answer = answer_of(prediction, threshold, inputs, gamma_max, ())
    if prediction.gamma:
        answer["expected_measurement"] = expected_measurement(
            prediction.speedup.estimate, level=level
        )
    return answer


def answer_of(
    prediction: Prediction,
    break_even_alpha: float | None,
    inputs: dict[str, Any],
    gamma_max: int,
    notes: tuple[str, ...],
) -> dict[str, Any]:
    more = list(notes)
    if break_even_alpha is None:
        more.append(f"at these costs no acceptance makes a gamma up to {gamma_max} pay")
    if prediction.gamma_real is None:
        more.append("the speed-up keeps rising with gamma: the real optimum is unbounded")
    return {
        "gamma": prediction.gamma,
        "speedup": prediction.speedup,
        "speedup_by_gamma": prediction.speedup_by_gamma,
        "gamma_real": prediction.gamma_real,
        "gamma_window": list(prediction.gamma_window),
        "break_even_alpha": break_even_alpha,
        "probability_best": prediction.probability_best,
        "probability_gain": prediction.probability_gain,
        "inputs": inputs,
        "notes": [*prediction.notes, *more],
        "low_by_gamma": prediction.low_by_gamma,
        "high_by_gamma": prediction.high_by_gamma,
    }


def _from_sweep(
    source: str,
    target: str | None,
    draft: str | None,
    gamma_max: int | None,
    level: float,
    seed: int,
) -> dict[str, Any]:
    import numpy as np

    from ..calibrate.library import load_sweeps
    from ..sim.sweep_answer import predict_sweep

    # The other drafts of a target say what the target's side costs, so they are fitted too.
    family = load_sweeps(source, target)
    targets = list(dict.fromkeys(s.target for s in family))
    if len(targets) > 1:
        raise ValueError(f"--target must be one of {', '.join(targets)} of {source}, got none")
    wanted = {s.label for s in load_sweeps(source, target, draft)}
    found = predict_sweep(
        [s for s in family if s.label in wanted], np.random.default_rng(seed), family=family,
        gamma_max=gamma_max, level=level, seed=seed,
    )  # fmt: skip
    answers = [_sweep_answer(one, source) for one in found]
    best = answers[0]
    if len(answers) > 1:
        best["drafts"] = [
            {k: a[k] for k in ("draft", "workload", "gamma", "speedup", "gamma_window")}
            for a in answers
        ]
    return best


def _sweep_answer(found: SweepPrediction, source: str) -> dict[str, Any]:
    inputs = {
        "sweep": source,
        "target": found.target,
        "draft": found.draft,
        "gamma_max": found.gamma_max,
        "fitted_to": found.fitted_to,
    }
    return {
        **answer_of(found.prediction, found.break_even_alpha, inputs, found.gamma_max, found.notes),
        "draft": found.draft,
        "workload": found.workload,
        "parameters": found.parameters,
        "measured_speedup": found.measured_speedup,
        "tokens_per_round": found.tokens_by_gamma,
    }


def _headline(answer: dict[str, Any]) -> str:
    speedup, gamma = answer["speedup"], answer["gamma"]
    with_draft = f"draft with {answer['draft']}: " if "draft" in answer else ""
    if gamma == 0 and "parts" in answer:
        why = answer["notes"][0] if "if_it_fitted" in answer else "plain decoding is fastest"
        return f"NO: do not speculate (gamma 0): {why}"
    if gamma == 0:
        return f"{with_draft}do not speculate (gamma 0): plain decoding is fastest"
    if speedup.low == speedup.high:
        sure = "exact for these numbers"
    else:
        sure = f"{100 * speedup.level:g} % interval {speedup.low:.3f}-{speedup.high:.3f}"
    window = answer["gamma_window"]
    flat = f"flat: {window[0]}-{window[-1]} within 1 %" if len(window) > 1 else "a clear optimum"
    chance = ""
    if "parts" in answer:
        best = answer["probability_best"][gamma]
        chance = f" (best with probability {100 * best:.0f} %)"
        if len(window) == 1 and best < 0.5:
            flat = "an uncertain optimum"
        if speedup.low < 1.0:
            sure += f", above 1 with probability {100 * answer['probability_gain']:.0f} %"
    return f"{with_draft}gamma {gamma}{chance}, speed-up {speedup.estimate:.3f} ({sure}; {flat})"


def _compared(now: dict[str, Any], best: int) -> str:
    """A line on the gamma that was measured."""
    line = (
        f"at gamma {now['gamma']}, as measured: speed-up {now['estimate']:.3f} "
        f"({100 * now['level']:g} % {now['low']:.3f}-{now['high']:.3f})"
    )
    if now["gamma"] == best:
        return f"{line}, the best"
    return f"{line}, {100 * now['loss']:.1f} % below gamma {best}"


def _print(answer: dict[str, Any]) -> None:
    print(_headline(answer))
    measured, sampled = answer.get("measured_speedup"), "parts" in answer
    for line in part_lines(answer) if sampled else ():
        print(line)
    columns = ["gamma", "speed-up"]
    if measured or sampled:
        columns += ["interval", "probability best"]
    if measured:
        columns += ["measured"]
    rows = []
    shown = min(len(answer["speedup_by_gamma"]), max(answer["gamma_window"][-1] + 4, 9))
    for g in range(shown):
        row = [f"{g}", f"{answer['speedup_by_gamma'][g]:.3f}"]
        if measured or sampled:
            row += [
                f"{answer['low_by_gamma'][g]:.3f}-{answer['high_by_gamma'][g]:.3f}" if g else "-",
                f"{100 * answer['probability_best'][g]:.0f} %",
            ]
        if measured:
            row += [f"{measured[g]:.3f}" if g in measured else "-"]
        rows.append(row)
    print_table(columns, rows)
    if "drafts" in answer:
        print_table(
            ["draft", "workload", "gamma", "speed-up", "interval"],
            [
                [
                    d["draft"], d["workload"], f"{d['gamma']}", f"{d['speedup'].estimate:.3f}",
                    f"{d['speedup'].low:.3f}-{d['speedup'].high:.3f}",
                ]
                for d in answer["drafts"]
            ],
        )  # fmt: skip
    if "at_gamma" in answer:
        print(_compared(answer["at_gamma"], answer["gamma"]))
    threshold = answer["break_even_alpha"]
    if threshold is not None:
        print(f"break-even: speculation pays where alpha is above {threshold:.3f}")
    expected = answer.get("expected_measurement")
    if expected is not None:
        print(
            f"a measurement: {expected.low:.2f}-{expected.high:.2f} ({100 * expected.level:g} %), "
            "by what published studies reach of the speed-up that their own numbers give"
        )
    for note in answer["notes"]:
        print(f"note: {note}")
