"""An answer as one HTML page to hand on: the same parts for every verb, all text escaped."""

from __future__ import annotations

import platform
import re
from collections.abc import Iterator, Mapping
from html import escape
from importlib import resources
from itertools import groupby
from textwrap import dedent
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from .table import Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# The page runs nothing and fetches nothing, whatever stands in a name.
POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_WIDEST = 6.9  # a figure of a page's width fills the report [inch]


class Reported(Protocol):
    """What a page is made of, as every `howspec.answer.Answer` tells it."""

    SCHEMA: ClassVar[str]
    VERSION: ClassVar[int]

    @property
    def notes(self) -> tuple[str, ...]: ...
    @property
    def has_figure(self) -> bool: ...
    def headline(self) -> str: ...
    def blocks(self) -> Iterator[str | Table]: ...
    def ending(self) -> list[str]: ...
    def to_paste(self) -> Iterator[tuple[str, str]]: ...
    def to_json(self) -> Mapping[str, Any]: ...
    def plot(self) -> Figure: ...


def report(answer: Reported, command: str | None = None) -> str:
    """The page. command: what made the answer; by default the same question in Python."""
    found = answer.to_json()
    asked = command or python_call(answer, found)
    return "\n".join((
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(answer.headline())}</title>",
        f"<style>\n{style()}</style>\n</head>\n<body>\n<main>",
        f'<p class="kicker">howspec &middot; {escape(answer.SCHEMA.replace("_", " "))}</p>',
        _sentence(answer.headline()), *_figure(answer), *_blocks(answer),
        *_pasted(answer),
        *_section("What it rests on", _list(rests_on(answer, found))),
        *_section("How sure", _list(how_sure(found))),
        *_section("What to measure next", _next(answer)),
        *_section("Before relying on it", _list(answer.notes)),
        *_section("Made by", f"<pre>{escape(asked)}</pre>"
                             f'<p class="soft">{escape(versions(answer))}</p>'),
        "</main>\n</body>\n</html>\n",
    ))  # fmt: skip


def style() -> str:
    """The look of every page."""
    folder = resources.files(f"{__package__}.figures").joinpath("page")
    return folder.joinpath("page.css").read_text(encoding="utf-8")


def python_call(answer: Reported, found: Mapping[str, Any]) -> str:
    """The question as a call of Python."""
    verb = type(answer).__module__.rpartition(".")[2]
    given = found.get("inputs", {n: found[n] for n in _ASKED if n in found})
    if "inputs" not in found and not given:
        return f"howspec.{verb}(...)"
    words = [f"{n}={v!r}" for n, v in given.items() if v is not None and (n, v) != _BUNDLED]
    return f"howspec.{verb}({', '.join(words)})"


_ASKED = ("rows", "target", "draft", "device")  # in answers that keep no inputs
_BUNDLED = ("rows", "bundled")  # what stands where no file was given


def versions(answer: Reported) -> str:
    """What made the answer, as far as it matters for getting it again."""
    import numpy
    import scipy

    from .version import version

    return (
        f"howspec {version()}, schema howspec.{answer.SCHEMA} {answer.VERSION}, "
        f"Python {platform.python_version()}, NumPy {numpy.__version__}, SciPy {scipy.__version__}"
    )


def rests_on(answer: Reported, found: Mapping[str, Any]) -> Iterator[str]:
    """Where acceptance and costs come from, and what was measured of the very pair."""
    lines = [b for b in answer.blocks() if _is_part(b)]
    for part, name in (("acceptance", "acceptance"), ("cost", "costs")):
        known = found.get("parts", {}).get(part)
        if known is None:
            continue
        entry = known if isinstance(known, Mapping) else {"kind": known}
        source = entry.get("source") or found.get(f"{name}_from")
        line = f"{name}: {entry['kind']}{f' ({source})' if source else ''}"
        yield next((str(said) for said in lines if str(said).startswith(line)), line)
        yield from entry.get("citations") or ()
    if found.get("fitted_to"):
        yield f"fitted to {found['fitted_to']}"
    yield from dict.fromkeys(row["citation"] for row in found.get("published", ()))
    yield from (f"{test['name']}: from {test['given']}" for test in found.get("tests", ()))
    if "rounds" in found:
        yield f"{found['rounds']:,} simulated rounds, seed {found['seed']}"


