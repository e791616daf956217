"""The forecast for a pair nobody measured: it moves the right way, and its own tokens rule."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from howspec.calibrate.prior.acceptance import AcceptancePrior, library_cells, stored_fit
from howspec.calibrate.prior.acceptance_cells import NAMED
from howspec.calibrate.prior.acceptance_fit import LEFT_OUT_DRAWS, fit
from howspec.calibrate.prior.acceptance_forecast import (
    LOG_H,
    AcceptanceForecast,
    draw,
    update,
)
from howspec.calibrate.prior.acceptance_model import PARAMETERS, Cell
from howspec.theory import tokens_by_gamma
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

PRIOR = AcceptancePrior.load()
TASKS = st.sampled_from([*NAMED, "mixed", None])


def rng(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


def one(
    draft: float = 5e8, target: float = 7e9, *, task: str | None = "chat", draws: int = 2000
) -> AcceptanceForecast:
    return PRIOR.predict(
        draft_parameters=draft, target_parameters=target, task=task, rng=rng(), draws=draws
    )


# --- the forecast ------------------------------------------------------------------------------


@settings(max_examples=20)
@given(TASKS, st.floats(1e8, 1e12))
def test_acceptance_rises_with_the_draft_and_reaches_one_at_the_target(
    task: str | None, target: float
) -> None:
    sizes = target * np.array([1e-3, 1e-2, 0.1, 0.4, 0.8, 0.99, 0.999999, 1.0])
    forecast = PRIOR.predict(
        draft_parameters=sizes, target_parameters=target, task=task, rng=rng(), draws=640
    )
    median, low, high = forecast.interval()
    assert (np.diff(median) > 0).all()
    assert (low <= median).all()
    assert (median <= high).all()
    assert median[-1] > 1 - 2e-5
    assert (forecast.alpha[-1] == 1.0).all()
    rejected = 1 - forecast.alpha.mean(axis=1)
    assert rejected[-2] < 0.3 * rejected[-3] or rejected[-2] < 0.1


@settings(max_examples=20)
@given(TASKS, st.floats(1e8, 1e10))
def test_acceptance_falls_as_the_target_grows_at_a_fixed_draft(
    task: str | None, draft: float
) -> None:
    targets = draft * np.array([1.01, 1.5, 3.0, 10.0, 100.0, 1000.0])
    medians = [one(draft, float(t), task=task, draws=64).interval()[0] for t in targets]
    assert (np.diff(medians) < 0).all()


def test_a_draft_larger_than_the_target_is_allowed_and_said() -> None:
    forecast = one(14e9, 7e9)
    assert 0.3 < np.median(forecast.alpha) < 1.0
    assert any("a draft is larger than the target" in n for n in forecast.notes)


def test_naming_a_task_moves_alpha_more_than_the_whole_ladder_does() -> None:
    tasks = [float(np.asarray(one(task=task).interval()[0])) for task in ("code", "math", "prose")]
    assert min(tasks[:2]) - tasks[2] > 0.08
    small, large = (float(np.asarray(one(size).interval()[0])) for size in (4e8, 8e8))
    assert large - small < min(tasks[:2]) - tasks[2]


def test_an_unnamed_task_spans_the_named_ones_and_says_so() -> None:
    _, low, high = one(task=None).interval()
    inside = [one(task=task).interval()[0] for task in NAMED]
    assert low < min(inside)
    assert max(inside) < high
    assert "no task named" in one(task=None).notes[0]
    assert "documentation" in " ".join(one(task="documentation").notes)


def test_a_measured_family_narrows_the_interval_and_an_unknown_one_is_said() -> None:
    def width(family: str | None) -> float:
        forecast = PRIOR.predict(
            draft_parameters=5e8, target_parameters=7e9, task="math", family=family, rng=rng()
        )
        _, low, high = forecast.interval()
        return float(np.asarray(high) - np.asarray(low))

    assert width("Qwen2.5") < 0.8 * width(None)
    assert width("Nobody-9") == pytest.approx(width(None), rel=1e-6)
    assert any("family" in note for note in one().notes)


def test_a_measured_pair_is_predicted_as_measured() -> None:
    forecast = PRIOR.predict(
        draft_parameters=6e8, target_parameters=8e9, task="math", target="Qwen3-8B",
        draft="Qwen3-0.6B", rng=rng(),
    )  # fmt: skip
    measured = [c.alpha for c in PRIOR.cells if c.pair == "qwen3-8b|qwen3-0.6b"]
    assert abs(forecast.interval()[0] - np.mean(measured)) < 0.04


def test_the_sample_has_the_quantiles_of_the_density() -> None:
    forecast = one(draws=20_000)
    assert np.quantile(forecast.alpha, [0.5, 0.05, 0.95]) == pytest.approx(
        np.array(forecast.interval()), abs=0.012
    )
    assert forecast.interval(0.5)[1] > forecast.interval(0.9)[1]


def test_named_drafts_scatter_and_unnamed_ones_are_one_curve() -> None:
    sizes = [5e8, 6e8]

    def step(names: list[str] | None) -> float:
        forecast = PRIOR.predict(
            draft_parameters=sizes, target_parameters=7e9, draft=names, rng=rng()
        )
        h = np.log(-np.log(forecast.alpha))
        return float(np.std(h[0] - h[1]))

    assert step(None) < 0.05 < 0.1 < step(["one", "other"])
    forecast = PRIOR.predict(draft_parameters=sizes, target_parameters=7e9, rng=rng())
    assert np.corrcoef(forecast.alpha)[0, 1] > 0.95


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        ({"draft_layers": 40}, {"draft_layers": 6}),
        ({"same_vocabulary": True}, {"same_vocabulary": False}),
        ({"tuned": True}, {"tuned": False}),
    ],
)
def test_what_makes_a_draft_better_raises_its_acceptance(better: dict, worse: dict) -> None:  # type: ignore[type-arg]
    medians = [
        PRIOR.predict(
            draft_parameters=5e8, target_parameters=7e9, task="chat", rng=rng(), **kind
        ).interval()[0]
        for kind in (better, worse)
    ]
    assert medians[0] > medians[1]


def test_the_law_pools_to_the_alpha_of_the_sample() -> None:
    forecast = one()
    law = forecast.law
    assert law.shape == forecast.alpha.shape
    s = law.survival(4)
    assert s[:, 1:].sum(axis=1) / s[:, :-1].sum(axis=1) == pytest.approx(forecast.alpha, abs=2e-5)
    several = PRIOR.predict(draft_parameters=[1e9, 2e9], target_parameters=7e9, rng=rng())
    assert tokens_by_gamma(several.law, 16).shape == (2, 2000, 17)
    assert (several.of(1).alpha == several.alpha[1]).all()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"draft_parameters": 0.0}, r"parameters must be in \(0, inf\), got 0"),
        ({"draft_parameters": float("nan")}, r"parameters must be in \(0, inf\), got nan"),
        ({"draft_parameters": [[1e9]]}, r"shape \(drafts,\), got \(1, 1\)"),
        ({"target_parameters": -1.0}, r"target parameters must be in \(0, inf\), got -1"),
        ({"temperature": -0.1}, r"temperature must be in \[0, inf\), got -0.1"),
        ({"task": "knitting"}, "task must name one of chat, code, .*, got 'knitting'"),
        ({"draft": ["a", "b"]}, "draft must have one entry a draft, got 2 for 1"),
        ({"draws": 0}, r"draws must be an integer in \[1, inf\), got 0"),
    ],
)
def test_bad_input_is_one_clear_line(arguments: dict, says: str) -> None:  # type: ignore[type-arg]
    good = {"draft_parameters": 1e9, "target_parameters": 7e9, "rng": rng()}
    with pytest.raises(ValueError, match=says) as caught:
        PRIOR.predict(**(good | arguments))
    assert len(str(caught.value).splitlines()) == 1


def test_the_prior_imports_nothing_heavy() -> None:
    code = (
        "import sys, numpy as np\n"
        "from howspec.calibrate.prior.acceptance import AcceptancePrior\n"
        "AcceptancePrior.load().predict(draft_parameters=1e9, target_parameters=7e9,"
        " rng=np.random.default_rng(0)).law\n"
        "print([m for m in ('scipy', 'pandas', 'sympy', 'torch', 'transformers') "
        "if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# --- the stored fit ----------------------------------------------------------------------------


def test_the_stored_fit_is_of_these_tables_and_this_law() -> None:
    stored = stored_fit()
    assert stored["cells"] == len(library_cells()) == len(PRIOR.cells)
    assert stored["parameters"] == list(PARAMETERS)
    assert set(stored["left_out"]) == set(PRIOR.families())
    assert np.array(stored["draws"]).shape[1] == len(PARAMETERS)


def test_fitting_again_finds_what_is_stored() -> None:
    rest = [c for c in PRIOR.cells if c.family != "qwen2.5"]
    again = np.log(fit(rest, draws=LEFT_OUT_DRAWS, steps=150, seed=5))
    stored = np.log(np.array(stored_fit()["left_out"]["qwen2.5"]))
    # The walkers are nearly independent: differences of two means in their standard errors.
    error = np.sqrt((again.var(axis=0) + stored.var(axis=0)) / LEFT_OUT_DRAWS)
    assert (np.abs(again.mean(axis=0) - stored.mean(axis=0)) < 4 * error).all()


# --- the pair's own tokens ---------------------------------------------------------------------


def test_no_tokens_leave_the_forecast_as_it_was() -> None:
    before = one()
    after = update(before, 0, 0, rng=rng())
    assert np.array(after.interval()) == pytest.approx(np.array(before.interval()), abs=1e-9)


@settings(max_examples=20)
@given(st.floats(0.15, 0.97), st.integers(20, 400))
def test_an_update_is_bayes_rule(alpha: float, tried: int) -> None:
    accepted = round(alpha * tried)
    after = update(one(draws=100), tried, accepted, rng=rng())
    mean, variance = one(draws=100).belief
    h = np.linspace(-11.9, 2.3, 6001)
    alphas = np.exp(-np.exp(h))
    prior = stats.norm.pdf(h[:, None], mean, np.sqrt(variance)).mean(axis=1)
    below = np.cumsum((prior * stats.binom.pmf(accepted, tried, alphas))[::-1])
    expected = [np.interp(q * below[-1], below, alphas[::-1]) for q in (0.5, 0.05, 0.95)]
    assert np.array(after.interval()) == pytest.approx(np.array(expected), abs=4e-3)


def test_two_updates_are_one_and_many_tokens_rule() -> None:
    twice = update(update(one(), 80, 60, rng=rng()), 120, 70, rng=rng())
    once = update(one(), 200, 130, rng=rng())
    assert np.array(twice.interval()) == pytest.approx(np.array(once.interval()), abs=1e-9)
    assert twice.tokens == 200
    sure = update(one(), 1e5, 4.2e4, rng=rng())
    assert np.array(sure.interval()) == pytest.approx(0.42, abs=0.006)
    assert np.quantile(sure.alpha, [0.05, 0.95]) == pytest.approx(0.42, abs=0.006)


def test_dispersion_counts_tokens_for_less() -> None:
    def width(forecast: AcceptanceForecast) -> float:
        _, low, high = forecast.interval()
        return float(np.asarray(high) - np.asarray(low))

    loose = update(one(), 400, 300, rng=rng(), dispersion=4.0)
    assert width(loose) == pytest.approx(width(update(one(), 100, 75, rng=rng())), rel=1e-6)
    assert width(loose) > 1.5 * width(update(one(), 400, 300, rng=rng()))


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda f: update(f, 10, 11, rng=rng()), r"accepted must be in \[0, tried\], got 11 of 10"),
        (lambda f: update(f, np.nan, 1, rng=rng()), "got 1 of nan"),
        (lambda f: update(f, 9, 3, rng=rng(), dispersion=0.5), r"dispersion must be in \[1, inf\)"),
        (lambda f: f.interval(1.0), r"level must be in \(0, 1\), got 1"),
    ],
)
def test_bad_measurements_are_one_clear_line(call, says: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=says):
        call(one(draws=10))
    several = PRIOR.predict(draft_parameters=[1e9, 2e9], target_parameters=7e9, rng=rng())
    with pytest.raises(ValueError, match="one draft"):
        update(several, 10, 5, rng=rng())
    assert update(several.of(1), 100, 50, rng=rng()).alpha.shape == (2000,)


def test_draws_of_a_density_have_its_distribution() -> None:
    density = one().density
    alpha, rise = draw(density, rng(3), 50_000)
    grid = np.cumsum(density.sum(axis=1))
    uniform = np.interp(np.log(-np.log(alpha)), LOG_H, grid)
    assert stats.kstest(uniform, "uniform").statistic < 0.012
    assert 10 < np.unique(rise).size <= 17


def test_a_measured_draft_informs_its_sister() -> None:
    own = Cell(
        target_parameters=7e9, draft_parameters=5e8, family="mine", target="mine-7b",
        draft="mine-0.5b", task="chat", source="own", setting="a", alpha=0.9, error=0.01,
    )  # fmt: skip

    def sister(prior: AcceptancePrior) -> float:
        forecast = prior.predict(
            draft_parameters=1e9, target_parameters=7e9, task="chat", family="mine",
            target="mine-7b", draft="mine-1b", rng=rng(),
        )  # fmt: skip
        return float(np.asarray(forecast.interval()[0]))

    taught = AcceptancePrior((*PRIOR.cells, own), PRIOR.parameters)
    assert sister(taught) > sister(PRIOR) + 0.05
