"""Examples in the documentation: commands after ``$`` and Python after ``>>>``, run as they stand.

One page runs from its first line to its last in one folder and one namespace. Blocks of
``console`` hold commands, of ``pycon`` Python with its output, of ``python`` Python without;
``...`` in an output stands for anything. ``<!-- torch -->`` before a block says that it runs
models. Run as a program, this file writes what the examples print into the pages.
"""

from __future__ import annotations

import contextlib
import doctest
import io
import os
import re
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
FENCE = re.compile(
    r"^(?P<indent> *)(?P<ticks>```+)(?P<kind>\w*)[^\n]*\n(?P<body>.*?)^(?P=indent)(?P=ticks)\n",
    re.MULTILINE | re.DOTALL,
)
SHOWN = {"", "text", "json", "toml", "yaml", "latex", "bibtex"}  # nothing in these is run
RUN = {"console", "pycon", "python"}
_CHECK = doctest.OutputChecker()
_FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def pages() -> list[Path]:
    """Every page whose examples are run."""
    written = sorted(p for p in DOCS.rglob("*.md"))
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *written]


@dataclass
class Example:
    """One command or statement, its expected output, and where it stands on the page."""

    kind: str
    source: str
    want: str
    line: int
    end: int  # line after its expected output
    head: int  # line after its source
    needs_torch: bool


@dataclass
class Runner:
    """The namespace and the folder of one page."""

    folder: Path
    names: dict[str, Any] = field(default_factory=lambda: {"__name__": "__main__"})

    def run(self, example: Example) -> str:
        """What the example prints; AssertionError for a command that is not known or fails."""
        printed = io.StringIO()
        hook, sys.displayhook = sys.displayhook, sys.__displayhook__
        try:
            with contextlib.chdir(self.folder), contextlib.redirect_stdout(printed):
                if example.kind == "console":
                    self._command(example)
                else:
                    mode = "single" if example.kind == "pycon" else "exec"
                    exec(compile(example.source, "<docs>", mode), self.names)
        finally:
            sys.displayhook = hook
        return printed.getvalue()

    def _command(self, example: Example) -> None:
        words = shlex.split(example.source, comments=True)
        target = None
        if ">" in words:
            at = words.index(">")
            words, target = words[:at], Path(words[at + 1])
        if words[0] != "howspec":
            return known(words)
        from howspec.cli.main import run

        errors = io.StringIO()
        out = io.StringIO() if target else None
        with contextlib.redirect_stderr(errors), contextlib.redirect_stdout(out or sys.stdout):
            status = exit_status(run, words[1:])
        assert status in (0, None), f"{example.source}: {errors.getvalue()}"
        if target is not None and out is not None:
            target.write_text(out.getvalue(), encoding="utf-8")
        return None


def exit_status(run: Any, arguments: list[str]) -> Any:
    """Run the command line, which leaves with a status."""
    try:
        run(arguments)
    except SystemExit as stop:
        return stop.code
    return None


def known(words: list[str]) -> None:
    """A command that is not howspec's must be one of the project: a target of make, an extra."""
    if words[:2] == ["pip", "install"]:
        extras = re.findall(r"\[(\w+)\]", " ".join(words))
        project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
        for extra in extras:
            assert re.search(rf"^{extra} = \[", project, re.MULTILINE), f"no extra {extra}"
    elif words[0] == "make":
        makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
        for target in (word for word in words[1:] if "=" not in word):
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"no target {target}"
    else:
        assert words[:2] in (["pre-commit", "install"], ["git", "clone"]), f"unknown: {words}"


def examples(text: str) -> Iterator[Example]:
    """The examples of a page. Raises ValueError for a block of a kind that nothing runs."""
    for block in FENCE.finditer(text):
        kind, indent = block["kind"], len(block["indent"])
        first = text.count("\n", 0, block.start("body"))
        if kind in SHOWN:
            continue
        if kind not in RUN:
            raise ValueError(f"line {first}: a block must be of {RUN | SHOWN}, got {kind!r}")
        before = text[: block.start()].rstrip().rsplit("\n", 1)[-1]
        torch = "<!-- torch -->" in before
        lines = [line[indent:] for line in block["body"].splitlines()]
        if kind == "python" and lines[:1] and not lines[0].startswith(">>>"):
            last = first + len(lines)
            yield Example(kind, "\n".join(lines), "", first, last, last, torch)
        else:
            yield from _prompted("console" if kind == "console" else "pycon", lines, first, torch)


def _prompted(kind: str, lines: list[str], first: int, torch: bool) -> Iterator[Example]:
    prompt, more = ("$ ", "\\") if kind == "console" else (">>> ", "... ")
    at = 0
    while at < len(lines):
        assert lines[at].startswith(prompt), f"line {first + at + 1}: no prompt: {lines[at]!r}"
        start, source = at, [lines[at][len(prompt) :]]
        at += 1
        if kind == "console":
            while source[-1].endswith(more):
                source[-1] = source[-1][:-1]
                source.append(lines[at].strip())
                at += 1
        else:
            while at < len(lines) and (lines[at].startswith(more) or lines[at] == "..."):
                source.append(lines[at][len(more) :])
                at += 1
        head = at
        while at < len(lines) and not lines[at].startswith(prompt):
            at += 1
        want = "\n".join(lines[head:at])
        joined = " ".join(source) if kind == "console" else "\n".join(source) + "\n"
        yield Example(kind, joined, want, first + start, first + at, first + head, torch)


def matches(example: Example, got: str) -> bool:
    """Whether an output is the expected one; nothing is expected where nothing is shown."""
    if example.kind == "python" or (example.kind == "console" and not example.want.strip()):
        return True
    want = "\n".join(line for line in example.want.splitlines() if line.strip())
    got = "\n".join(line for line in got.splitlines() if line.strip())
    return _CHECK.check_output(want + "\n", got + "\n", _FLAGS)


def prepare(folder: Path) -> None:
    """The files that the examples name, into a folder."""
    for file in (DOCS / "examples").iterdir():
        shutil.copy(file, folder / file.name)


def rewrite(page: Path) -> int:
    """Write what the examples print into a page; the number of examples that changed."""
    text = page.read_text(encoding="utf-8")
    lines = text.split("\n")
    changed = 0
    with tempfile.TemporaryDirectory() as folder:
        prepare(Path(folder))
        runner, found = Runner(Path(folder)), []
        for example in examples(text):
            if not example.needs_torch:
                found.append((example, runner.run(example)))
    for example, got in reversed(found):
        if matches(example, got) or example.kind == "python":
            continue
        shown = got.rstrip("\n").split("\n")
        kept = example.want.splitlines()
        if "..." in kept:  # as many lines as there were before the cut
            shown = [*shown[: max(kept.index("..."), 1)], "..."]
        lines[example.head : example.end] = [line.rstrip() for line in shown]
        changed += 1
    if changed:
        page.write_text("\n".join(lines), encoding="utf-8")
    return changed


if __name__ == "__main__":
    os.environ.setdefault("COLUMNS", "100")
    chosen = [Path(a).resolve() for a in sys.argv[1:]] or pages()
    for page in chosen:
        print(page.relative_to(ROOT), rewrite(page), flush=True)
