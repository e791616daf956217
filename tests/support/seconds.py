"""Which tests compute for long: seconds.txt, as measured, and the plugin that measures and uses it.

`--quick` leaves them to the whole run; `--seconds`, in a whole run, measures them anew.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from functools import cache
from pathlib import Path
from time import process_time

import pytest

LEAST = 0.2  # Seconds of one core from which a test, or a fixture, computes for long.
MOST = 10.0  # A test of a quick run fails above them: no machine is that much slower.
FILE = Path(__file__).with_name("seconds.txt")
HEAD = f"# Seconds of one core of tests and fixtures that take {LEAST} or more: `make seconds`.\n"


@cache
def long_ones() -> dict[str, float]:
    """Seconds by the key of a test or of a fixture."""
    lines = FILE.read_text(encoding="utf-8").splitlines()
    rows = (line.split(" ", 1) for line in lines if not line.startswith("#"))
    return {key: float(seconds) for seconds, key in rows}


def key_of(nodeid: str) -> str:
    """The test's file, name and the beginning of its case, the rest of which may tell an answer."""
    name, bracket, case = nodeid.removeprefix("tests/").partition("[")
    return (name + bracket + case.encode("unicode_escape").decode()[:40]).rstrip()


def is_long(item: pytest.Item) -> bool:
    """Whether the test, or a fixture that it uses, was measured to compute for long."""
    file = key_of(item.nodeid).split("::")[0]
    names = (f"{file}::{name}" for name in getattr(item, "fixturenames", ()))
    return any(name in long_ones() for name in (key_of(item.nodeid), *names))


def written(spent: Iterable[tuple[str, float]]) -> str:
    """The text of seconds.txt: the most of each key, where it is long, in the order of the keys."""
    most: dict[str, float] = {}
    for key, seconds in spent:
        most[key] = max(seconds, most.get(key, 0.0))
    rows = [f"{seconds:.1f} {key}\n" for key, seconds in sorted(most.items()) if seconds >= LEAST]
    return HEAD + "".join(rows)


class Seconds:
    """Measures every test and fixture, in the process that runs it, and tells the one that asks."""

    def __init__(self, config: pytest.Config) -> None:
        self.quick, self.measure = config.getoption("--quick"), config.getoption("--seconds")
        self.fixtures: list[tuple[str, float]] = []
        self.spent: list[tuple[str, float]] = []

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(
        self, fixturedef: pytest.FixtureDef[object]
    ) -> Generator[None, object, object]:
        start = process_time()
        value = yield
        key = f"{key_of(fixturedef.baseid)}::{fixturedef.argname}"
        self.fixtures.append((key, process_time() - start))
        return value

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        start = process_time()
        value = yield
        spent = process_time() - start
        item.user_properties += [*self.fixtures, (key_of(item.nodeid), spent)]
        self.fixtures.clear()
        if self.quick and spent > MOST:
            pytest.fail(f"took {spent:.1f} s of one core: `make seconds` names it in {FILE.name}")
        return value

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" and not {"torch", "process"} & set(report.keywords):
            self.spent += [(str(key), float(str(spent))) for key, spent in report.user_properties]

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.measure:
            FILE.write_text(written(self.spent), encoding="utf-8")
        slow = sorted(((s, key) for key, s in self.spent if s > 2 * LEAST), reverse=True)
        if self.quick and slow:
            terminalreporter.write_line(f"longer than {2 * LEAST:g} s of one core, in a quick run:")
            for seconds, key in slow:
                terminalreporter.write_line(f"{seconds:.1f} {key}")
