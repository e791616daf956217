"""Figures and tables of cost records: the numbers behind them, with and without a GPU's records."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from cost_samples import MODELS, SPREAD, KnownMachine, llama, named
from howspec.calibrate.library.own import (
    bundled_costs,
    campaign_names,
    costs_in,
    family_beside,
    read_campaign,
)
from howspec.calibrate.measured import measured_cost
from howspec.calibrate.records import Record, write_record
from howspec.calibrate.scaling import CostShapeFit, RejectionFit
from howspec.cli.calibrate import show
from howspec.cli.output import print_blocks
from howspec.figures import paper_costs, roofline_ratios
from howspec.figures.draw import Studies, cost_figures, draw
from howspec.figures.roofline_limits import cost_limits
from howspec.figures.roofline_passes import verify_curves
from howspec.figures.roofline_table import write_limits
from howspec.figures.transfer import TransferLaws
from howspec.verbs.paper import timed_rows

MACHINE = KnownMachine()
DRAWN = (".pdf", ".png", ".csv", "_caption.tex")
EQUAL = {
    f"equal-{size}-depth{layers}": llama(layers, hidden, ffn)
    for size, shapes in {
        "small": ((2, 512, 1208), (8, 256, 944), (16, 192, 656)),
        "large": ((4, 1024, 2832), (8, 768, 1888), (32, 384, 1032)),
    }.items()
    for layers, hidden, ffn in shapes
}


@pytest.fixture(scope="module")
def architectures() -> Record:
    names = ("Pythia-70M", "Pythia-410M", "Pythia-2.8B", "GPT2", "GPT2-XL", "Qwen3-0.6B",
             "Qwen3-8B", "BLOOM-560M")  # fmt: skip
    return MACHINE.record(
        named(*names), tokens=(1, 2, 3, 5, 6, 9, 17), shapes=((1, 128), (16, 128))
    )


@pytest.fixture(scope="module")
def equal() -> Record:
    return MACHINE.record(EQUAL)


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_targets_are_those_of_the_paper_and_else_the_largest_of_a_name(
    architectures: Record,
) -> None:
    ladders = roofline_ratios.ladders_of(cost_limits(architectures))
    found = {ladder.target.name: [d.name for d in ladder.drafts] for ladder in ladders}
    assert found == {
        "Pythia-2.8B": ["Pythia-410M", "Pythia-70M"],
        "GPT2-XL": ["GPT2"],
        "Qwen3-8B": ["Qwen3-0.6B"],  # BLOOM-560M has no target here
    }


def test_a_family_says_which_of_its_models_is_the_target() -> None:
    costs = next(c for c in bundled_costs() if c.stem == "cpu_costs")
    limits = cost_limits(costs.record, costs.family)
    (ladder,) = roofline_ratios.ladders_of(limits, costs.family)
    assert ladder.target.name == "target-8m"
    assert len(ladder.drafts) == len(limits.models) - 1
    assert roofline_ratios.reference(limits, costs.family).name == "target-8m"


def test_models_of_equal_size_are_grouped_by_depth(equal: Record) -> None:
    limits = cost_limits(equal)
    groups = [[m.layers for m in g] for g in roofline_ratios.depth_groups(limits)]
    assert groups == [[2, 8, 16], [4, 8, 32]]
    assert roofline_ratios.reference(limits).name == "equal-large-depth32"
    assert (
        roofline_ratios.ladders_of(limits) == ()
    )  # all of one name, and no one of them drafts for another
    costs = next(c for c in bundled_costs() if c.stem == "cpu_costs")
    (own,) = roofline_ratios.depth_groups(cost_limits(costs.record, costs.family))
    assert [m.layers for m in own] == [1, 3, 8]


def test_cost_ratios_are_quotients_of_medians_with_the_quartiles_of_the_draft(
    architectures: Record,
) -> None:
    limits = cost_limits(architectures)
    ladder = roofline_ratios.ladders_of(limits)[0]
    ratios = roofline_ratios.cost_ratios(limits, ladder.target, ladder.drafts)
    assert len(ratios) == 2 * 2 * 2  # drafts, places, modes
    models = named("Pythia-70M", "Pythia-410M", "Pythia-2.8B")
    for r in ratios:
        at: dict[str, Any] = {"batch": r.place[0], "context": r.place[1], "mode": r.mode}
        own, base = (
            MACHINE.pass_time(models[n], 1, **at) for n in (r.draft.name, ladder.target.name)
        )
        assert r.cost.median == pytest.approx(own / base, rel=1e-9)
        assert r.cost.low == pytest.approx(SPREAD[1] * own / base, rel=1e-9)
        assert r.cost.high == pytest.approx(SPREAD[3] * own / base, rel=1e-9)
        assert r.floor is not None
        assert r.floor < r.cost.median


def test_fixed_time_and_work_predict_the_verify_curve_where_that_is_the_law() -> None:
    plain = KnownMachine(work=1.0)
    limits = cost_limits(plain.record(MODELS, modes=("graph",), tokens=(1, 2, 9, 33)))
    curves = verify_curves(limits)
    assert len(curves) == len(MODELS) * 3
    rising = 0
    for curve in curves:
        assert curve.fixed is not None
        assert curve.roofline is not None
        measured = [q.median for q in curve.ratios]
        np.testing.assert_allclose(measured, curve.fixed, rtol=1e-9)
        # Fixed time flattens a curve: the roofline alone rises more.
        assert (curve.roofline >= curve.fixed - 1e-12).all()
        rising += curve.roofline[-1] > 1.5 * curve.fixed[-1]
    assert rising > 0


def test_a_curve_needs_its_first_token_and_two_more() -> None:
    for tokens in ((1, 2), (2, 3, 5)):
        assert verify_curves(cost_limits(MACHINE.record(MODELS, tokens=tokens))) == ()


@pytest.fixture(scope="module")
def laws() -> TransferLaws:
    """Acceptance 0.8 at the first token, a tenth less at every further one, known exactly."""
    ones = np.ones(50)
    rejection = RejectionFit(0.0 * ones, np.log(0.2) * ones, 0.0)
    # The costs of the law are far off: they must not enter where costs were timed.
    shape = CostShapeFit(9.0 * ones, 9.0 * ones, 0.0)
    return TransferLaws(rejection, shape, 9.0 * ones, 0.9 * ones)


def test_the_papers_rows_follow_from_timed_costs(architectures: Record, laws: TransferLaws) -> None:
    rows = paper_costs.paper_cost_rows(architectures, laws)
    pairs = {(r.target, r.method, r.draft) for r in rows}
    assert pairs == {
        ("Pythia-2.8B", "SpS", "Pythia-70M"),
        ("Pythia-2.8B", "AsG", "Pythia-70M"),
        ("GPT2-XL", "SpS", "GPT2"),
    }
    row = next(r for r in rows if r.target == "Pythia-2.8B" and r.mode == "eager")
    models = named("Pythia-70M", "Pythia-2.8B")
    at: dict[str, Any] = {"batch": 1, "context": 128, "mode": "eager"}
    v1, v6 = (MACHINE.pass_time(models["Pythia-2.8B"], n, **at) for n in (1, 6))
    d1, d2 = (MACHINE.pass_time(models["Pythia-70M"], n, **at) for n in (1, 2))
    assert row.gamma == 5
    assert row.cost_ratio == pytest.approx(d1 / v1, rel=1e-9)
    assert row.verify_ratio == pytest.approx(v6 / v1, rel=1e-9)
    survival = np.cumprod([1.0] + [0.8 * 0.9**k for k in range(5)])
    whole = survival[5] * (d2 - d1)
    round_s = v6 + 5 * (d1 + 1e-5) + 2e-5 + whole
    expected = survival.sum() * (v1 + 1e-5) / round_s
    assert row.speedup.estimate == pytest.approx(expected, rel=1e-6)


def test_a_record_without_the_papers_pairs_gives_no_row(
    equal: Record, laws: TransferLaws, tmp_path: Path
) -> None:
    assert not paper_costs.has_paper_pairs(equal)
    assert paper_costs.paper_cost_rows(equal, laws) == ()
    assert paper_costs.paper_cost_table((), tmp_path, name="x") == []


def test_the_needed_alpha_gives_the_speedup_that_was_asked_for(architectures: Record) -> None:
    cost = measured_cost(
        architectures, "Pythia-2.8B", "Pythia-70M", whole=np.zeros(8), mode="graph"
    )
    times = cost.round_time(5, context=128)
    for wanted in (0.9, 1.0, 1.7):
        alpha = paper_costs.needed_alpha(cost, wanted, gamma=5, context=128)
        assert alpha is not None
        tokens = sum(alpha**k for k in range(6))
        assert tokens * times[0] / times[5] == pytest.approx(wanted, rel=1e-9)
    assert paper_costs.needed_alpha(cost, 1e-3, gamma=5, context=128) == 0.0
    assert paper_costs.needed_alpha(cost, 6.1, gamma=5, context=128) is None


def test_the_papers_rows_are_printed_where_there_are_some(
    architectures: Record, laws: TransferLaws, capsys: pytest.CaptureFixture[str]
) -> None:
    assert list(timed_rows((), record="cpu_costs")) == []
    rows = paper_costs.paper_cost_rows(architectures, laws)
    print_blocks(timed_rows(rows, record="gpu_costs_architectures"))
    out = capsys.readouterr().out
    assert "at the costs of gpu_costs_architectures" in out
    assert out.count("Pythia-2.8B SpS: Pythia-70M K=5") == 2  # eager and graph
    assert f"{sum(r.inside for r in rows)} of {len(rows)} published speed-ups inside" in out


def test_the_papers_table_is_written_with_its_picture(
    architectures: Record, laws: TransferLaws, tmp_path: Path
) -> None:
    rows = paper_costs.paper_cost_rows(architectures, laws)
    written = paper_costs.paper_cost_table(rows, tmp_path, name="gpu")
    assert {p.name for p in written} == {f"gpu_paper{s}" for s in (*DRAWN, ".tex")}
    cells = read(tmp_path / "gpu_paper.csv")
    assert [float(c["cost_ratio"]) for c in cells] == pytest.approx(
        [r.cost_ratio for r in rows], rel=1e-5
    )
    assert "%" not in (tmp_path / "gpu_paper.tex").read_text().replace(r"\%", "")


def test_models_of_equal_size_are_drawn_against_depth_and_not_against_size(
    equal: Record, tmp_path: Path
) -> None:
    table = cost_limits(equal)
    assert roofline_ratios.ratio_by_size(table, tmp_path, name="gpu") == []
    written = roofline_ratios.ratio_by_depth(table, tmp_path, name="gpu")
    assert {p.name for p in written} == {f"gpu_depth{s}" for s in DRAWN}
    rows = read(tmp_path / "gpu_depth.csv")
    graph = [r for r in rows if (r["mode"], r["batch"], r["context"]) == ("graph", "1", "128")]
    for size in ("small", "large"):
        own = [r for r in graph if r["draft"].startswith(f"equal-{size}")]
        ratios = [float(r["cost_ratio"]) for r in own]
        assert ratios == sorted(ratios)
        assert [int(r["layers"]) for r in own] == sorted(int(r["layers"]) for r in own)


def test_architectures_are_drawn_against_size_and_not_against_depth(
    architectures: Record, tmp_path: Path
) -> None:
    table = cost_limits(architectures)
    assert roofline_ratios.ratio_by_depth(table, tmp_path, name="gpu") == []
    written = roofline_ratios.ratio_by_size(table, tmp_path, name="gpu")
    assert {p.name for p in written} == {f"gpu_size{s}" for s in DRAWN}
    assert len(read(tmp_path / "gpu_size.csv")) == 4 * 2 * 2  # drafts, places, modes


def test_the_table_has_every_pass_and_what_bounds_it(architectures: Record, tmp_path: Path) -> None:
    write_limits(cost_limits(architectures), tmp_path, "limits")
    rows = read(tmp_path / "limits.csv")
    assert len(rows) == 8 * 2 * 7
    small = next(r for r in rows if r["model"] == "Pythia-70M")
    assert small["eager_bound"] == "launches"
    assert "replayed from a graph" in small["reason"]
    assert float(small["eager_over_graph"]) == pytest.approx(
        float(small["eager_s"]) / float(small["graph_s"]), rel=1e-4
    )
    tex = (tmp_path / "limits.tex").read_text(encoding="utf-8")
    assert tex.count(r"\\") == 1 + 8 * 2
    assert "%" not in tex.replace(r"\%", "")


def test_the_bundled_record_is_drawn_with_its_repeats(tmp_path: Path) -> None:
    costs = next(c for c in bundled_costs() if c.stem == "cpu_costs")
    written = draw(cost_figures(costs, Studies()), tmp_path)
    assert {p.name for p in written} == {
        f"cpu_costs_{what}{rest}" for what in ("floor", "size", "depth", "verify") for rest in DRAWN
    } | {"cpu_costs_floor.tex"}
    for name, value in (("size", "cost_ratio"), ("verify", "ratio")):
        for r in read(tmp_path / f"cpu_costs_{name}.csv"):
            assert float(r["low"]) <= float(r[value]) <= float(r["high"])


def test_cost_records_beside_the_bundled_ones_are_found_without_a_ladder(
    architectures: Record, tmp_path: Path
) -> None:
    write_record(architectures, tmp_path / "gpu-costs-architectures.json.gz")
    (found,) = costs_in(tmp_path, ("gpu",))
    assert (found.campaign, found.what, found.family) == ("gpu", "costs-architectures", None)
    assert found.stem == "gpu_costs_architectures"
    assert len(found.record.points) == len(architectures.points)
    assert tuple(costs_in(tmp_path, ("cpu",))) == ()


def test_a_campaign_has_optional_records_beside_its_own(equal: Record, tmp_path: Path) -> None:
    text = {"type": "text", "draft": None, "domain": "a", "temperature": 0.0, "request": 0}
    decoded = {"draft": None, "method": "plain", "gamma": 0, "batch": 1, "prompt": 0, "repeat": 0}
    write_record(MACHINE.record(named("GPT2")), tmp_path / "cpu-costs.json")
    write_record(Record("acceptance", {}, {}, (text,)), tmp_path / "cpu-acceptance.json")
    write_record(Record("sweep", {}, {}, (decoded,)), tmp_path / "cpu-sweep.json.gz")
    (tmp_path / "cpu-family.json").write_text('{"models": []}', encoding="utf-8")
    write_record(equal, tmp_path / "cpu-costs-equal.json")
    assert read_campaign(tmp_path, prefix="cpu-", name="cpu").sweep.points == (decoded,)
    costs, beside = costs_in(tmp_path, ("cpu",))
    assert (costs.what, beside.what) == ("costs", "costs-equal")
    assert beside.record.points == equal.points


def test_a_campaign_that_lacks_a_record_of_its_ladder_is_no_ladder(
    monkeypatch: pytest.MonkeyPatch, equal: Record, tmp_path: Path
) -> None:
    (tmp_path / "gpu-family.json").write_text('{"models": []}', encoding="utf-8")
    write_record(equal, tmp_path / "gpu-costs.json.gz")
    monkeypatch.setattr("howspec.calibrate.library.own.resources.files", lambda name: tmp_path)
    assert campaign_names() == ()
    assert [c.stem for c in bundled_costs()] == ["gpu_costs"]


def test_the_family_is_found_beside_its_record(tmp_path: Path) -> None:
    family = {"models": [{"name": "a"}]}
    records, trained = tmp_path / "records", tmp_path / "family"
    for folder in (records, trained):
        folder.mkdir()
    assert family_beside(records / "costs.json") is None
    (trained / "family.json").write_text(json.dumps(family), encoding="utf-8")
    assert family_beside(records / "costs.json") == family
    assert family_beside(records / "costs-equal.json") is None  # of models without a family
    (records / "gpu-family.json").write_text(json.dumps({"models": []}), encoding="utf-8")
    assert family_beside(records / "gpu-costs.json.gz") == {"models": []}
    (records / "gpu-family.json").write_text("[]", encoding="utf-8")
    with pytest.raises(ValueError, match=r"gpu-family\.json: must hold an object"):
        family_beside(records / "gpu-costs.json.gz")


def shown(*arguments: str) -> Any:
    app = show
    return CliRunner().invoke(app, list(arguments))


def test_limits_are_printed_and_given_as_json(equal: Record, tmp_path: Path) -> None:
    path = write_record(equal, tmp_path / "costs-equal.json.gz")
    result = shown(str(path), "--limits")
    assert result.exit_code == 0, result.output
    assert "copy 4000 GB/s" in result.output
    assert "eager: launches take most of 18 of 18 passes of one token" in result.output
    assert "equal-large-depth32" in result.output
    found = json.loads(shown(str(path), "--limits", "--json").output)
    assert found["machine"]["peak"] == 989.4e12
    assert found["laws"]["graph"]["models"] == 6
    assert len(found["passes"]) == 6 * 3 * 4
    assert found["passes"][0]["eager_bound"] == "launches"


def test_limits_of_other_files_are_refused(tmp_path: Path) -> None:
    points = ({"type": "text", "draft": None, "domain": "a", "temperature": 0.0, "request": 0},)
    path = write_record(Record("acceptance", {}, {}, points), tmp_path / "acceptance.json")
    result = shown(str(path), "--limits")
    assert isinstance(result.exception, ValueError)
    assert "kind costs, got acceptance" in str(result.exception)
