"""The first minutes with the command: version, help, spellings, and errors in one line."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import howspec
import pytest
from command import call
from howspec.cli.calibrate import calibrate
from howspec.cli.main import FORMER, VERBS, application

ROOT = Path(__file__).resolve().parents[2]
EVERY = (*((verb,) for verb in VERBS), *(("calibrate", name) for name in calibrate.verbs))


def _text(verb: tuple[str, ...]) -> str:
    return " ".join(verb)


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    stated = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert f'\nversion = "{howspec.__version__}"\n' in stated
    assert call(capsys, "--version") == (0, f"howspec {howspec.__version__}\n", "")


def test_a_name_that_the_package_does_not_have_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'versoin'"):
        howspec.versoin  # noqa: B018


@pytest.mark.parametrize("path", ["installed", "linked"])
def test_python_m_howspec_is_the_command(path: str, tmp_path: Path) -> None:
    script = "import runpy, sys; sys.argv[1:] = ['--version']; "
    if path == "linked":  # the checkout under the name howspec, without an installation
        (tmp_path / "howspec").symlink_to(ROOT, target_is_directory=True)
        script += f"sys.path.insert(0, {str(tmp_path)!r}); "
    script += "runpy.run_module('howspec', run_name='__main__')"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"howspec {howspec.__version__}\n"


@pytest.mark.parametrize("verb", EVERY, ids=_text)
def test_every_verb_has_short_help_in_full_an_example_and_json(
    verb: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, _ = call(capsys, *verb, "-h")
    assert status == 0
    words = " ".join(out.split())
    assert f"Example: howspec {_text(verb)}" in words or f"Examples: howspec {_text(verb)}" in words
    assert "--json" in words
    assert "--help" in words


def examples(*verb: str) -> list[list[str]]:
    """The examples in the help of a verb, each the words after `howspec`."""
    made = calibrate.made(verb[1]) if len(verb) > 1 else application().made(verb[0])
    parts = (made.help or "").split("\n\n")
    return [shlex.split(part)[1:] for part in parts if part.startswith("howspec ")]


@pytest.mark.parametrize("verb", EVERY, ids=_text)
def test_every_example_of_the_help_has_options_and_values_that_the_verb_takes(
    verb: tuple[str, ...],
) -> None:
    """Also of verbs that measure, train or draw for minutes."""
    found = examples(*verb)
    assert found
    for words in found:
        command = application()
        given = words[: words.index(">")] if ">" in words else list(words)
        context = command.make_context("howspec", given)
        for name in verb:
            rest = [*getattr(context, "_protected_args", ()), *context.args]
            found_name, command, rest = command.resolve_command(context, rest)
            assert found_name == name
            context = command.make_context(name, rest, parent=context)
        assert context.params


def test_the_list_of_verbs_is_not_cut(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in ([], ["calibrate"]):
        assert "...\n" not in call(capsys, *arguments)[1].split("\n", 1)[1]


@pytest.mark.parametrize("verb", EVERY, ids=_text)
def test_a_wrong_option_is_one_line_and_with_json_one_object(
    verb: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = call(capsys, *verb, "--bad-option")
    assert (status, out) == (2, "")
    assert err.startswith("howspec: No such option: --bad-option")
    assert err.endswith(f"; see howspec {_text(verb)} --help\n")
    assert err.count("\n") == 1
    status, out, _ = call(capsys, *verb, "--bad-option", "--json")
    assert status == 2
    assert json.loads(out)["error"].startswith("No such option: --bad-option")


def test_a_wrong_value_is_an_object_too(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = call(capsys, "predict", "--alpha", "2", "--cost-ratio", "1", "--json")
    assert status == 2
    message = json.loads(out)["error"]
    assert message.endswith("must be in [0, 1], got 2")
    assert err == f"howspec: {message}\n"


@pytest.mark.parametrize(("verb", "names"), FORMER.items())
def test_former_spellings_are_taken_with_a_notice(
    verb: str, names: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    for old, new in names.items():
        status, _, err = call(capsys, *verb.split(), f"{old}=missing.json")
        assert status == 2
        assert err.splitlines()[0] == f"howspec: {old} is now called {new}"
        assert "No such option" not in err
        assert old not in call(capsys, *verb.split(), "--help")[1].split()


@pytest.mark.parametrize("engine", ["vLLM", "VLLM", "vllm"])
def test_the_case_of_an_engine_does_not_matter(
    engine: str, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ("schedule", "--alpha", "0.7", "--cost-ratio", "0.1", "--engine")
    assert call(capsys, *given, engine) == call(capsys, *given, "vllm")
    given = ("synthetic", "--gamma", "4", "--alpha", "0.7", "--engine")
    assert call(capsys, *given, engine) == call(capsys, *given, "vllm")
    given = ("import", "--example", engine)
    assert call(capsys, *given) == call(capsys, "import", "--example", "vllm")


def test_a_reader_that_stops_early_is_no_error() -> None:
    command = f"{sys.executable} -m howspec formulas | head -n 1"
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"], capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    assert done.stdout.count("\n") == 1


def test_completion_knows_the_verbs_and_their_options() -> None:
    for words, expected in (("howspec cross", "crossover"), ("howspec predict --al", "--alpha")):
        done = subprocess.run(
            [sys.executable, "-m", "howspec"],
            capture_output=True,
            text=True,
            check=False,
            env=os.environ
            | {
                "_HOWSPEC_COMPLETE": "bash_complete",
                "COMP_WORDS": words,
                "COMP_CWORD": str(words.count(" ")),
            },
        )
        assert f"plain,{expected}" in done.stdout.split()


@pytest.mark.parametrize(
    ("login_shell", "file", "settings"),
    [
        ("bash", ".bash_completions/howspec.sh", ".bashrc"),
        ("zsh", ".zfunc/_howspec", ".zshrc"),
        ("fish", ".config/fish/completions/howspec.fish", None),
    ],
)
def test_completion_is_installed_once_and_leaves_the_settings_of_the_shell(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    login_shell: str,
    file: str,
    settings: str | None,
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SHELL", f"/usr/bin/{login_shell}")
    if settings:
        (tmp_path / settings).write_text("alias ll='ls -l'", encoding="utf-8")
    for _ in range(2):
        status, out, _ = call(capsys, "--install-completion")
        assert (status, file in out) == (0, True)
    assert call(capsys, "--show-completion") == (0, (tmp_path / file).read_text("utf-8"), "")
    if settings:
        first, *rest = (tmp_path / settings).read_text("utf-8").splitlines()
        assert first == "alias ll='ls -l'"
        assert len([line for line in rest if line]) == 1
    monkeypatch.setenv("SHELL", "/bin/ksh")
    refused = "howspec: SHELL must be bash, zsh, fish for completion, got 'ksh'\n"
    assert call(capsys, "--install-completion") == (2, "", refused)


WITHOUT_TORCH = """
import sys
for name in ("torch", "transformers", "safetensors", "tokenizers", "huggingface_hub"):
    sys.modules[name] = None
