from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import howspec as hs
import numpy as np
import pytest
from command import answer, call
from howspec.calibrate.models import device, model, models
from howspec.calibrate.named import named
from howspec.calibrate.pair import Deployment, Load, Use, resolve
from howspec.calibrate.prior.costs import expected_costs
from howspec.figures.answers import turning_curve
from howspec.figures.validation.names import paper_rows_test
from howspec.sim import scale_grid
from howspec.sim.choice import choose
from howspec.sim.common import common_laws
from howspec.sim.crossover import batches_up_to, crossings
from howspec.sim.known import Sources
from howspec.sim.prediction import speedup_table
from howspec.sim.ranking import rank_drafts
from howspec.sim.scale import usual_formats
from howspec.sim.scale_grid import LAYERS_EXPONENT, best_scale, hypothetical, smallest_published
from howspec.theory import DepthAcceptance, tokens_by_gamma
from howspec.theory.acceptance.positional import damped

QWEN = ("--target", "Qwen2.5-32B", "--device", "2x A100 80GB")
LADDER = ("--draft", "Qwen2.5-0.5B,Qwen2.5-1.5B", "--draft", "Qwen2.5-7B")


# --- rank --------------------------------------------------------------------------------------


def test_a_draft_without_room_comes_last_and_is_never_the_best(
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = answer(
        capsys,
        "rank",
        "--target",
        "Qwen2.5-32B",
        "--device",
        "A100 80GB",
        *LADDER,
        "--task",
        "math",
    )
    last = found["order"][-1]
    assert (last["draft"], last["fits"], last["gamma"]) == ("Qwen2.5-7B", False, 0)
    assert last["probability_best"] == 0.0
    assert last["speedup"]["estimate"] == 1.0
    assert last["if_it_fitted"]["speedup"]["estimate"] > 1.0
    assert any("does NOT fit at batch 1: Qwen2.5-7B" in n for n in found["notes"])


def test_a_draft_that_is_named_twice_is_ranked_once_and_said_so(
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = answer(capsys, "rank", *QWEN, "--draft", "Qwen2.5-0.5B,Qwen/Qwen2.5-0.5B,EAGLE3")
    assert [d["draft"] for d in found["order"]].count("Qwen2.5-0.5B") == 1
    assert len(found["order"]) == 2
    again = "Qwen/Qwen2.5-0.5B is the draft Qwen2.5-0.5B again: ranked once"
    assert found["notes"].count(again) == 1


def test_a_ranking_of_one_draft_is_its_prediction_draw_by_draw() -> None:
    at = Deployment("Qwen2.5-32B", None, "4x H100", context=500.0, task="code")
    found = rank_drafts(at, ["Qwen2.5-1.5B"], batches=(8.0,), gamma_max=8, objective="throughput")
    pair = resolve(at).with_draft("Qwen2.5-1.5B")
    known = common_laws([pair], Sources(), 8, 0)[0]
    table = speedup_table(known.acceptance.law, known.costs.law, 8, batch=8, context=500)
    best, choice = int(table.mean(axis=0).argmax()), found.rankings[0].drafts[0].choice
    assert choice.gamma == best
    assert choice.draws == pytest.approx(table[:, best])


def test_common_draws_make_the_order_surer_than_independent_ones() -> None:
    pair = resolve(Deployment("Qwen2.5-32B", None, "4x H100"))
    pairs = [pair.with_draft(name) for name in ("Qwen2.5-0.5B", "Qwen2.5-7B")]
    tables = [
        speedup_table(known.acceptance.law, known.costs.law, 16)
        for known in common_laws(pairs, Sources(), 16, 0)
    ]
    one, two = (np.log(choose(table).draws) for table in tables)
    mixed = np.random.default_rng(1).permutation(two)
    assert (one - two).std() < 0.9 * (one - mixed).std()


# --- scale -------------------------------------------------------------------------------------


def test_hypothetical_drafts_have_the_size_asked_for_and_fewer_layers() -> None:
    for name in ("Llama-3.1-70B", "Qwen2.5-7B", "Pythia-2.8B", "DeepSeek-V3", "Mixtral-8x7B"):
        target = model(name).shape
        layers = []
        for share in (0.5, 0.1, 0.01):
            shape = hypothetical(target, share * target.parameters())
            assert shape.parameters() == pytest.approx(share * target.parameters(), rel=0.12)
            assert shape.parameters() <= share * target.parameters()
            assert not shape.is_moe
            layers.append(shape.layers)
        assert layers == sorted(layers, reverse=True)
    target = model("Llama-3.1-70B").shape
    deep, usual = (hypothetical(target, 1e9, depth=d) for d in (1.5, 1.0))
    assert deep.layers == pytest.approx(1.5 * usual.layers, abs=1)
    assert deep.hidden < usual.hidden


def test_layers_grow_with_size_as_in_the_families_of_the_table() -> None:
    dense = [m.shape for m in models().values() if not m.shape.is_moe]
    x = np.log([s.parameters() for s in dense])
    y = np.log([s.layers for s in dense])
    families = np.array([s.family for s in dense])
    for family in set(families):
        mine = families == family
        x[mine], y[mine] = x[mine] - x[mine].mean(), y[mine] - y[mine].mean()
    assert float((x * y).sum() / (x * x).sum()) == pytest.approx(LAYERS_EXPONENT, abs=0.02)


def test_the_best_size_is_the_top_of_the_curve_and_inside_its_interval() -> None:
    found = best_scale(
        named("Llama-3.1-70B"), load=Load(device("4x H100")), use=Use("chat"),
        rng=np.random.default_rng(0), sizes=9, draws=400,
    )  # fmt: skip
    top = max(found.curve, key=lambda p: p.choice.speedup)
    assert found.best in found.curve
    assert found.best.choice.speedup == pytest.approx(top.choice.speedup, rel=0.05)
    assert found.size_interval is not None
    assert found.size_interval[0] <= top.parameters <= found.size_interval[1]
    ratios = [float(np.median(p.cost_ratio)) for p in found.curve]
    alphas = [float(np.median(p.alpha)) for p in found.curve]
    assert ratios == sorted(ratios, reverse=True)
    assert alphas == sorted(alphas, reverse=True)
    assert sum(p.probability_best for p in found.curve) == pytest.approx(1.0)
    assert {p.depth for p in found.grid} == {0.25, 0.5, 1.0, 1.5}


def test_an_interval_of_sizes_that_ends_at_the_last_one_tried_is_open_there() -> None:
    found = best_scale(
        named("Llama-3.1-70B"), load=Load(device("4x H100")), use=Use("chat"),
        rng=np.random.default_rng(0), sizes=5, draws=100, smallest=0.01,
    )  # fmt: skip
    sizes = sorted(p.parameters for p in found.curve)
    for ends, smaller, larger in (
        ((sizes[0], sizes[-1]), True, True),
        ((sizes[1], sizes[-2]), False, False),
        (None, False, False),
    ):
        known = replace(found, size_interval=ends)
        assert (known.or_smaller, known.or_larger) == (smaller, larger)
    without = tuple(replace(p, fits=p.parameters != sizes[-1]) for p in found.curve)
    known = replace(found, curves={found.best.dtype: without}, size_interval=(sizes[1], sizes[-2]))
    assert (known.or_smaller, known.or_larger) == (False, True)


def test_formats_are_an_axis_of_their_own_and_rounding_is_paid_for() -> None:
    stored = usual_formats(device("M4 Max"), "llama.cpp")
    assert stored == ("fp16", "q8_0", "q4_k_m")
    assert usual_formats(device("A100"), "vllm") == ("bf16", "int8", "int4")
    assert usual_formats(device("H100 SXM"), "vllm") == ("bf16", "fp8", "int4")
    assert usual_formats(device("V100"), "eager") == ("fp16",)
    found = best_scale(
        named("Qwen2.5-32B:q4"), load=Load(device("M4 Max"), stack="llama.cpp"), use=Use(),
        rng=np.random.default_rng(0), formats=stored, sizes=7, draws=400,
    )  # fmt: skip
    for wide, packed in zip(found.curves["fp16"], found.curves["q4_k_m"], strict=True):
        assert wide.shape == packed.shape
        assert (wide.alpha > packed.alpha).all()
        if wide.parameters > 1e9:  # where the weights are most of the time
            assert np.median(wide.cost_ratio) > np.median(packed.cost_ratio)
    assert sum(found.probability_of_format.values()) == pytest.approx(1.0)
    assert {p.dtype for p in found.grid if p.depth != 1.0} == {found.best.dtype}
    alone = best_scale(
        named("Qwen2.5-32B:q4"), load=Load(device("M4 Max"), stack="llama.cpp"), use=Use(),
        rng=np.random.default_rng(0), formats=("q8_0",), sizes=7, draws=400,
    )  # fmt: skip
    beside = found.curves["q8_0"]
    assert [p.choice.speedup for p in alone.curve] == [p.choice.speedup for p in beside]


def test_sizes_below_all_published_ones_are_less_sure(monkeypatch: pytest.MonkeyPatch) -> None:
    target = named("Qwen2.5-72B")
    known = smallest_published(target.parameters)
    assert 1e-3 < known / target.parameters < 0.5

    def spreads() -> tuple[list[float], list[float]]:
        """Of ln -ln alpha: of sizes above the smallest published one, and below it."""
        found = best_scale(
            target, load=Load(device("4x H100")), use=Use("chat"), rng=np.random.default_rng(0),
            sizes=7, smallest=1e-4, draws=400,
        )  # fmt: skip
        missed = [(p.parameters > known, np.log(-np.log(p.alpha)).std()) for p in found.curve]
        return [m for above, m in missed if above], [m for above, m in missed if not above]

    inside, outside = spreads()
    assert len(outside) >= 2
    assert min(outside) > inside[-1]
    assert outside == sorted(outside)
    monkeypatch.setattr(scale_grid, "_MAY_BEND", 0.0)  # the slope goes on as it is known
    same, surer = spreads()
    assert same == inside
    assert all(sure < unsure for sure, unsure in zip(surer, outside, strict=True))


def test_scale_names_the_drafts_that_it_is_given_in_their_formats() -> None:
    given = {"device": "A100", "sizes": 3, "draft_dtype": ["bf16", "int4"]}
    found = hs.scale("Qwen2.5-7B", ["Qwen2.5-0.5B", "Qwen2.5-1.5B:int8"], **given).to_json()  # type: ignore[arg-type]
    real = {d["draft"] for d in found["existing"]}
    assert real == {"Qwen2.5-0.5B:bf16", "Qwen2.5-0.5B:int4", "Qwen2.5-1.5B:int8"}
    assert [f["dtype"] for f in found["formats"]] == ["bf16", "int4"]
    assert found["best"]["depth"] == 1.0
    with pytest.raises(ValueError, match=r"^draft_dtype must be one of"):
        hs.scale("Qwen2.5-7B", device="A100", draft_dtype="q44")
    with pytest.raises(ValueError, match=r"^draft_dtype must be one of"):
        hs.predict(target="Qwen2.5-7B", draft="Qwen2.5-0.5B", device="A100", draft_dtype="q44")


def test_a_target_without_room_is_a_no_that_is_said_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    pair = ("scale", "--target", "Qwen2.5-72B", "--device", "2x H100")
    status, out, _ = call(capsys, *pair)
    assert status == 0
    assert out.startswith("NO: no draft fits beside the target")
    assert out.count("it needs 3x H100 SXM or more, or the target's weights in 8 bits") == 1
    assert "fastest format" not in out  # of what does not run
    assert call(capsys, *pair, "--dtype", "fp8")[1].startswith("best draft")


def test_the_star_of_the_curve_is_the_answer() -> None:
    answer = hs.scale("Llama-3.1-70B", device="4x H100", task="chat", sizes=5)
    (axes,) = answer.draw().axes
    (star,) = (line for line in axes.lines if line.get_marker() == "*")
    best = answer.found.found.best
    target = answer.found.pair.target
    assert target is not None
    assert star.get_xdata()[0] == pytest.approx(best.parameters / target.parameters)
    assert star.get_ydata()[0] == pytest.approx(best.choice.speedup)
    with pytest.raises(ValueError, match=r"must end in \.pdf, \.png, \.svg"):
        answer.plot("curve.txt")
    with pytest.raises(ValueError, match="best must be a row of one of the curves"):
        turning_curve({"a": [(0.1, 2, 1.5, 1.0, 2.0)] * 2}, best=(0.3, 1, 1.0, 1.0, 1.0))
    with pytest.raises(ValueError, match="needs two sizes or more, got 0"):
        turning_curve({}, best=(0.3, 1, 1.0, 1.0, 1.0))


# --- crossover ---------------------------------------------------------------------------------


def test_batches_rise_from_one_to_the_largest() -> None:
    assert batches_up_to(0) == (1.0,)
    found = batches_up_to(100)
    assert (found[0], found[-1]) == (1.0, 100.0)
    assert (np.diff(found) > 0.0).all()


def test_speculation_stops_where_the_speedup_meets_one_and_the_load_is_that_of_plain_decoding() -> (
    None
):
    target, draft = named("Llama-3.1-8B"), named("Llama-3.2-1B")
    load = Load(device("H100"), context=200)
    law = expected_costs(target, [draft], load=load, rng=np.random.default_rng(0), draws=200)[0]
    alphas = np.full(200, 0.7)
    tokens = tokens_by_gamma(damped(DepthAcceptance(alphas, 1.0), 6), 6)
    found = crossings(
        tokens, law, batches=batches_up_to(2048), contexts=(0.0, 1000.0), batch=4, context=200
    )
    batch = found["batch"]
    assert batch.pays
    assert batch.at is not None
    before = max(b for b in batch.values if b <= batch.at)
    after = min(b for b in batch.values if b > batch.at)
    position = batch.values.index(before)
    assert batch.gamma[position] > 0
    assert batch.gamma[batch.values.index(after)] == 0
    assert batch.low is not None
    assert batch.low <= batch.at
    plain = [float(np.median(b / law.plain_step(batch=b, context=200))) for b in (before, after)]
    assert found["load"].at is not None
    assert plain[0] <= found["load"].at <= plain[1]


def test_crossover_says_where_it_ends_or_that_it_does_not(
    capsys: pytest.CaptureFixture[str],
) -> None:
    pair = ("crossover", "--target", "Llama-3.1-8B", "--draft", "Llama-3.2-1B", "--device", "H100")
    found = answer(capsys, *pair, "--batch-max", "32")
    assert found["batch"]["looked_up_to"] == 32.0
    assert found["batch"]["values"][0] == 1.0
    for name in ("batch", "context", "load"):
        assert {"pays", "stops_at", "low", "high", "gamma", "speedup"} <= found[name].keys()
    hopeless = ("crossover", "--target", "Llama-3.2-1B", "--draft", "Llama-3.1-8B")
    status, out, _ = call(capsys, *hopeless, "--device", "H100", "--batch-max", "8")
    assert status == 0
    assert out.startswith("batch: NO, it pays at none")
    large = ("crossover", "--target", "Llama-3.1-70B", "--draft", "Llama-3.2-1B")
    found = answer(capsys, *large, "--device", "H100")
    assert (found["fits"], found["batch"]["pays"]) == (False, False)
    tight = answer(capsys, *pair, "--batch", "64", "--batch-max", "64")
    assert tight["context"]["looked_up_to"] < 65536
    assert any("memory ends before context" in n for n in tight["notes"])


# --- the paper's table -------------------------------------------------------------------------


def test_the_papers_table_is_predicted_from_names_alone() -> None:
    found = paper_rows_test()
    assert len(found.points) == 10
    assert found.points[0].label == "Pythia-2.8B, SpS"
    assert found.points[0].observed == 1.984
    assert found.coverage >= 0.7  # 8 of 10 when written
    assert all(p.low <= p.predicted <= p.high for p in found.points)  # alike at gamma 0
    assert len(found.notes) == 11


@pytest.mark.parametrize("objective", ["safe", "regret", "latency", "throughput"])
def test_the_order_of_drafts_is_that_of_the_column_it_names(objective: str) -> None:
    found = hs.rank(
        "Qwen2.5-72B", ["Qwen2.5-7B", "Qwen2.5-0.5B", "Qwen2.5-1.5B"], device="4x H100 SXM",
        objective=objective,
    )  # fmt: skip
    column = str(found).partition("in the order of: ")[2].splitlines()[0].partition(",")[0]
    drafts = found.found.rankings[0].drafts
    shown = {
        "worst tenth": [1.0 - d.score for d in drafts],
        "time lost": [d.expected_regret for d in drafts],
        "speed-up": [-d.choice.speedup for d in drafts],
    }
    assert column in found.to_frame().columns
    assert shown[column] == sorted(shown[column])


def test_costs_of_one_context_leave_the_crossing_in_context_open(tmp_path: Path) -> None:
    rows = ["pass,batch,tokens,context,time_ms"]
    rows += [f"target,{b},{n},0,{8 + b * n / 4}" for b in (1, 8, 32) for n in (1, 4)]
    rows += [f"draft,{b},1,0,1" for b in (1, 8, 32)]
    (tmp_path / "passes.csv").write_text("\n".join(rows) + "\n")
    said = str(hs.crossover(acceptance=0.7, costs=str(tmp_path / "passes.csv")))
    assert "context: the costs know one context only, 0 tokens: no crossing is known" in said
    assert "pays up to 0 tokens" not in said


def test_a_sweep_of_one_gamma_is_refused_with_its_file(tmp_path: Path) -> None:
    file = tmp_path / "one.csv"
    file.write_text("target,k,latency\nQwen3-8B,0,12.5\nQwen3-8B,3,10\n")
    with pytest.raises(ValueError, match=r"one\.csv: Qwen3-8B \+ draft was measured at gamma 3"):
        hs.predict_sweep(str(file))
