"""The lock holds what pyproject.toml asks for, warnings are judged by their cause, tests marked."""

from __future__ import annotations

import ast
import os
import tomllib
import warnings
from importlib import metadata
from pathlib import Path

import pytest
from needs import needs_of
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from seconds import FILE, LEAST, key_of, long_ones, written

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
REQUIREMENTS = [
    Requirement(line)
    for lines in (PROJECT["dependencies"], *PROJECT["optional-dependencies"].values())
    for line in lines
]
BESIDE = {"howspec", "pip", "torch", "uv", "wheel"}  # not of the lock
LOCKED = bool(os.environ.get("HOWSPEC_LOCKED"))


def _pins(name: str) -> dict[str, list[str]]:
    """Versions by name, of every platform and every Python."""
    found: dict[str, list[str]] = {}
    for line in (ROOT / name).read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            pin = Requirement(line)
            found.setdefault(canonicalize_name(pin.name), []).append(str(pin.specifier)[2:])
    return found


@pytest.mark.parametrize("requirement", REQUIREMENTS, ids=str)
def test_what_pyproject_asks_for_is_locked_within_its_bounds(requirement: Requirement) -> None:
    name = canonicalize_name(requirement.name)
    versions = _pins("constraints.txt" if name == "torch" else "lock.txt").get(name)
    assert versions, f"{name} is not locked: run `make lock`"
    assert all(v in requirement.specifier for v in versions)


def test_a_lower_bound_is_all_that_pyproject_asks_for() -> None:
    assert not [str(r) for r in REQUIREMENTS if {s.operator for s in r.specifier} - {">="}]


def test_the_lock_leaves_torch_and_its_build_for_cuda_alone() -> None:
    assert not [n for n in _pins("lock.txt") if n.startswith(("torch", "triton", "nvidia", "cuda"))]
    assert list(_pins("constraints.txt")) == ["torch"]


@pytest.mark.skipif(not LOCKED, reason="other versions than those of the lock may be installed")
def test_every_installed_package_has_its_locked_version() -> None:
    pins = _pins("lock.txt")
    installed = {canonicalize_name(d.metadata["Name"]): d.version for d in metadata.distributions()}
    assert not {n: v for n, v in installed.items() if n not in BESIDE and v not in pins.get(n, [])}


@pytest.mark.parametrize(
    ("category", "module", "fails", "fails_with_the_lock"),
    [
        (FutureWarning, "transformers.cache_utils", False, False),
        (DeprecationWarning, "matplotlib.pyplot", False, False),
        (DeprecationWarning, "howspec.figures.draw", False, True),
        (UserWarning, "howspec.sim.parallel", False, True),
        (FutureWarning, "torch.nn.modules.module", False, True),
        (RuntimeWarning, "scipy.optimize._zeros_py", False, False),
        (RuntimeWarning, "howspec.theory.costs.laws", True, True),
    ],
)
def test_a_warning_fails_a_test_only_where_howspec_causes_it(
    category: type[Warning], module: str, fails: bool, fails_with_the_lock: bool
) -> None:
    def warn() -> None:
        warnings.warn_explicit("as of 9.0", category, "a.py", 1, module=module)

    with warnings.catch_warnings(record=True) as printed:
        if fails_with_the_lock if LOCKED else fails:
            with pytest.raises(category):
                warn()
        else:
            warn()
            assert [w.category for w in printed] == [category]


def test_the_marks_of_a_test_follow_what_its_code_reaches(tmp_path: Path) -> None:
    path = tmp_path / "test_some.py"
    path.write_text(
        "import subprocess\n"
        "import pytest\n"
        "def _started(): return subprocess.run(['true'])\n"
        "@pytest.fixture\n"
        "def server(): return _started()\n"
        "def _model(): from transformers import AutoConfig; return AutoConfig\n"
        "def test_plain(): pass\n"
        "def test_process(server): pass\n"
        "def test_model(): _model()\n"
        "def test_both(server): torch = pytest.importorskip('torch')\n"
    )
    assert {name: set(marks) for name, marks in needs_of(path).items() if "test" in name} == {
        "test_plain": set(),
        "test_process": {"process"},
        "test_model": {"torch"},
        "test_both": {"torch", "process"},
    }
    whole = tmp_path / "test_whole.py"
    whole.write_text("import pytest\ntorch = pytest.importorskip('torch')\ndef test_all(): pass\n")
    assert needs_of(whole)["test_all"] == {"torch"}


def test_long_tests_are_measured_and_leave_most_of_every_room_to_the_quick_run() -> None:
    tests = Path(__file__).parent
    named = {key.partition("[")[0] for key in long_ones()}
    assert FILE.read_text(encoding="utf-8") == written((k, s) for k, s in long_ones().items())
    for room in (p for p in tests.iterdir() if list(p.glob("test_*.py"))):
        names = {
            f"{room.name}/{path.name}::{node.name}"
            for path in room.glob("test_*.py")
            for node in ast.parse(path.read_text(encoding="utf-8")).body
            if isinstance(node, ast.FunctionDef)
        }
        long = {key for key in named if key.startswith(f"{room.name}/")}
        assert long <= names, f"no longer there: {sorted(long - names)}"
        assert len(long) < 0.25 * len(names), f"{room.name}: most tests compute for long"


def test_the_key_of_a_test_is_its_name_and_the_beginning_of_its_case() -> None:
    assert key_of("tests/cli/test_a.py::test_b") == "cli/test_a.py::test_b"
    assert key_of(f"tests/cli/test_a.py::test_b[{'x' * 99}]") == f"cli/test_a.py::test_b[{'x' * 40}"
    rows = [("a.py::test_b", LEAST), ("a.py::test_a[1 2", 7.0), ("a.py::test_a[1 2", 8.0)]
    assert written([*rows, ("a.py::test_c", 0.9 * LEAST)]).splitlines()[1:] == [
        "8.0 a.py::test_a[1 2",
        f"{LEAST} a.py::test_b",
    ]
