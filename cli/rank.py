"""`howspec rank`: drafts of one target in order, with the probability that each is the best."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import pair_options as options
from .output import print_json, print_table
from .predict_pair import model_entry, one_thread, summary

if TYPE_CHECKING:
    from ..calibrate.prior.pair import NamedModel
    from ..sim.ranking import RankedDraft, Ranking

PARTS = {"acceptance": "predicted", "cost": "predicted"}


def rank(
    target: options.Target,
    draft: Annotated[list[str], typer.Option(help="Draft models; several times, or with commas.")],
    device: options.DeviceName,
    batch: Annotated[
        str, typer.Option(help="Sequences decoded together; several with commas.")
    ] = "1",
    context: options.Context = 0.0,
    dtype: options.Dtype = "",
    stack: options.Stack = "serving",
    task: options.Task = None,
    temperature: options.Temperature = None,
    gamma_max: options.GammaMax = 16,
    level: options.Level = 0.9,
    seed: options.Seed = 0,
    online: options.Online = False,
    as_json: options.Json = False,
) -> None:
    """Rank drafts of a target on a device, each at its best gamma.

    Acceptance and costs are predicted with draws in common: one task, one family and one machine
    for all drafts, so that what is not known of these does not blur the order.

    Example:

    howspec rank --target Qwen2.5-32B --draft Qwen2.5-0.5B,Qwen2.5-1.5B,Qwen2.5-7B --device A100
    """
    one_thread()
    from ..calibrate.models import device as device_of
    from ..calibrate.prior.pair import Load, Use, named
    from ..sim.ranking import rank as rank_drafts

    batches = _batches(batch)
    options.check_numbers(
        gamma_max=gamma_max, level=level, seed=seed, batches=batches, context=context
    )
    names = list(dict.fromkeys(n.strip() for text in draft for n in text.split(",") if n.strip()))
    if not names:
        raise ValueError("--draft must name one draft or more, got none")
    own = named(target, online=online)
    models = [_model(n, own, online) for n in names]
    load = Load(device_of(device), dtype=dtype, stack=stack, batch=batches[0], context=context)
    use = Use(task, temperature)
    expected = options.expectation(own, models, load=load, use=use, seed=seed)
    rankings = rank_drafts(
        expected, batches=batches, context=context, gamma_max=gamma_max, level=level
    )
    law = expected.costs[0]
    answer = {
        **_ranking(rankings[0], level),
        "by_batch": [{"batch": r.batch, **_ranking(r, level)} for r in rankings],
        "target": model_entry(own),
        "setting": options.setting_entry(load, law, use),
        "parts": PARTS,
        "notes": _notes(rankings, [n for c in expected.costs for n in c.notes], expected),
    }
    if as_json:
        print_json(answer)
        return
    for ranking in rankings:
        _print(ranking, title=f"batch {ranking.batch:g}, {law.device}, stack {law.stack}")
    for note in answer["notes"]:
        print(f"note: {note}")


def _model(name: str, target: NamedModel, online: bool) -> NamedModel:
    from ..calibrate.prior.heads import named_draft

    found, head = named_draft(name, target, online=online)
    if head is not None:
        raise ValueError(
            f"--draft must be models; predict and crossover take an {head} head, got {name!r}"
        )
    return found


def _batches(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise ValueError(f"--batch must be numbers with commas, got {text!r}") from None


def _ranking(ranking: Ranking, level: float) -> dict[str, Any]:
    best = ranking.drafts[0]
    pays = best.fits and best.choice.gamma > 0
    return {
        "best": best.draft.called if pays else None,
        "order": [_entry(d, level) for d in ranking.drafts],
        "probability_none_pays": ranking.probability_plain,
    }


def _entry(ranked: RankedDraft, level: float) -> dict[str, Any]:
    choice = ranked.choice
    memory = ranked.cost.memory
    speedup = {
        "estimate": choice.speedup, "low": choice.low, "high": choice.high, "level": level
    }  # fmt: skip
    more: dict[str, Any] = {}
    if not ranked.fits:
        more["if_it_fitted"] = {"gamma": choice.gamma, "speedup": speedup}
        speedup = {"estimate": 1.0, "low": 1.0, "high": 1.0, "level": level}
    return more | {
        "draft": ranked.draft.called,
        "model": model_entry(ranked.draft),
        "gamma": choice.gamma if ranked.fits else 0,
        "speedup": speedup,
        "probability_best": ranked.probability_best,
        "probability_gain": choice.probability_gain if ranked.fits else 0.0,
        "alpha": summary(ranked.alpha, level),
        "cost_ratio": summary(ranked.cost_ratio, level),
        "fits": ranked.fits,
        "memory": None if memory is None else memory.line,
    }  # fmt: skip


def _notes(rankings: tuple[Ranking, ...], more: list[str], expected: Any) -> list[str]:
    lines = []
    for ranking in rankings:
        tight = [d.draft.called for d in ranking.drafts if not d.fits]
        if tight:
            lines.append(f"does NOT fit at batch {ranking.batch:g}: {', '.join(tight)}")
        elif ranking.drafts[0].choice.gamma == 0:
            lines.append(f"NO: at batch {ranking.batch:g} none of the drafts pays")
        lines += _near(ranking)
    kept = [n for n in more if not n.startswith("does NOT fit")]
    return list(dict.fromkeys((*lines, *kept, *expected.acceptance.notes)))


def _near(ranking: Ranking) -> list[str]:
    """A note on drafts as fast as the best one."""
    best = ranking.drafts[0]
    if not best.fits or best.choice.gamma == 0:
        return []
    near = [
        d.draft.called
        for d in ranking.drafts[1:]
        if d.fits and d.choice.gamma and d.choice.speedup >= 0.99 * best.choice.speedup
    ]
    if not near:
        return []
    return [f"flat at batch {ranking.batch:g}: {', '.join(near)} within 1 % of {best.draft.called}"]


def _print(ranking: Ranking, *, title: str) -> None:
    best = ranking.drafts[0]
    if best.fits and best.choice.gamma:
        chance = options.percent(best.probability_best)
        print(f"best: {best.draft.called}, gamma {best.choice.gamma} ({chance}); {title}")
    else:
        print(f"NO: do not speculate with any of them; {title}")
    rows = [
        [
            d.draft.called,
            f"{d.choice.gamma}" if d.fits else "no room",
            f"{d.choice.speedup:.3f}" if d.fits else "-",
            f"{d.choice.low:.3f}-{d.choice.high:.3f}" if d.fits and d.choice.gamma else "-",
            options.percent(d.probability_best),
            f"{summary(d.alpha, 0.9)['estimate']:.3f}",
            f"{summary(d.cost_ratio, 0.9)['estimate']:.3f}",
        ]
        for d in ranking.drafts
    ]
    rows.append(["none", "0", "1.000", "-", options.percent(ranking.probability_plain), "-", "-"])
    columns = ["draft", "gamma", "speed-up", "interval", "best", "alpha", "cost ratio"]
    print_table(columns, rows)
