"""Choices drawn: a measured ladder in size and format, the gain over batch, and what is unsure."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..calibrate.doors import Deployment
from ..calibrate.library.load import load_table
from ..calibrate.models import model, number_format
from ..calibrate.tables.schema import Row, number, text
from ..sim.crossover import pair_crossover
from ..sim.known import Sources, both_laws
from ..theory import speedup
from ..theory.decision import decide
from .style import COLOURS, COLUMN, PAGE, figure, save, styled, write_csv

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LADDERS = (("Qwen2.5-7B", "fp16"), ("Qwen2.5-32B", "q8_0"))
_PAIR = ("Llama-3.1-8B", "Llama-3.2-3B", "H100 SXM")


@styled
def draft_ladder(out: Path) -> list[Path]:
    """Measured speed-up over the size of the draft and the bits of its weights."""
    made, axes = figure(PAGE, 3.0, 1, 2, sharey=True)
    rows: list[tuple[object, ...]] = []
    for ax, (target, form) in zip(axes, _LADDERS, strict=True):
        cells = _ladder(target, form)
        rows += [(target, form, *c) for c in cells]
        _ladder_panel(ax, cells)
        ax.set_title(f"{target}, weights {form}")
        ax.set_xlabel("draft parameters / target parameters")
    axes[0].set_ylabel("format of the draft, bits a weight")
    caption = (
        "Measured speed-up over the size of the draft and the bits of its weights: in each row of "
        "one format the largest (ring), the best of all (star). draftbench, llama.cpp on an Apple "
        "M4 Max, batch 1, greedy, one run a cell; drafts of up to 16 tokens, cut by their own "
        "confidence, so the number of draft tokens varies."
    )
    columns = ["target", "target_format", "draft", "draft_format", "share", "bits", "speedup"]
    return [
        *save(made, out, "draft_ladder", caption),
        write_csv(out, "draft_ladder", columns, rows),
    ]


def _ladder(target: str, form: str) -> list[tuple[str, str, float, float, float]]:
    """Draft, format, share of the target's parameters, bits, and speed-up of every cell."""

    def wanted(r: Row) -> bool:
        here = r["source"] == "draftbench" and r["metric"] == "throughput_decode"
        return here and r["target_model"] == target and r["target_format"] == form

    whole = model(target).shape.parameters()
    return [
        (
            text(r, "draft_model"), text(r, "draft_format"),
            model(text(r, "draft_model")).shape.parameters() / whole,
            8.0 * float(number_format(text(r, "draft_format")).bytes),
            number(r, "value") / number(r, "plain"),
        )
        for r in load_table("measured").rows
        if wanted(r) and r["draft_model"]
    ]  # fmt: skip


def _ladder_panel(ax: Axes, cells: list[tuple[str, str, float, float, float]]) -> None:
    """A cell a draft and format, rows by rising bits."""
    share, gain = (np.array([c[i] for c in cells]) for i in (2, 4))
    forms = sorted({(c[3], c[1]) for c in cells})
    line = np.array([forms.index((c[3], c[1])) for c in cells])
    ax.scatter(share, line, c=gain, cmap="cividis", s=60, lw=0)
    for x, y, g in zip(share, line, gain, strict=True):
        ax.annotate(f"{g:.2f}", (x, y), xytext=(7, 0), textcoords="offset points", va="center",
                    fontsize="x-small")  # fmt: skip
    for level in range(len(forms)):
        row = np.flatnonzero(line == level)
        best = row[gain[row].argmax()]
        ax.plot(share[best], level, "o", mfc="none", mec=COLOURS[1], ms=10, mew=1.2)
    top = int(gain.argmax())
    ax.plot(share[top], line[top], "*", color=COLOURS[1], ms=8, mec="white", mew=0.6)
    ax.set_xscale("log")
    ax.set_xlim(share.min() / 1.4, share.max() * 1.9)
    sizes = sorted(set(share))
    ax.set_xticks(sizes, [f"1/{1 / s:.1f}" if s > 0.1 else f"1/{1 / s:.0f}" for s in sizes])
    ax.set_yticks(range(len(forms)), [f"{form}, {n:.2g}" for n, form in forms])
    ax.minorticks_off()


