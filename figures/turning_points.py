"""Turning points and choices: as the theory has them, on a measured ladder, and over batch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..calibrate.doors import Deployment
from ..calibrate.library.load import load_table
from ..calibrate.models import model, number_format
from ..calibrate.tables.schema import number, text
from ..sim.crossover import pair_crossover
from ..sim.known import Sources
from ..sim.laws import both_laws
from ..theory import DraftScaleLaw, best_gamma, optimal_gamma, speedup
from ..theory.decision import decide
from ..theory.domain import Floats
from .style import COLOURS, COLUMN, PAGE, Row, by_rows, figure, plain_line, save, star, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# A draft ladder on a device with a latency floor, for the schematic figures.
EXAMPLE = DraftScaleLaw(
    rejection_floor=0.02, rejection_coefficient=0.1, rejection_exponent=0.2, cost_floor=0.03,
    cost_slope=1.0,
)  # fmt: skip
_EXAMPLE_TITLE = r"$\alpha(s) = 1 - 0.02 - 0.1\,s^{-0.2}$,  $c(s) = 0.03 + s$"
_EXAMPLE_LAWS = (
    "A draft with a share s of the target's parameters is accepted with probability α(s) = 1 - "
    "0.02 - 0.1 s^-0.2 and costs c(s) = 0.03 + s plain steps a token; tokens are independent, a "
    "round costs 1 + γ c(s), and these numbers are an example, not a measurement."
)
GAMMAS = np.arange(0, 13)


@styled
def latency_by_gamma(out: Path) -> list[Path]:
    """Latency against the number of draft tokens: each curve falls to one minimum and rises."""
    made, axes = figure(PAGE, 2.5, 1, 2, sharey=True)
    families = (
        ("a", [(a, 0.1, rf"$\alpha$ = {a:g}") for a in (0.5, 0.65, 0.8, 0.9)]),
        ("b", [(0.8, c, f"$c$ = {c:g}") for c in (0.02, 0.05, 0.1, 0.3)]),
    )
    rows = []
    for ax, (panel, settings) in zip(axes, families, strict=True):
        for colour, (alpha, c, label) in zip(COLOURS, settings, strict=False):
            latency = 1.0 / np.asarray(speedup(alpha, GAMMAS, c))
            fine = np.linspace(0, GAMMAS[-1], 300)
            ax.plot(fine, 1.0 / np.asarray(speedup(alpha, fine, c)), color=colour, lw=1)
            ax.plot(GAMMAS, latency, "o", color=colour, ms=2.5, label=label)
            best = best_gamma(alpha, c, gamma_max=int(GAMMAS[-1]))
            star(ax, best, latency[best], colour)
            rows += by_rows({
                "panel": panel, "alpha": alpha, "cost_ratio": c, "gamma": GAMMAS,
                "relative_latency": latency, "best": (best == GAMMAS).astype(int),
                "gamma_real": float(optimal_gamma(alpha, c)),
            })  # fmt: skip
        plain_line(ax)
        ax.set_xlabel("draft tokens per round, $\\gamma$")
        ax.set_xlim(-0.3, GAMMAS[-1] + 0.3)
        ax.legend(ncols=2, loc="upper left", bbox_to_anchor=(0.1, 1.0))
    axes[0].set_ylabel("latency / plain latency")
    axes[0].set_title(r"(a) cost ratio $c$ = 0.1, round $1 + \gamma c$", loc="left")
    axes[1].set_title(r"(b) acceptance $\alpha$ = 0.8, round $1 + \gamma c$", loc="left")
    axes[0].set_ylim(0.2, 1.75)
    caption = (
        "Latency against the draft tokens of a round falls to one minimum (star) and rises again, "
        "at four rates of acceptance (a) and at four cost ratios (b). Every draft token is "
        "accepted with probability α independently, E[N] = (1 - α^(γ + 1)) / (1 - α) tokens a "
        "round, and a round costs 1 + γ c plain steps of the target."
    )
    return save(made, out, "latency_by_gamma", caption, rows)


@styled
def latency_by_scale(out: Path) -> list[Path]:
    """Latency against the scale of the draft at several gammas, and at the best one."""
    scales = np.geomspace(1e-3, 1.0, 400)
    made, ax = figure(COLUMN, 2.6)
    curves: dict[int | str, tuple[Floats, float]] = {}
    for colour, g in zip(COLOURS, (1, 3, 5, 8), strict=False):
        latency = 1.0 / np.asarray(EXAMPLE.speedup(scales, g))
        turn = float(EXAMPLE.optimal_scale(g))
        ax.plot(scales, latency, color=colour, label=f"$\\gamma$ = {g}")
        ax.plot(turn, 1.0 / EXAMPLE.speedup(turn, g), "o", color=colour)
        curves[g] = latency, turn
    table = np.stack([np.asarray(EXAMPLE.speedup(scales, g)) for g in range(1, 33)])
    envelope = 1.0 / table.max(axis=0)
    ax.plot(scales, envelope, color="black", lw=0.9, ls="--", label="best $\\gamma$")
    scale, gamma, gain = (float(x) for x in EXAMPLE.turning_point(32))
    star(ax, scale, 1.0 / gain, "black", 11)
    ax.annotate(
        f"turning point\n1/{1 / scale:.0f} of the target, $\\gamma$ = {gamma:.0f}",
        (scale, 1.0 / gain), xytext=(0.05, 0.05), textcoords="axes fraction", fontsize="small",
        arrowprops={"arrowstyle": "-", "lw": 0.5, "shrinkB": 5},
    )  # fmt: skip
    plain_line(ax)
    ax.set_xscale("log")
    ax.set_ylim(0.1, 1.55)
    ax.set_title(_EXAMPLE_TITLE)
    ax.set_xlabel("draft parameters / target parameters")
    ax.set_ylabel("latency / plain latency")
    ax.legend(ncols=2, loc="upper left")
    curves["best"] = envelope, scale
    caption = (
        "Latency against the size of the draft has one turning point at every number of draft "
        f"tokens (dots) and at the best number (star, 1/{1 / scale:.0f} of the target with "
        f"γ = {gamma:.0f}). {_EXAMPLE_LAWS}"
    )
    rows = [
        row for g, (latency, turn) in curves.items()
        for row in by_rows({"gamma": g, "scale": scales, "relative_latency": latency,
                            "turning_point_scale": turn})
    ]  # fmt: skip
    return save(made, out, "latency_by_scale", caption, rows)


@styled
def speedup_surface(out: Path) -> list[Path]:
    """Speed-up over both choices, with the best scale of each gamma and the best of all."""
    scales, gammas = np.geomspace(1e-3, 1.0, 180), np.arange(1, 17)
    surface = np.stack([np.asarray(EXAMPLE.speedup(scales, g)) for g in gammas])
    made, ax = figure(COLUMN, 2.7)
    top = np.ceil(surface.max() * 4) / 4
    levels = np.arange(0.5, top + 0.01, 0.25)
    filled = ax.contourf(scales, gammas, surface, levels=levels, cmap="cividis", extend="min")
    ax.contour(scales, gammas, surface, levels=[1.0], colors="white", linewidths=1.2)
    lines = ax.contour(
        scales, gammas, surface, levels=[1.5, 2.0, 2.5], colors="white", linewidths=0.5
    )
    ax.clabel(lines, fmt="%g", fontsize="x-small")
    ax.plot([], [], color="white", lw=1.2, label="break-even")
    ridge = np.array([float(EXAMPLE.optimal_scale(g)) for g in gammas])
    ax.plot(ridge, gammas, color="white", lw=1.0, ls="--", label="best scale")
    scale, gamma, gain = (float(x) for x in EXAMPLE.turning_point(int(gammas[-1])))
    star(ax, scale, gamma, COLOURS[1], 12, mew=0.8, zorder=2)
    ax.annotate(
        f"{gain:.2f}x", (scale, gamma), xytext=(7, 3), textcoords="offset points",
        color="black", fontsize="small",
    )  # fmt: skip
    ax.set_title(_EXAMPLE_TITLE)
    made.colorbar(filled, ax=ax, label="speed-up over plain decoding", ticks=levels[::2])
    ax.set_xscale("log")
    ax.set_xlabel("draft parameters / target parameters")
    ax.set_ylabel("draft tokens per round, $\\gamma$")
    ax.set_yticks([1, 4, 8, 12, 16])
    ax.legend(
        loc="lower left", labelcolor="white", handlelength=1.5, frameon=True,
        facecolor="0.3", edgecolor="none", framealpha=0.85,
    )  # fmt: skip
    caption = (
        "Speed-up over draft size and draft tokens together: one summit (star, "
        f"{gain:.2f}x at 1/{1 / scale:.0f} of the target and γ = {gamma:.0f}), and the line at "
        f"which drafting stops to pay. {_EXAMPLE_LAWS}"
    )
    columns = {"gamma": np.repeat(gammas, scales.size), "scale": np.tile(scales, gammas.size),
               "speedup": surface.ravel()}  # fmt: skip
    return save(made, out, "speedup_surface", caption, by_rows(columns))


_LADDERS = (("Qwen2.5-7B", "fp16"), ("Qwen2.5-32B", "q8_0"))
_PAIR = ("Llama-3.1-8B", "Llama-3.2-3B", "H100 SXM")


@styled
def draft_ladder(out: Path) -> list[Path]:
    """Measured speed-up over the size of the draft and the bits of its weights."""
    made, axes = figure(PAGE, 3.0, 1, 2, sharey=True)
    ladders = [_ladder(target, form) for target, form in _LADDERS]
    for ax, (target, form), cells in zip(axes, _LADDERS, ladders, strict=True):
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
    return save(made, out, "draft_ladder", caption, [*ladders[0], *ladders[1]])


def _ladder(target: str, form: str) -> list[Row]:
    """Every draft and format of one target: share of its parameters, bits, speed-up."""
    here = {"source": "draftbench", "metric": "throughput_decode", "target_model": target,
            "target_format": form}  # fmt: skip
    whole = model(target).shape.parameters()
    return [
        {
            "target": target, "target_format": form, "draft": r["draft_model"],
            "draft_format": r["draft_format"],
            "share": model(text(r, "draft_model")).shape.parameters() / whole,
            "bits": 8.0 * float(number_format(text(r, "draft_format")).bytes),
            "speedup": number(r, "value") / number(r, "plain"),
        }
        for r in load_table("measured").rows
        if r["draft_model"] and all(r[name] == value for name, value in here.items())
    ]  # fmt: skip


def _ladder_panel(ax: Axes, cells: Sequence[Row]) -> None:
    """A cell a draft and format, rows by rising bits."""
    share, gain = (np.array([c[name] for c in cells]) for name in ("share", "speedup"))
    forms = sorted({(c["bits"], c["draft_format"]) for c in cells})
    line = np.array([forms.index((c["bits"], c["draft_format"])) for c in cells])
    ax.scatter(share, line, c=gain, cmap="cividis", s=60, lw=0)
    for x, y, g in zip(share, line, gain, strict=True):
        ax.annotate(f"{g:.2f}", (x, y), xytext=(7, 0), textcoords="offset points", va="center",
                    fontsize="x-small")  # fmt: skip
    for level in range(len(forms)):
        row = np.flatnonzero(line == level)
        best = row[gain[row].argmax()]
        ax.plot(share[best], level, "o", mfc="none", mec=COLOURS[1], ms=10, mew=1.2)
    top = int(gain.argmax())
    star(ax, share[top], line[top], COLOURS[1], 8, zorder=2)
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
    plain_line(ax)
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
    columns = {"batch": found.values, "gamma": found.gamma, "speedup": found.speedup,
               "low_90": found.speedup_low, "high_90": found.speedup_high}  # fmt: skip
    return save(made, out, "batch_gain", caption, by_rows(columns))


@styled
def decision(out: Path, *, seed: int = 0) -> list[Path]:
    """Mean speed-up, speed-up of the mean time, and expected regret, by gamma."""
    rng = np.random.default_rng([seed, 71])
    alpha, cost = rng.beta(6.0, 2.5, 4000), 0.1 * np.exp(0.5 * rng.standard_normal(4000))
    table = np.array(speedup(alpha[:, None], GAMMAS, cost[:, None]))
    found = {o: decide(table, objective=o) for o in ("latency", "throughput", "regret")}
    any_of = found["latency"]
    made, (left, right) = figure(PAGE, 2.5, 1, 2)
    for values, what, label, colour in (
        (any_of.mean_speedup, "throughput", "mean speed-up", COLOURS[0]),
        (any_of.speedup_of_mean_time, "latency", "speed-up of the mean time", COLOURS[1]),
    ):
        left.plot(GAMMAS, values, "o-", ms=2.5, color=colour, label=label)
        best = found[what].gamma
        star(left, best, values[best], colour)
    right.bar(GAMMAS, any_of.probability_best, color="0.8", label="probability best")
    right.plot(GAMMAS, any_of.expected_regret, "o-", ms=2.5, color=COLOURS[2],
               label="expected regret")  # fmt: skip
    best = found["regret"].gamma
    star(right, best, any_of.expected_regret[best], COLOURS[2])
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
    shown = ("mean_speedup", "speedup_of_mean_time", "expected_regret", "probability_best")
    columns = {"gamma": GAMMAS} | {name: getattr(any_of, name) for name in shown}
    return save(made, out, "decision", caption, by_rows(columns))
