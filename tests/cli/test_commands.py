"""Options of a verb: types and defaults of the function that it asks, help and reading its own."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import pytest
from howspec.cli.commands import Argument, Asked, Option, asked
from howspec.cli.options import drafts, exact, numbers, one_of, ranges, words


def question(
    target: str,
    drafts: Sequence[str] = (),
    *,
    batch: float | Sequence[float] = 1.0,
    acceptance: float | str | None = None,
    gamma: int | None = None,
    level: float = 0.9,
    online: bool = False,
    out: str | Path,
) -> None:
    """What the options below ask."""


OPTIONS = {
    "target": Argument("The target."),
    "draft": drafts("Drafts."),
    "batch": Option("Sequences.", default="1", parse=numbers),
    "acceptance": Option("A rate or a file."),
    "gamma": Option("Tokens."),
    "level": Option("Probability."),
    "online": Option("Look names up."),
    "out": Option("A file.", kind=Path),
    "figure": Option("A picture.", kind=Path),
}


def of(name: str) -> Asked:
    (found,) = asked([name], OPTIONS, inspect.signature(question))
    return found


@pytest.mark.parametrize(
    ("name", "kind", "several", "default"),
    [
        ("target", str, False, inspect.Parameter.empty),
        ("draft", str, True, None),
        ("batch", str, False, "1"),
        ("acceptance", str, False, None),
        ("gamma", int, False, None),
        ("level", float, False, 0.9),
        ("online", bool, False, False),
        ("out", Path, False, inspect.Parameter.empty),
        ("figure", Path, False, None),
    ],
)
def test_an_option_is_what_the_signature_says_unless_it_says_otherwise(
    name: str, kind: type, several: bool, default: object
) -> None:
    found = of(name)
    assert (found.kind, found.several, found.default) == (kind, several, default)
    assert found.needed == found.parameter().required == (default is inspect.Parameter.empty)
    assert isinstance(found.parameter(), click.Argument) == (name == "target")


@pytest.mark.parametrize(
    ("name", "value", "filled"),
    [
        ("draft", ["a,b", "c", "a"], {"drafts": ["a", "b", "c"]}),
        ("draft", None, {}),
        ("batch", "1,8", {"batch": (1.0, 8.0)}),
        ("gamma", 3, {"gamma": 3}),
        ("gamma", None, {"gamma": None}),
    ],
)
def test_what_is_given_fills_the_argument_or_leaves_it_at_its_default(
    name: str, value: object, filled: dict[str, Any]
) -> None:
    given = {name: value}
    of(name).fill(given)
    assert given == filled


def test_texts_are_read_in_one_way_and_errors_name_the_option() -> None:
    assert ranges("1-3,8", "--batch") == (1, 2, 3, 8)
    assert words(" a, b,,a") == ["a", "b"]
    assert (exact("0.5"), exact("a.json"), exact(None)) == (0.5, "a.json", None)
    with pytest.raises(ValueError, match="--batch must be numbers with commas, got '1,x'"):
        of("batch").fill({"batch": "1,x"})
    with pytest.raises(ValueError, match="--gamma has a range that falls: 3-1"):
        ranges("3-1", "--gamma")


def test_one_of_several_options_is_taken_and_two_are_refused() -> None:
    given = {"costs": None, "cost_ratio": 0.1, "gamma": 3}
    assert one_of(given, "--costs", "--cost-ratio") == 0.1
    assert given == {"gamma": 3}
    with pytest.raises(ValueError, match="--costs and --cost-ratio both state costs: give one"):
        one_of({"costs": "a", "cost_ratio": 0.1}, "--costs", "--cost-ratio")
    with pytest.raises(ValueError, match="SOURCE and --acceptance both state acceptance"):
        one_of({"source": "a", "acceptance": "b"}, "SOURCE", "--acceptance")