from importlib import util
found = util.find_spec
util.find_spec = lambda n, *more: None if sys.modules.get(n, 0) is None else found(n, *more)
"""
CALLED = """
import contextlib, io, json, sys
from howspec.cli.main import run
answers = []
for arguments in sys.argv[1:]:
    err, status = io.StringIO(), 0
    with contextlib.redirect_stderr(err):
        try:
            run(arguments.split())
        except SystemExit as stop:
            status = stop.code
    answers.append((status, err.getvalue(), "torch" in sys.modules))
print(json.dumps(answers))
"""


def called(code: str, verbs: list[str], folder: Path) -> list[tuple[int, str, bool]]:
    """(status, what is said on stderr, whether torch was imported) of verbs, in one process."""
    words = [sys.executable, "-c", code, *verbs]
    done = subprocess.run(words, capture_output=True, text=True, check=True, cwd=folder)
    return [(status, err, torch) for status, err, torch in json.loads(done.stdout)]


def test_without_the_extra_one_line_names_it(tmp_path: Path) -> None:
    verbs = [
        "calibrate costs --target a --out x.json",
        "calibrate acceptance --target a --draft b --out x.json",
        "calibrate sweep --target a --draft b --out x.json",
        "calibrate family --preset tiny --out family",
        "calibrate campaign tiny --out campaign",
    ]
    for verb, (status, err, _) in zip(
        verbs, called(WITHOUT_TORCH + CALLED, verbs, tmp_path), strict=True
    ):
        assert status == 2, verb
        assert err.count("\n") == 1, verb
        assert "pip install 'howspec[calibrate]'" in err, verb


def test_the_plan_of_a_campaign_needs_no_torch(tmp_path: Path) -> None:
    plan = ["calibrate", "campaign", "gpu", "--plan", "--out", str(tmp_path / "out"), "--json"]
    code = WITHOUT_TORCH + "from howspec.cli.main import run; run(sys.argv[1:])"
    command = [sys.executable, "-c", code, *plan]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert len(json.loads(done.stdout)["stages"]) == 6


USAGE = [
    ("costs --target a --draft a --out x.json", "two of the models are named a"),
    ("costs --target GPT2 --out x.json --tokens 0", "--tokens must be a whole number >= 1"),
    ("costs --target GPT2 --out x.json --dtype int3", "dtype must be auto or one of"),
    ("costs --target ./absent --out x.json", "no such folder"),
    ("acceptance --out x.json", "a target and at least one draft are needed"),
    ("acceptance --target a --draft b --gamma 0 --out x.json", "gamma must be"),
    ("sweep --target a --draft b --batch 1,x --out x.json", "--batch must be whole numbers"),
    ("sweep --target a --draft b --prompts no.txt --out x.json", "no.txt: No such file"),
]


def test_usage_errors_come_before_torch(tmp_path: Path) -> None:
    verbs = [f"calibrate {arguments}" for arguments, _ in USAGE]
    for (arguments, message), (status, err, torch) in zip(
        USAGE, called(CALLED, verbs, tmp_path), strict=True
    ):
        assert (status, torch) == (2, False), arguments
        assert message in err, arguments
    assert list(tmp_path.iterdir()) == []
