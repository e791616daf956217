"""The printed formula sheet is the one that the formulas print."""

from __future__ import annotations

from pathlib import Path

from howspec.theory.sheet import markdown

SHEET = Path(__file__).resolve().parents[2] / "theory" / "README.md"


def test_the_formula_sheet_is_current() -> None:
    assert SHEET.read_text(encoding="utf-8") == markdown(), "run `make sheet`"
