"""The command lines of a campaign: plans, refusals, interrupts; the same for the bare module."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from command import call
from howspec.calibrate import campaign
from howspec.calibrate.campaign import RESUME, CampaignRun
from howspec.calibrate.campaign import __main__ as module
from howspec.cli.calibrate import calibrate


def run(*arguments: str) -> Result:
    return CliRunner().invoke(calibrate, list(arguments), terminal_width=150)


def bare(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["campaign", *arguments])
    return module.main()


def test_the_verbs_are_listed_when_none_is_given() -> None:
    done = run()
    assert done.exit_code == 0
    for verb in ("costs", "acceptance", "sweep", "family", "campaign", "show"):
        assert f"  {verb} " in done.stdout


def test_a_plan_is_a_table_or_one_json_object_and_touches_nothing(tmp_path: Path) -> None:
    out = tmp_path / "out"
    table = run("campaign", "gpu", "--out", str(out), "--plan").stdout
    found = json.loads(run("campaign", "gpu", "--out", str(out), "--plan", "--json").stdout)
    assert found["campaign"] == "gpu"
    for stage in found["stages"]:
        assert stage["stage"] in table
        assert stage["what"] in table
    assert "expected in all" in table
    assert "MB, to be carried there" in table
    assert [line for _, line in found["commands"]] == [
        line.strip() for line in table.splitlines() if line.startswith("  ")
    ]
    only = run("campaign", "gpu", "--out", str(out), "--plan", "--json", "--stage", "sweep")
    assert [s["stage"] for s in json.loads(only.stdout)["stages"]] == ["sweep"]
    assert not out.exists()


@pytest.mark.torch  # the command imports it before it looks at the folders
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("huge",), "campaign must be one of cpu, gpu, tiny, got 'huge'"),
        (("tiny", "--stage", "x"), "stage must be one of check, family, costs, acceptance, sweep"),
        (("tiny", "--stages", "0"), "stages must be a whole number >= 1, got 0"),
        (("tiny", "--stage-seconds", "0"), "stage seconds must be in (0, inf), got 0.0"),
        (("tiny", "--call-seconds", "-1"), "call seconds must be in (0, inf), got -1.0"),
        (("tiny", "--text", "/nowhere/at/all"), "--text must be a folder of texts"),
        (("tiny", "--family", "/nowhere/at/all"), "--family must be the folder of a trained"),
    ],
)
def test_bad_input_is_one_line_on_both_command_lines(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    message: str,
) -> None:
    out = tmp_path / "out"
    done = run("campaign", *arguments, "--out", str(out))
    assert isinstance(done.exception, ValueError)
    assert message in str(done.exception)
    if arguments[0] != "huge":  # the parser of the module knows the names
        assert bare(monkeypatch, *arguments, "--out", str(out)) == 2
        printed = capsys.readouterr().err.strip()
        assert printed.startswith("howspec: ")
        assert message in printed
        assert "\n" not in printed
    assert not out.exists()


def test_an_interrupt_says_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*given: Any, **more: Any) -> CampaignRun:
        raise KeyboardInterrupt

    monkeypatch.setattr(campaign, "call_campaign", interrupted)
    monkeypatch.setattr(module, "call_campaign", interrupted)
    told = call(capsys, "calibrate", "campaign", "tiny", "--out", tmp_path)
    assert told == (130, "", f"howspec: {RESUME}\n")
    assert bare(monkeypatch, "tiny", "--out", str(tmp_path)) == 130
    assert capsys.readouterr().err == f"howspec: {RESUME}\n"


def test_options_reach_the_campaign_and_its_end_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[tuple[Any, ...]] = []

    def called(name: str, out: Path, **more: Any) -> CampaignRun:
        options = ("text", "family", "copies", "only", "most", "stage_s", "call_s", "dry_run")
        seen.append((name, out, *(more[o] for o in options)))
        return CampaignRun(False, ("family",), ("sweep",), {"costs.json": 1_500_000})

    monkeypatch.setattr(campaign, "call_campaign", called)
    monkeypatch.setattr(module, "call_campaign", called)
    given = ["--text", "t", "--family", "f", "--records", "r", "--stage", "sweep", "--stages", "2"]
    given += ["--stage-seconds", "60", "--call-seconds", "90", "--dry-run", "--out", str(tmp_path)]
    done = run("campaign", "gpu", *given)
    assert "costs.json: 1.50 MB" in done.stdout
    assert "to do: sweep; run the command again" in done.stdout
    assert bare(monkeypatch, "gpu", *given) == 0
    assert "to do: sweep; run the same command again" in capsys.readouterr().err
    expected = ("gpu", tmp_path, Path("t"), Path("f"), Path("r"), "sweep", 2, 60.0, 90.0, True)
    assert seen == [expected, expected]
    as_json = json.loads(run("campaign", "gpu", *given, "--json").stdout)
    assert as_json == {
        "complete": False,
        "done": ["family"],
        "left": ["sweep"],
        "files": {"costs.json": 1_500_000},
    }


def test_the_log_tells_progress_each_half_minute_with_the_time_left(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now_s = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now_s[0])
    log = module.Log()
    for done in range(0, 50, 10):
        log.report("sweep", done, 100)
        now_s[0] += 20.0
    lines = capsys.readouterr().err.splitlines()
    assert [line.strip() for line in lines] == [
        "40 s  sweep: 20 of 100, 160 s left",
        "80 s  sweep: 40 of 100, 120 s left",
    ]