@styled
def batch_gain(out: Path, *, seed: int = 0) -> list[Path]:
    """Predicted speed-up of a named pair against batch, with the batch at which it ends."""
    target, draft, device = _PAIR
    at = Deployment(target, draft, device, "", "", None, 1.0, 1000.0, "chat", None)
    found = pair_crossover(both_laws(at, Sources(), seed=seed), batch_max=1024).batch
    made, ax = figure(COLUMN, 2.7)
    batch = np.array(found.values)
    pays = np.array(found.gamma) > 0
    ax.fill_between(batch[pays], np.array(found.speedup_low)[pays],
                    np.array(found.speedup_high)[pays], color=COLOURS[0], alpha=0.18, lw=0,
                    label="90 % interval")  # fmt: skip
    ax.plot(batch, found.speedup, color=COLOURS[0], marker="o", ms=2.5, label="predicted")
    ax.axhline(1.0, color="0.6", lw=0.6, zorder=0)
    if found.at is not None:
        ax.axvline(found.at, color=COLOURS[1], lw=0.9, label=f"stops at batch {found.at:.0f}")
    ax.set_xscale("log", base=2)
    ax.xaxis.set_major_formatter(lambda v, _: f"{v:g}")
    ax.set_xlabel("batch [sequences]")
    ax.set_ylabel("speed-up at the best $\\gamma$")
    ax.set_title(f"{target} + {draft}, {device}")
    made.legend(loc="outside lower left", ncols=3, columnspacing=1.0)
    end = "it pays to the largest batch shown" if found.at is None else (
        f"it stops to pay at batch {found.at:.0f}")  # fmt: skip
    caption = (
        f"Predicted speed-up at the best number of draft tokens against batch: {end}. {target} "
        f"with {draft} on {device}, chat, 1,000 tokens of context, greedy; acceptance and "
        "costs are predicted from names, nothing was measured for it, with 90 % intervals."
    )
    rows = zip(found.values, found.gamma, found.speedup, found.speedup_low, found.speedup_high,
               strict=True)  # fmt: skip
    columns = ["batch", "gamma", "speedup", "low_90", "high_90"]
    return [*save(made, out, "batch_gain", caption), write_csv(out, "batch_gain", columns, rows)]


@styled
def decision(out: Path, *, seed: int = 0) -> list[Path]:
    """Mean speed-up, speed-up of the mean time, and expected regret, by gamma."""
    rng = np.random.default_rng([seed, 71])
    alpha, cost = rng.beta(6.0, 2.5, 4000), 0.1 * np.exp(0.5 * rng.standard_normal(4000))
    gammas = np.arange(13)
    table = np.array(speedup(alpha[:, None], gammas, cost[:, None]))
    found = {o: decide(table, objective=o) for o in ("latency", "throughput", "regret")}
    any_of = found["latency"]
    made, (left, right) = figure(PAGE, 2.5, 1, 2)
    for values, what, colour in (
        (any_of.mean_speedup, "throughput", COLOURS[0]),
        (any_of.speedup_of_mean_time, "latency", COLOURS[1]),
    ):
        label = {"throughput": "mean speed-up", "latency": "speed-up of the mean time"}[what]
        left.plot(gammas, values, "o-", ms=2.5, color=colour, label=label)
        best = found[what].gamma
        left.plot(best, values[best], "*", color=colour, ms=10, mec="white", mew=0.6, zorder=5)
    right.bar(gammas, any_of.probability_best, color="0.8", label="probability best")
    right.plot(gammas, any_of.expected_regret, "o-", ms=2.5, color=COLOURS[2],
               label="expected regret")  # fmt: skip
    best = found["regret"].gamma
    right.plot(best, any_of.expected_regret[best], "*", color=COLOURS[2], ms=10, mec="white",
               mew=0.6, zorder=5)  # fmt: skip
    left.set_ylabel("speed-up over plain decoding")
    right.set_ylabel("share")
    for ax in (left, right):
        ax.set_xlabel("draft tokens per round, $\\gamma$")
        ax.legend(loc="best")
    made.suptitle(r"$\alpha$ ~ Beta(6, 2.5), $\ln c$ ~ Normal(ln 0.1, 0.5), round $1 + \gamma c$")
    caption = (
        "Choosing the number of draft tokens when acceptance and cost are unsure: the mean of the "
        f"speed-up is largest at γ = {found['throughput'].gamma}, the mean time least at "
        f"γ = {found['latency'].gamma}, the expected share lost to not knowing least at "
        f"γ = {best} (stars). 4,000 draws of an example belief, not a measurement: α from "
        "Beta(6, 2.5), the cost ratio lognormal around 0.1 with spread 0.5; independent tokens, a "
        "round costs 1 + γ c."
    )
    columns = ["gamma", "mean_speedup", "speedup_of_mean_time", "expected_regret",
               "probability_best"]  # fmt: skip
    rows = [
        (int(g), *(float(v[g]) for v in (any_of.mean_speedup, any_of.speedup_of_mean_time,
                                         any_of.expected_regret, any_of.probability_best)))
        for g in gammas
    ]  # fmt: skip
    return [*save(made, out, "decision", caption), write_csv(out, "decision", columns, rows)]
