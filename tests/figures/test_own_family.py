"""The paper's figures on a family that is not bundled: made from laws and noise, or renamed."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import howspec as hs
import numpy as np
import pytest
from howspec.calibrate.library.own import load_campaign
from howspec.calibrate.records import Record, write_record
from howspec.cli.main import run
from howspec.figures.family import parameters_of
from howspec.figures.style import inches
from howspec.theory import AffineCost, DepthAcceptance, tokens_by_gamma

SIZES = {"Nova-6B": 6 / 12, "Nova-3B": 3 / 12, "Nova-1B": 1 / 12, "Nova-300M": 0.3 / 12}
GAMMAS = (1, 2, 3, 5)
NOISE = 0.01


def true_speedup(scale: float) -> Any:
    acceptance = DepthAcceptance(1.0 - 0.02 - 0.12 * scale**-0.25, 0.97)
    cost = AffineCost(0.05 + 0.9 * scale, verify_slope=0.01, overhead=0.08)
    return np.asarray(tokens_by_gamma(acceptance, 5) / cost.round_time(5))


def sweep_file(path: Path, *, plain: bool = True) -> Path:
    """Speeds of four drafts, from one law of size with a percent of noise."""
    rng = np.random.default_rng(5)
    lines = ["target,draft,k,tok/s", *(["Nova-12B,,0,30.0"] if plain else [])]
    for name, scale in SIZES.items():
        speed = 30.0 * true_speedup(scale)
        lines += [
            f"Nova-12B,{name},{k},{speed[k] * np.exp(NOISE * rng.standard_normal()):.3f}"
            for k in GAMMAS
        ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_a_sweep_of_ones_own_gives_figures_tests_and_a_table(tmp_path: Path) -> None:
    source, out = sweep_file(tmp_path / "nova.csv"), tmp_path / "out"
    answer = hs.family(sweep=str(source), out=out, width="3.03in", font_size=9)
    assert {p.name for p in answer.files} == {
        f"{stem}{rest}"
        for stem in ("latency_grid", "draft_scale", "main_table")
        for rest in ((".pdf", ".png", ".csv", "_caption.tex") if stem != "main_table" else
                     (".tex", ".csv", "_caption.tex"))
    }  # fmt: skip
    assert [len(t.points) for t in answer.found.tests] == [16, 16]
    assert all(np.abs(t.errors()).mean() < 4 * NOISE for t in answer.found.tests)
    for row in answer.found.rows:
        truth = true_speedup(SIZES[row.draft])
        assert row.speedup.estimate == pytest.approx(truth.max(), rel=3 * NOISE)
        assert int(truth[: max(GAMMAS) + 1].argmax()) in row.window or len(row.window) > 1
    turn = answer.found.best_scale
    assert turn is not None
    scales = np.geomspace(0.01, 1.0, 300)
    best = scales[np.argmax([true_speedup(s).max() for s in scales])]
    assert turn.low / 1.5 < best < turn.high * 1.5
    caption = (out / "latency_grid_caption.tex").read_text(encoding="utf-8")
    assert "Nova-12B" in caption
    assert r"nova.csv" in caption
    with (out / "main_table.csv").open(encoding="utf-8", newline="") as file:
        assert [r["draft"] for r in csv.DictReader(file)] == list(SIZES)
    assert "Nova-300M &" in (out / "main_table.tex").read_text(encoding="utf-8")
    assert "files in" in str(answer)


def test_the_command_line_answers_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = sweep_file(tmp_path / "nova.csv")
    more = ["--sweep", str(source), "--out", str(tmp_path / "a"), "--width", "77mm"]
    with pytest.raises(SystemExit) as stop:
        run(["figures", *more, "--only", "main_table"])
    assert stop.value.code == 0
    written = [Path(line).name for line in capsys.readouterr().out.splitlines()]
    assert written == ["main_table.csv", "main_table.tex", "main_table_caption.tex"]
    asked = hs.family(
        sweep=str(source), out=tmp_path / "b", only=["main_table"], tests=False, width="77mm"
    )
    for name in written:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert asked.to_json()["schema"] == "howspec.family"
    json.dumps(asked.to_json(), allow_nan=False)


def renamed(record: Record, kept: set[str]) -> Record:
    """The part of a bundled record on some models, under other names."""

    def other(name: Any) -> Any:
        return name.replace("draft-", "nova-") if isinstance(name, str) else name

    roles = ("model", "draft", "target")
    points = tuple(
        {k: other(v) if k in roles else v for k, v in p.items()}
        for p in record.points
        if {p.get(r) for r in roles} - {None} <= kept
    )
    provenance = dict(record.provenance)
    if isinstance(provenance.get("models"), dict):
        provenance["models"] = {
            other(n): {**m, "name": other(n)} for n, m in provenance["models"].items() if n in kept
        }
    return replace(record, points=points, provenance=provenance)


def test_records_of_ones_own_need_no_family_beside_them(tmp_path: Path) -> None:
    campaign = load_campaign("cpu")
    kept = {"target-8m", "draft-910k", "draft-430k", "draft-45k"}
    place = tmp_path / "run" / "records"
    place.mkdir(parents=True)
    for kind in ("costs", "acceptance", "sweep"):
        write_record(renamed(getattr(campaign, kind), kept), place / f"{kind}.json")
    answer = hs.family(records=str(tmp_path / "run"), out=tmp_path / "out", only=["main_table"])
    assert answer.found.target == "target-8m"
    assert [r.draft for r in answer.found.rows] == ["nova-910k", "nova-430k", "nova-45k"]
    assert answer.found.given == "predicted"
    (test,) = answer.found.tests
    assert len(test.points) == 21
    assert np.abs(test.errors()).mean() < 0.08
    caption = (tmp_path / "out" / "main_table_caption.tex").read_text(encoding="utf-8")
    assert "temperature 1, prompts of 64 tokens, 96 new tokens" in caption


def test_parameters_are_found_by_name() -> None:
    assert parameters_of("Qwen3-0.6B") == pytest.approx(0.6e9, rel=0.3)
    assert parameters_of("my-1.5b") == 1.5e9
    assert parameters_of("nova-300M-v2") == 3e8
    assert parameters_of("nova") is None


def test_what_does_not_suffice_is_one_line(tmp_path: Path) -> None:
    source = str(sweep_file(tmp_path / "relative.csv", plain=False))
    for call, line in (
        ({}, "measurements must be one of a sweep and a folder of records"),
        ({"sweep": source, "records": "x"}, "must be one of a sweep and a folder"),
        ({"sweep": source}, "needs plain decoding .* relative to gamma 1"),
        ({"records": str(tmp_path)}, "holds no record costs.json"),
        ({"records": str(tmp_path), "target": "x"}, "target goes with a sweep"),
        ({"sweep": source, "width": "wide"}, "width must be a length such as 3.03in"),
        ({"sweep": "paper_bloom_grid", "only": ["x"], "target": "x"}, "target must be one of"),
    ):
        with pytest.raises(ValueError, match=line):
            hs.family(out=tmp_path / "out", **call)  # type: ignore[arg-type]


def test_lengths_are_read_in_the_units_of_venues() -> None:
    assert inches("3.03in") == inches(3.03) == 3.03
    assert inches("25.4 mm") == pytest.approx(1.0)
    assert inches("2.54cm") == pytest.approx(1.0)
    assert inches("72.27pt") == pytest.approx(1.0)
    for wrong in ("", "in", "3.03 ft", "1.2.3in", "-3in", "."):
        with pytest.raises(ValueError, match="width must be a length"):
            inches(wrong)
