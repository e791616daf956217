"""What holds for every test: its marks, its examples, its threads and what a warning means.

Marks are read from the code (support/needs.py): `torch` and `process`. `--quick` leaves both out
and makes torch unimportable and processes unstartable, so that a test without its mark fails. It
leaves out what was measured to compute for long too (support/seconds.py), and draws fewer examples.

Property tests draw the same 60 examples in every run, so that a green tree stays green; set
HOWSPEC_EXPLORE=1 to draw 400 new ones, which is how counterexamples are hunted. HOWSPEC_LOCKED=1,
which `make test` sets, says that the versions are those of the lock: then every warning that
howspec or a test causes is an error, since no release of a dependency can bring a new one.
"""

from __future__ import annotations

import gc
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.abc import MetaPathFinder
from typing import TYPE_CHECKING, NoReturn

import pytest
from hypothesis import settings
from needs import needs_of
from seconds import Seconds, is_long

# Before NumPy and torch are imported. Every worker has one core, and threads of BLAS that wait for
# each other there take up to thirty times as long.
for _threads in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_threads, "1")

settings.register_profile("repeat", derandomize=True, deadline=None, database=None, max_examples=60)
settings.register_profile("quick", settings.get_profile("repeat"), max_examples=25)
settings.register_profile(
    "explore", max_examples=400, deadline=None, database=None, print_blob=True
)
settings.load_profile("explore" if os.environ.get("HOWSPEC_EXPLORE") else "repeat")

if TYPE_CHECKING:
    from playwright.sync_api import Browser

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")

CAUSED_HERE = (
    "error:::(howspec|test_)",
    "error::FutureWarning:torch.nn.modules.module",  # calls a model's forward for howspec
    "error::ResourceWarning",
    "error::pytest.PytestUnraisableExceptionWarning",
    "error::pytest.PytestUnhandledThreadExceptionWarning",
)


class WithoutTorch(MetaPathFinder):
    """Says that torch is not installed."""

    def find_spec(self, fullname: str, *_: object) -> None:
        if fullname == "torch":
            raise ModuleNotFoundError("torch is left out of a quick run", name="torch")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The browser that is installed, without a window; the test is skipped where there is none."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip(f"no browser is installed (looked for {', '.join(BROWSERS)})")
    driver = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with driver.sync_playwright() as started:
        # Nobody else's pages are opened, and root has no sandbox.
        made = started.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield made
        made.close()


@pytest.fixture(scope="session", autouse=True)
def plain_fonts() -> Iterator[None]:
    """Fonts of pictures without their tables of layout, which take a third of writing a PDF."""
    from fontTools.subset import Options

    unused = [*Options._drop_tables_default, "GDEF", "GPOS", "GSUB"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Options, "_drop_tables_default", unused)
        yield


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--quick", action="store_true", help="none that needs torch, a process or long"
    )
    parser.addoption("--seconds", action="store_true", help="measure which tests compute for long")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "torch: runs models")
    config.addinivalue_line("markers", "process: starts processes")
    config.addinivalue_line("markers", "long: computes for long")
    config.pluginmanager.register(Seconds(config))
    if os.environ.get("HOWSPEC_LOCKED"):
        for line in CAUSED_HERE:
            config.addinivalue_line("filterwarnings", line)
    if config.getoption("--quick"):
        config.option.markexpr = "not torch and not process and not long"
        settings.load_profile("quick")
        sys.meta_path.insert(0, WithoutTorch())


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """What is imported and collected stays: nothing looks for garbage among it, then or later."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_itemcollected(item: pytest.Item) -> None:
    for mark in needs_of(item.path).get(getattr(item, "originalname", item.name), ()):
        item.add_marker(mark)
    if is_long(item):
        item.add_marker("long")


def _refused(*_: object, **__: object) -> NoReturn:
    raise AssertionError("this test starts a process: name it as support/needs.py looks for it")


@pytest.fixture(autouse=True)
def _no_process_without_its_mark(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    if request.config.getoption("--quick"):
        monkeypatch.setattr(subprocess, "Popen", _refused)
