"""The two turning points as the theory has them: latency against gamma and against draft scale."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..theory import DraftScaleLaw, best_gamma, optimal_gamma, speedup
from .style import COLOURS, COLUMN, PAGE, figure, save, styled, write_csv

# A draft ladder on a device with a latency floor, for the schematic figures.
EXAMPLE = DraftScaleLaw(
    rejection_floor=0.02,
    rejection_coefficient=0.1,
    rejection_exponent=0.2,
    cost_floor=0.03,
    cost_slope=1.0,
)
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
            ax.plot(best, latency[best], "*", color=colour, ms=10, mec="white", mew=0.6, zorder=5)
            real = float(optimal_gamma(alpha, c))
            rows += [
                (panel, alpha, c, int(g), float(t), int(g == best), real)
                for g, t in zip(GAMMAS, latency, strict=True)
            ]
        ax.axhline(1.0, color="0.6", lw=0.6, zorder=0)
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
    name = "latency_by_gamma"
    columns = ["panel", "alpha", "cost_ratio", "gamma", "relative_latency", "best", "gamma_real"]
    return [*save(made, out, name, caption), write_csv(out, name, columns, rows)]


@styled
def latency_by_scale(out: Path) -> list[Path]:
    """Latency against the scale of the draft at several gammas, and at the best one."""
    scales = np.geomspace(1e-3, 1.0, 400)
    made, ax = figure(COLUMN, 2.6)
    rows: list[tuple[int | str, float, float, float]] = []
    for colour, g in zip(COLOURS, (1, 3, 5, 8), strict=False):
        latency = 1.0 / np.asarray(EXAMPLE.speedup(scales, g))
        turn = float(EXAMPLE.optimal_scale(g))
        ax.plot(scales, latency, color=colour, label=f"$\\gamma$ = {g}")
        ax.plot(turn, 1.0 / EXAMPLE.speedup(turn, g), "o", color=colour)
        rows += [(g, float(s), float(t), turn) for s, t in zip(scales, latency, strict=True)]
    table = np.stack([np.asarray(EXAMPLE.speedup(scales, g)) for g in range(1, 33)])
    envelope = 1.0 / table.max(axis=0)
    ax.plot(scales, envelope, color="black", lw=0.9, ls="--", label="best $\\gamma$")
    scale, gamma, gain = (float(x) for x in EXAMPLE.turning_point(32))
    ax.plot(scale, 1.0 / gain, "*", color="black", ms=11, mec="white", mew=0.6, zorder=5)
    ax.annotate(
        f"turning point\n1/{1 / scale:.0f} of the target, $\\gamma$ = {gamma:.0f}",
        (scale, 1.0 / gain),
        xytext=(0.05, 0.05),
        textcoords="axes fraction",
        fontsize="small",
        arrowprops={"arrowstyle": "-", "lw": 0.5, "shrinkB": 5},
    )
    ax.axhline(1.0, color="0.6", lw=0.6, zorder=0)
    ax.set_xscale("log")
    ax.set_ylim(0.1, 1.55)
    ax.set_title(_EXAMPLE_TITLE)
    ax.set_xlabel("draft parameters / target parameters")
    ax.set_ylabel("latency / plain latency")
    ax.legend(ncols=2, loc="upper left")
    rows += [("best", float(s), float(t), scale) for s, t in zip(scales, envelope, strict=True)]
    name = "latency_by_scale"
    columns = ["gamma", "scale", "relative_latency", "turning_point_scale"]
    caption = (
        "Latency against the size of the draft has one turning point at every number of draft "
        f"tokens (dots) and at the best number (star, 1/{1 / scale:.0f} of the target with "
        f"γ = {gamma:.0f}). {_EXAMPLE_LAWS}"
    )
    return [*save(made, out, name, caption), write_csv(out, name, columns, rows)]


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
    ax.plot(scale, gamma, "*", color="#D55E00", ms=12, mec="white", mew=0.8)
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
    rows = [
        (int(g), float(s), float(surface[i, j]))
        for i, g in enumerate(gammas)
        for j, s in enumerate(scales)
    ]
    name = "speedup_surface"
    caption = (
        "Speed-up over draft size and draft tokens together: one summit (star, "
        f"{gain:.2f}x at 1/{1 / scale:.0f} of the target and γ = {gamma:.0f}), and the line at "
        f"which drafting stops to pay. {_EXAMPLE_LAWS}"
    )
    return [
        *save(made, out, name, caption),
        write_csv(out, name, ["gamma", "scale", "speedup"], rows),
    ]
