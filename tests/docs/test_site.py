"""The site is built without a warning, and its pages hold what is made for them."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
from doc_examples import DOCS, ROOT
from howspec.figures.draw import draw_all


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("mkdocs")
    from mkdocs.commands.build import build
    from mkdocs.config import load_config

    made, out = tmp_path_factory.mktemp("made"), tmp_path_factory.mktemp("site")
    draw_all(made / "figures", only=["latency_by_gamma"])
    tests = [
        {
            "name": "one <task> left out", "error": "relative", "points": 7, "coverage_90": 0.9,
            "median_abs_error": 0.021, "p95_abs_error": None, "rivals": {"plain formula": 0.5},
        }
    ]  # fmt: skip
    (made / "validation.json").write_text(json.dumps({"tests": tests}), encoding="utf-8")
    warnings: list[str] = []

    class Heard(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            warnings.append(record.getMessage())

    heard = Heard(logging.WARNING)
    logging.getLogger("mkdocs").addHandler(heard)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOWSPEC_DOCS", str(made))
        config = load_config(str(ROOT / "mkdocs.yml"), site_dir=str(out))
        config.plugins.on_startup(command="build", dirty=False)
        build(config)
    logging.getLogger("mkdocs").removeHandler(heard)
    assert warnings == []
    return out


def test_the_site_is_built_without_a_warning_and_holds_its_pages(site: Path) -> None:
    pages = {str(p.parent.relative_to(site)) for p in site.rglob("index.html")}
    written = {str(p.relative_to(DOCS).with_suffix("")) for p in DOCS.rglob("*.md")}
    books = {f"notebooks/{p.stem}" for p in (DOCS / "notebooks").glob("*.ipynb")}
    made = {"formulas", "gallery", "contributing", "changelog"}
    assert (written - {"index"}) | books | made <= pages
    _made_pages(site)
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert 'src="http' not in text, page
        assert "fonts.googleapis" not in text, page


def _made_pages(site: Path) -> None:
    """Figures, formulas, the table and the API are on the pages that are made for them."""
    gallery = (site / "gallery" / "index.html").read_text(encoding="utf-8")
    assert 'alt="Latency against the draft tokens of a round falls to one minimum' in gallery
    assert "howspec figures --out out --only latency_by_gamma" in gallery
    assert (site / "figures" / "latency_by_gamma.png").is_file()
    formulas = (site / "formulas" / "index.html").read_text(encoding="utf-8")
    assert formulas.count("<math") > 200
    assert "$$" not in formulas
    truth = (site / "truth" / "index.html").read_text(encoding="utf-8")
    assert "one &lt;task&gt; left out" in truth
    assert "<td>2.1 %</td>" in truth
    api = (site / "api" / "index.html").read_text(encoding="utf-8")
    assert "howspec.predict" in api
    assert "acceptance" in api


def test_what_a_notebook_gave_stands_below_its_code(tmp_path: Path) -> None:
    from runpy import run_path

    page = run_path(str(DOCS / "build.py"))["notebook"]
    frame = (
        '<style scoped>\n td {}\n</style>\n<table border="1" class="dataframe">\n<td>1</td></table>'
    )
    cells = [
        {"cell_type": "markdown", "source": ["Two *numbers*."]},
        {
            "cell_type": "code", "source": ["print(1)\n", "frame"],
            "outputs": [{"text": ["1\n"]}, {"data": {"text/html": [frame], "text/plain": ["x"]}}],
        },
    ]  # fmt: skip
    path = tmp_path / "book.ipynb"
    path.write_text(json.dumps({"cells": cells}), encoding="utf-8")
    assert page(path) == (
        "Two *numbers*.\n\n```python\nprint(1)\nframe\n```\n\n```text\n1\n```\n\n"
        '<div class="output">&#10;<table>&#10;<td>1</td></table></div>\n'
    )
