"""The sweep: turns in balance, every point once, what it took, and its table."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

import howspec  # noqa: E402
from howspec.calibrate.measure import sweep as module  # noqa: E402
from howspec.calibrate.measure.sweep import (  # noqa: E402
    SweepPlan,
    measure_sweep,
    order_prompts,
    plan_turns,
)
from howspec.calibrate.measure.tables import sweep_table  # noqa: E402
from howspec.calibrate.records import Journal, Record, read_record  # noqa: E402
from small_models import llama  # noqa: E402

SIZES: dict[str, Any] = {"vocab_size": 30, "hidden_size": 8, "heads": 1, "sharpness": 1.0}
TARGET, DRAFTS = llama(0, **SIZES), {"x": llama(1, **SIZES), "y": llama(2, **SIZES)}
PROMPTS = {"a": [[1, 2], [3, 4, 5]], "b": [[6], [7, 8]]}
PLAN = SweepPlan(
    gammas=(1, 2), assisted_gammas=(2,), heuristic_gamma=3, new_tokens=10, batches=(1, 3),
    assisted_blocks=2, plain_repeats=2, gammas_by_draft={"y": (4,)},
)  # fmt: skip


def _journal(folder: Path) -> Journal:
    return Journal.open(
        folder, "sweep", kind="sweep", settings=asdict(PLAN), provenance={"seed": 0}
    )


def test_a_block_holds_every_setting_once_and_plain_in_between() -> None:
    plan = SweepPlan(plain_repeats=4, assisted_blocks=4)
    drafts = [f"d{i}" for i in range(12)]
    domains = ["a", "b", "c", "d"] * 4
    turns = plan_turns(plan, drafts, domains)
    assert len({tuple(t.key().values()) for t in turns}) == len(turns)
    blocks = [list(ts) for _, ts in itertools.groupby(turns, key=lambda t: t.prompt)]
    assert [b[0].prompt for b in blocks] == list(range(16))
    for block in blocks:
        methods = Counter(t.method for t in block)
        assert methods["sps"] == 12 * 7
        assert methods["plain"] == 4
        places = [i for i, t in enumerate(block) if t.method == "plain"]
        quarters = [4 * i // (len(block) + 1) for i in places]
        assert max(np.diff([0, *places, len(block)])) < 0.6 * len(block)
        assert len(set(quarters)) >= 2
    assisted = {t.prompt for t in turns if t.method == "asg_constant"}
    assert len(assisted) == 4
    assert {domains[i] for i in assisted} == set("abcd")
    orders = {tuple((t.draft, t.gamma) for t in b if t.method == "sps") for b in blocks}
    assert len(orders) == 16
    assert plan_turns(plan, drafts, domains) == turns


def test_prompts_take_turns_by_domain() -> None:
    ordered = order_prompts({"a": [[1], [2], [3]], "b": [[4]]})
    assert ordered == [("a", [1]), ("b", [4]), ("a", [2]), ("a", [3])]
    with pytest.raises(ValueError, match=r"prompt 1 \(domain b\) is empty"):
        order_prompts({"a": [[1]], "b": [[]]})
    with pytest.raises(ValueError, match="at least one prompt"):
        order_prompts({})


def test_every_turn_is_measured_once_with_all_that_it_took(tmp_path: Path) -> None:
    ticks = itertools.count()
    with _journal(tmp_path) as journal:
        assert measure_sweep(
            TARGET, DRAFTS, journal, prompts=PROMPTS, plan=PLAN, clock=lambda: float(next(ticks))
        )
        path = journal.finish()
    points = read_record(path).points
    settings = Counter((p["method"], p["draft"], p["gamma"], p["batch"]) for p in points)
    # Four prompts one by one and one batch of three.
    assert settings["plain", None, 0, 1] == 8
    assert settings["plain", None, 0, 3] == 2
    assert settings["sps", "x", 1, 1] == settings["sps", "y", 4, 1] == 4
    assert settings["sps", "y", 4, 3] == 1
    assert settings["asg_constant", "x", 2, 1] == settings["asg_heuristic", "y", 3, 1] == 2
    assert settings["plain_generate", None, 0, 1] == 4
    assert ("sps", "y", 1, 1) not in settings
    assert ("asg_constant", "x", 2, 3) not in settings
    for p in points:
        assert p["tokens"] == (10 if p["batch"] == 1 else [10, 10, 10])
        assert p["domain"] == "ab"[p["prompt"] % 2]
        if p["method"] == "sps":
            rounds = p["rounds"] if p["batch"] == 1 else sum(p["rounds"])
            assert len(p["accepted"]) == rounds
            names = ("first_draft_s", "draft_s", "draw_s", "verify_s", "rule_s", "other_s")
            assert ("draft_s" in p) == (p["gamma"] > 1)
            parts = sum(p.get(k, 0.0) for k in names)
            # The clock of this test moves a second a reading: two lie outside the marks.
            assert p["decode_s"] == parts + 2.0
            assert p["total_s"] == p["prefill_s"] + p["decode_s"]
        if p["method"].startswith("asg"):
            assert len(p["accepted"]) == len(p["drafted"]) == p["rounds"]
            assert sum(p["accepted"]) + p["rounds"] == 10
        if p["method"] == "plain":
            assert p["total_s"] == 2.0
    warm = Counter(
        (p["method"], p["draft"], p["gamma"], p["batch"]) for p in points if "warmup_s" in p
    )
    assert set(warm) == set(settings)
    assert set(warm.values()) == {1}


def test_a_sweep_cut_off_anywhere_goes_on_to_the_same_turns(tmp_path: Path) -> None:
    """Times differ from run to run; what was drawn does not."""

    def drawn(points: list[dict[str, Any]]) -> set[str]:
        kept = [{k: v for k, v in p.items() if not k.endswith("_s")} for p in points]
        return {json.dumps(p, sort_keys=True) for p in kept}

    with _journal(tmp_path / "whole") as journal:
        measure_sweep(TARGET, DRAFTS, journal, prompts=PROMPTS, plan=PLAN)
        whole = drawn(journal.points)
        count = len(journal.points)
    rng = np.random.default_rng(1)
    done, calls = False, 0
    while not done:
        with _journal(tmp_path / "pieces") as journal:
            left = iter([1.0] * int(rng.integers(3, 25)))
            done = measure_sweep(
                TARGET, DRAFTS, journal, prompts=PROMPTS, plan=PLAN,
                seconds_left=lambda left=left: next(left, -1.0),
            )  # fmt: skip
            points = list(journal.points)
        calls += 1
    assert calls >= 3
    assert len(points) == count
    assert drawn(points) == whole


def test_out_of_memory_is_recorded_and_the_rest_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = module.decode_speculative

    def greedy(target: Any, draft: Any, prompts: Any, **more: Any) -> Any:
        if more["gamma"] == 2 and target.batch == 3:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried 9 bytes")
        return real(target, draft, prompts, **more)

    monkeypatch.setattr(module, "decode_speculative", greedy)
    with _journal(tmp_path) as journal:
        assert measure_sweep(TARGET, DRAFTS, journal, prompts=PROMPTS, plan=PLAN)
        failed = [p for p in journal.points if "error" in p]
    assert [(p["draft"], p["gamma"], p["batch"], p["error"]) for p in failed] == [
        ("x", 2, 3, "out of memory")
    ]


def test_any_other_error_ends_the_sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*given: Any, **more: Any) -> Any:
        raise RuntimeError("a kernel failed")

    monkeypatch.setattr(module, "decode_speculative", broken)
    with _journal(tmp_path) as journal, pytest.raises(RuntimeError, match="a kernel failed"):
        measure_sweep(TARGET, DRAFTS, journal, prompts=PROMPTS, plan=PLAN)


def test_the_table_compares_with_plain_decoding_of_the_same_blocks() -> None:
    points: list[dict[str, Any]] = []
    for prompt, slow in enumerate((1.0, 3.0, 2.0)):
        common = {"batch": 1, "prompt": prompt, "repeat": 0}
        points += [
            {"draft": None, "method": "plain", "gamma": 0, **common, "total_s": 8.0 * slow},
            {"draft": None, "method": "plain", "gamma": 0, **common, "repeat": 1,
             "total_s": 12.0 * slow},
            {"draft": "x", "method": "sps", "gamma": 2, **common, "total_s": 5.0 * slow,
             "rounds": 4, "accepted": [1, 2, 0, 1]},
            {"draft": "x", "method": "sps", "gamma": 3, **common, "total_s": 4.0 * slow,
             "rounds": 2, "accepted": [3, 1]},
        ]  # fmt: skip
    points.append({**points[-1], "repeat": 1, "error": "out of memory"})
    rows = sweep_table(Record("sweep", {}, {}, tuple(points)))
    found = {(r.method, r.gamma): r for r in rows}
    assert rows[0].method == "plain"
    assert found["sps", 2].speedup == pytest.approx(2.0)
    assert found["sps", 3].speedup == pytest.approx(2.5)
    assert found["sps", 2].spread == pytest.approx(0.0, abs=1e-12)
    assert found["sps", 2].tokens_per_round == pytest.approx(2.0)
    assert found["sps", 3].tokens_per_round == pytest.approx(3.0)
    assert found["plain", 0].latency_s == pytest.approx(20.0)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A target and a draft with padded logits, as the hub lays them out."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    root = tmp_path_factory.mktemp("models")
    words = Tokenizer(models.WordLevel({f"w{i}": i for i in range(30)}, unk_token="w0"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=words)
    padded = llama(3, **SIZES)
    padded.resize_token_embeddings(32, mean_resizing=False)
    for name, model in (("target", TARGET), ("draft", padded)):
        model.save_pretrained(root / name)
        tokenizer.save_pretrained(root / name)
    (root / "prompts.jsonl").write_text(
        "".join(json.dumps({"q": f"w{i} w{i + 1}", "domain": "ab"[i % 2]}) + "\n" for i in range(4))
    )
    return root


def _call(capsys: pytest.CaptureFixture[str], verb: str, *arguments: str) -> str:
    from howspec.cli.calibrate import calibrate

    calibrate.main([verb, *arguments], standalone_mode=False)
    return capsys.readouterr().out


def _arguments(folders: Path, out: Path, *more: str) -> list[str]:
    return [
        "--target", str(folders / "target"), "--draft", str(folders / "draft"),
        "--prompts", str(folders / "prompts.jsonl"), "--field", "q", "--new-tokens", "12",
        "--device", "cpu", "--out", str(out), *more,
    ]  # fmt: skip


def test_the_command_measures_a_sweep_and_prints_its_speed_ups(
    folders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = ["--gamma-max", "2", "--assisted", "0", "--plain-repeats", "1", "--json"]
    first = json.loads(
        _call(capsys, "sweep", *_arguments(folders, tmp_path, *more, "--stage-seconds", "0"))
    )
    assert not first["complete"]
    answer = json.loads(_call(capsys, "sweep", *_arguments(folders, tmp_path, *more)))
    assert answer["complete"]
    assert [(r["method"], r["gamma"], r["blocks"]) for r in answer["sweep"]] == [
        ("plain", 0, 4), ("sps", 1, 4), ("sps", 2, 4),
    ]  # fmt: skip
    assert "logits are cut to 30" in answer["notes"][0]
    there = howspec.measure_sweep(
        str(folders / "target"), [str(folders / "draft")], out=tmp_path, field="q",
        prompts=folders / "prompts.jsonl", new_tokens=12, gamma_max=2, assisted=0,
        plain_repeats=1, device="cpu",
    )  # fmt: skip
    assert {**there.to_json(), "inputs": answer["inputs"]} == answer
    table = _call(capsys, "sweep", *_arguments(folders, tmp_path, *more[:-1]))
    assert "K = 2" in table
    assert "sweep.json" in table
    with pytest.raises(ValueError, match=r"settings\.seed is 1 here and 0 there"):
        _call(capsys, "sweep", *_arguments(folders, tmp_path, *more, "--seed", "1"))


def test_the_command_measures_acceptance_and_compares_both_ways(
    folders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = ["--gamma", "3", "--temperature", "1", "--temperature", "0"]
    answer = json.loads(
        _call(capsys, "acceptance", *_arguments(folders, tmp_path, *more, "--json"))
    )
    assert answer["complete"]
    assert [(r["draft"], r["temperature"], r["requests"]) for r in answer["acceptance"]] == [
        ("draft", 1.0, 4), ("draft", 0.0, 4),
    ]  # fmt: skip
    row = answer["acceptance"][0]
    assert 1.0 <= row["tokens_per_round"] <= 4.0
    assert 0.0 < row["mean_overlap"] < 1.0
    assert row["rounds_against_overlap"]["requests"] == 4
    there = howspec.measure_acceptance(
        str(folders / "target"), [str(folders / "draft")], out=tmp_path, field="q",
        prompts=folders / "prompts.jsonl", new_tokens=12, gamma=3, temperature=(1.0, 0.0),
        device="cpu",
    )  # fmt: skip
    assert {**there.to_json(), "inputs": answer["inputs"]} == answer
    table = _call(capsys, "acceptance", *_arguments(folders, tmp_path, *more))
    assert "walked" in table
    assert "acceptance.json" in table


def test_the_command_says_what_is_missing(
    folders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ValueError, match="a target and at least one draft are needed"):
        _call(capsys, "sweep", "--out", str(tmp_path), "--target", str(folders / "target"))
    with pytest.raises(ValueError, match="a family brings its own target"):
        _call(capsys, "sweep", "--out", "x", "--target", "t", "--family", "f")
    given = _arguments(folders, tmp_path)
    given[given.index("q")] = "prompt"
    with pytest.raises(ValueError, match="has no field 'prompt', it has q, domain"):
        _call(capsys, "acceptance", *given)