def how_sure(found: Mapping[str, Any]) -> Iterator[str]:
    """The intervals and probabilities of the answer, in lines."""
    best = found.get("best") if isinstance(found.get("best"), Mapping) else None
    best = best or (found.get("order") or [found])[0]
    if isinstance(best.get("speedup"), Mapping):
        yield f"speed-up {_interval(best['speedup'])}"
    gain = best.get("probability_gain")
    if gain is not None and not _exact(best["speedup"]):
        yield f"faster than plain decoding with probability {100 * gain:.0f} %"
    odds = best.get("probability_best")
    if isinstance(odds, list):
        odds = None if _exact(best["speedup"]) else odds[found["gamma"]]
    if odds is not None:
        yield f"the best choice in {100 * odds:.0f} % of draws"
    for row in found.get("schedule", ()):
        batches = f"batch {row['first_batch']} to {row['last_batch']}"
        yield f"{batches}: speed-up {_interval(row['speedup'])}"
    for axis in ("batch", "context", "load"):
        where = found.get(axis)
        if isinstance(where, Mapping) and where.get("pays"):
            beyond = f"beyond {where['looked_up_to']:.4g}"
            ends = [beyond if v is None else f"{v:.4g}" for v in (where["low"], where["high"])]
            known = " to ".join(dict.fromkeys(ends))
            yield f"{axis} at which it stops paying: {100 * where['level']:g} % interval {known}"
    for test in found.get("tests", ()):
        if test["coverage_90"] is not None:
            share = f"{100 * test['coverage_90']:.0f} % of {test['points']}"
            yield f"{test['name']}: {share} lie in their 90 % intervals"


def _exact(value: object) -> bool:
    return isinstance(value, Mapping) and value.get("low") == value.get("high") != None  # noqa: E711


def _interval(value: Mapping[str, float]) -> str:
    if "se" in value:
        return f"{value['mean']:.4f}, standard error {value['se']:.4f}"
    if value["low"] == value["high"]:
        return f"{value['estimate']:.3f}, exact for these numbers"
    ends = f"{value['low']:.3f} to {value['high']:.3f}"
    return f"{value['estimate']:.3f}, {100 * value['level']:g} % interval {ends}"


def _sentence(headline: str) -> str:
    """The headline; what it holds in brackets at its end is said more quietly."""
    split = re.fullmatch(r"(.{8,}) \(([^()]*)\)", headline)
    if split is None:
        return f"<h1>{escape(headline)}</h1>"
    answer, aside = split.groups()
    return f"<h1>{escape(answer)} <small>{escape(aside)}</small></h1>"


def _figure(answer: Reported) -> Iterator[str]:
    if not answer.has_figure:
        return
    try:
        made = answer.plot()
    except ValueError as error:  # an answer without enough to draw, such as one without tests
        yield f'<p class="soft">No figure: {escape(str(error))}.</p>'
        return
    from .figures.inline import inline_svg

    share = min(float(made.get_size_inches()[0]) / _WIDEST, 1.0)
    width = f"max-width: {62 * share + 4:.0f}rem; min-width: {36 * share:.0f}rem"
    svg = inline_svg(made, answer.headline())
    yield f'<div class="scroll"><div class="figure" style="{width}">{svg}</div></div>'


def _blocks(answer: Reported) -> Iterator[str]:
    for kind, blocks in groupby((b for b in answer.blocks() if not _is_part(b)), _kind):
        some = list(blocks)
        if kind == "indented":
            yield f"<pre>{escape(dedent(chr(10).join(map(str, some))))}</pre>"
            continue
        for block in some:
            if isinstance(block, Table):
                yield f'<div class="scroll" tabindex="0">{block.to_html()}</div>'
            else:
                yield f"<p>{escape(block)}</p>"


def _kind(block: str | Table) -> str:
    if isinstance(block, Table):
        return "table"
    return "indented" if block.startswith(" ") else "line"


def _is_part(block: str | Table) -> bool:
    """Whether it is a line of `part_lines`."""
    return isinstance(block, str) and block.startswith(("acceptance: ", "costs: "))


def _pasted(answer: Reported) -> Iterator[str]:
    for title, text in answer.to_paste():
        yield from _section(title, f"<pre>{escape(text)}</pre>")


def _next(answer: Reported) -> str:
    lines = answer.ending()
    return f"<pre>{escape(chr(10).join(lines))}</pre>" if lines else ""


def _section(title: str, body: str) -> Iterator[str]:
    if body:
        yield f"<section>\n<h2>{escape(title)}</h2>\n{body}\n</section>"


def _list(lines: Iterator[str] | tuple[str, ...]) -> str:
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f"<ul>{items}</ul>" if items else ""
