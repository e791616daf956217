"""Drafting heads by their names: shapes, acceptance, and what they were measured to do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from command import answer
from howspec.calibrate.library.load import same_study
from howspec.calibrate.models import device, model, models
from howspec.calibrate.models.drafters import DRAFTERS, head_shape, ships_mtp
from howspec.calibrate.named import head_dtype, named, named_draft
from howspec.calibrate.pair import Load
from howspec.calibrate.prior.head_curves import (
    HEADS,
    LOOK_UP,
    HeadCurve,
    head_curves,
    linearised,
    looked_up,
)
from howspec.calibrate.prior.heads import (
    _stored,
    expected_head,
    head_costs,
    stored_spreads,
)
from howspec.calibrate.prior.heads_fit import built_curves, sample_spreads
from howspec.calibrate.prior.heads_model import (
    SPREADS,
    Conditioned,
    Question,
)
from howspec.cli.main import run
from howspec.theory import tokens_by_gamma
from howspec.theory.acceptance.positional import powered

CALL = ("predict", "--target", "Llama-3.1-8B-Instruct", "--device", "H100", "--stack", "vllm")


ONE_LAYER = ("EAGLE-3", "EAGLE", "MTP")
SEVERAL = ("P-EAGLE", "DFlash", "DSpark", "layer-skip", "n-gram")


@pytest.mark.parametrize("kind", ONE_LAYER)
def test_a_head_is_one_layer_and_reads_less_than_its_target(kind: str) -> None:
    for entry in models().values():
        target = entry.shape
        head = head_shape(target, kind)
        assert head.layers == 1
        assert head.hidden == target.hidden
        assert head.vocab <= target.vocab
        if target.layers > 4 and not target.embedding_width:
            assert head.read_bytes("bf16") < target.pass_bytes(1, "bf16"), entry.name


@pytest.mark.parametrize("kind", SEVERAL)
def test_a_drafter_of_any_kind_reads_less_than_a_target_of_many_layers(kind: str) -> None:
    for entry in models().values():
        if entry.shape.layers >= 24 and not entry.shape.embedding_width:
            drafter = head_shape(entry.shape, kind)
            one = drafter.pass_bytes(1, "bf16")
            assert one < entry.shape.pass_bytes(1, "bf16"), (entry.name, one)


def test_a_part_of_a_target_is_its_first_layers() -> None:
    target = named("Llama-2-7B")
    quarter, kind = named_draft("LayerSkip", target)
    assert (quarter.shape.layers, kind) == (8, "layer-skip")
    fifth, _ = named_draft("self exit layer 5", target)
    layer = (target.shape.read_parameters() - fifth.shape.read_parameters()) / 27
    whole = target.shape.read_parameters() - 32 * layer
    assert fifth.shape.read_parameters() == pytest.approx(5 * layer + whole)
    with pytest.raises(ValueError, match=r"exit layer must be in \[1, 31\], got 32"):
        named_draft("early exit layer 32", target)


def test_a_drafter_runs_once_a_token_once_a_round_or_never() -> None:
    target, machine = named("Llama-3.1-8B"), device("H100 SXM")
    load = Load(machine, stack="vllm")
    rng = np.random.default_rng

    def rounds(name: str) -> tuple[Any, Any]:
        draft, _ = named_draft(name, target)
        law = head_costs(target, draft, load=load, rng=rng(3), draws=50)
        return law, law.round_time(6)

    serial, times = rounds("EAGLE-3")
    step = serial.draft.step_time(np.ones(1))[:, 0]
    verify = serial.target.step_time(np.arange(1.0, 8.0))
    np.testing.assert_allclose(times[:, 6], verify[:, 6] + 6 * step + serial.overhead)
    block, times = rounds("DFlash")
    once = block.draft.step_time(np.arange(1.0, 7.0))
    np.testing.assert_allclose(times[:, 6], verify[:, 6] + once[:, 5] + block.overhead)
    free, times = rounds("n-gram")
    np.testing.assert_allclose(times[:, 6], verify[:, 6] + free.overhead)
    assert (free.cost_ratio() == 0).all()
    for law in (serial, block, free):
        np.testing.assert_allclose(law.round_time(3)[:, 0], law.plain_step())


@pytest.mark.parametrize("kind", [k for k in DRAFTERS if k != "model"])
def test_every_kind_has_a_forecast_that_rises_with_gamma_and_says_what_it_rests_on(
    kind: str,
) -> None:
    target = named("Qwen3-14B")
    draft, found = named_draft("PARD-Qwen3-0.6B" if kind == "PARD" else kind, target)
    assert found == draft.kind == kind
    known = expected_head(kind, target.called, np.random.default_rng(0), draft=draft, draws=400)
    tokens = tokens_by_gamma(known.law, 8)
    assert tokens.shape == (400, 9)
    assert (np.diff(tokens, axis=1) >= 0).all()
    low, high = np.quantile(tokens[:, 4], [0.05, 0.95])
    assert 1.0 <= low < high <= 5.0
    assert known.kind == "predicted"
    assert known.given


def test_what_a_drafters_name_leaves_open_is_a_note() -> None:
    def notes(name: str, target: str) -> tuple[str, ...]:
        return named_draft(name, named(target))[0].notes

    assert notes("MTP", "DeepSeek-V3") == notes("MTP", "Qwen3.6-27B") == ()
    assert notes("MTP", "Llama-3.1-8B") == (
        "releases of Llama-3.1-8B ship no MTP head: it would have to be trained",
    )
    assert notes("EAGLE3", "Llama-3.1-8B") == ()
    assert "no EAGLE-3 head of Gemma-3-27B is among" in notes("EAGLE3", "Gemma-3-27B")[0]
    assert (
        "named for Qwen3-8B, not for the target Qwen3-32B"
        in notes("z-lab/Qwen3-8B-DFlash", "Qwen3-32B")[-1]
    )
    assert ships_mtp("zai-org/GLM-5.1")
    assert not ships_mtp("Qwen3-32B")


def test_every_kind_that_an_engine_runs_has_its_flags() -> None:
    for kind in DRAFTERS.values():
        assert kind.source
        assert bool(kind.sglang_flags) == ("sglang" in kind.engines)
        assert kind.engines, kind.name
    chain = ("--speculative-num-steps", "--speculative-eagle-topk",
             "--speculative-num-draft-tokens")  # fmt: skip
    serial = [k for k in DRAFTERS.values() if k.passes == "serial" and k.sglang_flags]
    assert {k.sglang_flags for k in serial} == {chain}
    assert DRAFTERS["DFlash"].sglang_flags == ("--speculative-num-draft-tokens",)
    assert DRAFTERS["DSpark"].sglang_flags == ("--speculative-dspark-block-size",)
    assert DRAFTERS["P-EAGLE"].options == (("parallel_drafting", True),)


def test_an_eagle3_head_of_an_8b_model_has_the_parameters_of_the_published_one() -> None:
    head = head_shape(model("Llama-3.1-8B").shape, "EAGLE-3")
    layer = 2 * 4096 * 4096 + 2 * 4096 * 1024 + 3 * 4096 * 14336
    entry = 4096 * (4096 + 2 * 1024)  # queries, keys and values are read from twice the width
    assert head.read_parameters() == pytest.approx(layer + entry + 32000 * 4096, rel=1e-3)


def test_a_head_for_multiple_tokens_has_the_experts_of_its_target() -> None:
    target = model("DeepSeek-V3").shape
    head = head_shape(target, "MTP")
    assert (head.experts, head.moe_layers, head.kv_rank) == (256, 1, 512)
    dense = head_shape(target, "EAGLE-3")
    assert (dense.moe_layers, dense.kv_rank) == (0, 0)
    with pytest.raises(ValueError, match=r"drafter must be one of P-EAGLE, .* got 'Hydra'"):
        head_shape(target, "Hydra")


def test_a_model_of_the_table_is_never_taken_for_a_head() -> None:
    target = named("Llama-3.1-8B")
    found, kind = named_draft("Llama-3.2-1B", target)
    assert (found.shape.layers, kind) == (16, None)
    found, kind = named_draft("EAGLE3", target)
    assert (found.shape.layers, kind) == (1, "EAGLE-3")
    with pytest.raises(ValueError, match="draft must be a name of the table"):
        named_draft("no-such-drafter", target)
    with pytest.raises(ValueError, match=r"named as PARD-Llama-3\.2-1B; got 'PARD'"):
        named_draft("PARD", target)


def test_heads_stay_in_16_bits_beside_a_target_of_fewer() -> None:
    target = named("Llama-3.1-8B")
    assert head_dtype(target, "EAGLE-3", device("H100")) == ""
    assert head_dtype(target, "EAGLE-3", device("H100"), "fp8") == "bf16"
    assert head_dtype(target, "EAGLE-3", device("T4"), "int4") == "fp16"
    assert head_dtype(target, "MTP", device("H100"), "fp8") == ""


def test_published_curves_are_chains_that_rise_with_gamma() -> None:
    curves = head_curves()
    assert sum(len(c.gammas) > 1 for c in curves) >= 60
    assert {c.kind for c in curves} >= {"EAGLE-3", "EAGLE", "MTP"}
    for c in curves:
        assert all(1.0 < n < g + 1.0 for g, n in zip(c.gammas, c.tokens, strict=True))


def test_the_stored_curves_are_those_of_the_tables() -> None:
    built, stored = built_curves(), [c for k in (*HEADS, *LOOK_UP) for c in head_curves(k)]
    for one, other in zip(built, stored, strict=True):
        assert replace(one, tokens=()) == replace(other, tokens=())
        assert one.tokens == pytest.approx(other.tokens, rel=1e-13)


@pytest.mark.parametrize("look_up", [False, True])
def test_the_stored_weights_of_settings_are_those_of_the_stored_spreads(look_up: bool) -> None:
    curves, theta = looked_up() if look_up else head_curves(), stored_spreads(look_up=look_up)
    asked, shares = Question(curves[0].kind, "Llama-3.1-8B"), _stored("shares", look_up)
    weighed = Conditioned(curves, theta).predict(asked)
    for one, other in zip(weighed, Conditioned(curves, theta, shares).predict(asked), strict=True):
        assert one == pytest.approx(other, rel=1e-9, abs=1e-12)


def test_a_text_that_was_looked_up_counts_once_and_hides_with_its_study() -> None:
    every = looked_up()
    texts = [(c.target, c.canonical, c.task.casefold()) for c in every]
    assert len(texts) == len(set(texts)) >= 25
    # Two tables hold the traces of one study: neither is left where the other is unseen.
    for study in ("2601.11580", "specdecode-bench/simulator"):
        left = looked_up(study)
        assert {"math", "summarisation"} <= {
            c.canonical for c in every if c.target == "Llama-3.1-8B"
        }
        assert not {"math", "summarisation"} & {
            c.canonical for c in left if c.target == "Llama-3.1-8B"
        }
    left = looked_up("hemingkx/spec-bench")
    assert left == tuple(c for c in every if not same_study(c.source, "hemingkx/spec-bench"))
    assert len(left) == len(every) - 18


def test_look_up_depends_on_the_text_and_hardly_on_the_target() -> None:
    names = list(SPREADS)
    own, heads = (np.median(stored_spreads(look_up=b), axis=0) for b in (True, False))
    text, target = (own[names.index(n)] for n in ("study_task", "target"))
    assert text > 3.0 * target
    assert own[names.index("kind")] < heads[names.index("kind")]
    # Studies of all its kinds teach of each: enough of them for tails that are nearly normal.
    known = Conditioned(looked_up(), stored_spreads(look_up=True))
    far = []
    for kind in ("n-gram", "suffix"):
        y, _ = known.draw(Question(kind, task="chat"), np.random.default_rng(3), 20_000)
        far.append(float(np.mean(np.abs(y - np.median(y)) > 3.0 * np.std(y))))
    assert max(far) < 0.01


def test_a_curve_gives_back_the_law_that_made_it() -> None:
    tokens = tokens_by_gamma(powered(-1.2, 0.4, 7), 7)
    curve = HeadCurve("EAGLE-3", "t", "h", "chat", (3, 5, 7), tuple(tokens[[3, 5, 7]]))
    assert curve.fit == pytest.approx((-1.2, 0.4), abs=0.05)
    ((_, a, c),) = linearised([curve])
    assert a @ np.array([-1.2, 0.4]) == pytest.approx(c, abs=0.3)
    single = HeadCurve("EAGLE-3", "t", "h", "chat", (3,), (float(tokens[3]),))
    both = linearised([single, curve])
    assert [a.shape for _, a, _ in both] == [(1, 2), (2, 2)]
    assert both[1][0] == pytest.approx(curve.fit, rel=1e-12)


def test_a_measured_target_is_surer_than_another_and_its_own_rate_is_inside() -> None:
    kwargs: dict[str, Any] = {"task": "chat", "draws": 4000}
    own = expected_head("EAGLE-3", "Llama-3.1-8B", np.random.default_rng(0), **kwargs)
    other = expected_head("EAGLE-3", "Gemma-3-27B", np.random.default_rng(0), **kwargs)
    spread = [np.subtract(*np.quantile(k.alpha, [0.95, 0.05])) for k in (own, other)]
    assert spread[0] < spread[1]
    assert "this very target" in own.given
    # Two heads of that target on mtbench: 2.898 and 2.931 tokens a round at gamma 3.
    low, middle, high = np.quantile(tokens_by_gamma(own.law, 3)[..., 3], [0.05, 0.5, 0.95])
    assert low < 2.898 < 2.931 < high
    # That study unseen, the kind and the others of the target say less: it moves the answer by
    # 40 % of the way and more, as far as studies of one pair agree (`validation.heads`).
    blind = expected_head("EAGLE-3", "Llama-3.1-8B", np.random.default_rng(0), **kwargs,
                          unseen="sgl-project/specforge")  # fmt: skip
    before = np.median(tokens_by_gamma(blind.law, 3)[..., 3])
    assert 0.4 * (2.91 - before) < middle - before < 2.91 - before
    assert middle > np.median(tokens_by_gamma(other.law, 3)[..., 3])


def test_code_is_accepted_more_than_chat_and_a_long_context_less() -> None:
    def alpha(**asked: Any) -> np.ndarray:
        rng = np.random.default_rng(2)
        known = expected_head("EAGLE-3", "Gemma-3-27B", rng, **asked)
        return np.quantile(known.alpha, [0.05, 0.5, 0.95])

    code, chat = alpha(task="code"), alpha(task="chat")
    assert code[1] > chat[1] + 0.03
    assert (alpha(task="chat", context=4000.0) == chat).all()
    long = alpha(task="chat", context=32000.0)
    assert long[1] < chat[1]
    assert long[2] - long[0] > chat[2] - chat[0]
    notes = expected_head("EAGLE-3", "Gemma-3-27B", np.random.default_rng(0), context=32e3).notes
    assert any("contexts below 4000" in n for n in notes)


def test_a_release_that_comes_with_its_head_is_known_within_bounds() -> None:
    known = expected_head("MTP", "DeepSeek-V3", np.random.default_rng(0), task="chat")
    low, high = np.quantile(known.alpha, [0.05, 0.95])
    assert low > 0.4
    assert high < 0.97


def test_the_hierarchy_gives_back_spreads_that_made_the_curves() -> None:
    rng = np.random.default_rng(5)
    curves = []
    for target in range(24):
        own = rng.normal(0.0, 0.4)
        for head in range(2):
            tokens = tokens_by_gamma(powered(-1.2 + own + rng.normal(0.0, 0.1), 0.3, 7), 7)
            curves.append(HeadCurve("EAGLE-3", f"t{target}", f"h{head}", "chat", (3, 7),
                                    tuple(tokens[[3, 7]]), source=f"s{target}"))  # fmt: skip
    found = sample_spreads(curves, np.random.default_rng(1), draws=34, steps=(10, 20))
    total = dict(zip(SPREADS, np.median(found, axis=0), strict=True))
    names = ("target", "target_task", "study", "study_task")
    between = np.sqrt(sum(total[n] ** 2 for n in names))
    assert between == pytest.approx(0.4, abs=0.15)
    assert total["setting"] < 0.2


def test_predicted_speedups_of_an_eagle3_head_hold_the_measured_ones(
    capsys: pytest.CaptureFixture[str],
) -> None:
    # One H100, vLLM 0.10, gamma 3 on GSM8K by batch: rows SDB-002, 004, 006 and 008.
    for batch, measured in ((1, 1.754), (16, 1.702), (64, 1.488), (128, 1.223)):
        found = answer(capsys, *CALL, "--draft", "EAGLE3", "--task", "math", "--context", "500",
                       "--batch", str(batch))  # fmt: skip
        assert found["low_by_gamma"][3] < measured < found["high_by_gamma"][3]
        assert found["pair"]["head"] == "EAGLE-3"
        assert found["pair"]["same_vocabulary"] is True
        assert found["parts"]["acceptance"]["kind"] == "predicted"


def test_a_head_takes_a_measured_rate_and_says_where_it_does_not_fit(
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = answer(capsys, *CALL, "--draft", "EAGLE", "--alpha", "0.7")
    assert found["parts"]["acceptance"]["kind"] == "stated"
    assert found["gamma"] > 0
    for more, words in (
        (("--draft", "NoSuchHead"), "draft must be a name of the table"),
        (("--draft", "EAGLE3", "--alpha", "0.7", "--alpha-tokens", "50"), "--alpha-tokens"),
    ):
        with pytest.raises(SystemExit) as stop:
            run([*CALL, *more])
        out, err = capsys.readouterr()
        assert (stop.value.code, out, err.count("\n")) == (2, "", 1)
        assert words in err


@pytest.mark.parametrize("draft", ["EAGLE3", "DFlash", "n-gram", "PARD-Llama-3.2-1B", "LayerSkip"])
def test_a_drafter_of_any_kind_has_a_crossover_and_a_rank(
    draft: str, capsys: pytest.CaptureFixture[str]
) -> None:
    pair = ("--target", "Llama-3.1-8B", "--draft", draft, "--device", "L40S", "--task", "chat")
    assert answer(capsys, "crossover", *pair)["batch"]
    assert answer(capsys, "rank", *pair)["order"][0]["draft"] == draft
