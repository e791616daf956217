"""Pages that are made when the site is built: the sheet, the gallery, today's table, notebooks.

What takes long is made before, by `make docs`, into the folder that HOWSPEC_DOCS names: figures,
the answer of `howspec validate --json`, and the notebooks with what they print, which this file run
as a program writes. Formulas become MathML, so that nothing is loaded.
"""

from __future__ import annotations

import csv
import html
import json
import os
import re
import shutil
import sys
from pathlib import Path
from typing import Any

from latex2mathml.converter import convert
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
_MATH = re.compile(r"\$\$(?P<block>.+?)\$\$|\$(?P<line>[^$\n]+)\$", re.DOTALL)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made."""
    made = Path(os.environ.get("HOWSPEC_DOCS", ROOT / "out" / "docs"))
    pages = {
        "formulas.md": with_math((ROOT / "theory" / "README.md").read_text(encoding="utf-8")),
        "contributing.md": (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"),
        "changelog.md": (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"),
        "concepts.md": (ROOT / "docs" / "concepts.md")
        .read_text(encoding="utf-8")
        .replace("DEFINITIONS_TABLE", definitions()),
        "gallery.md": gallery(made / "figures"),
        "truth.md": (ROOT / "docs" / "truth.md")
        .read_text(encoding="utf-8")
        .replace("TODAYS_TABLE", todays_table(made / "validation.json")),
    }
    for book in sorted((ROOT / "docs" / "notebooks").glob("*.ipynb")):
        run = made / "notebooks" / book.name
        pages[f"notebooks/{book.stem}.md"] = notebook(run if run.exists() else book)
    for name, text in pages.items():
        if (old := files.get_file_from_path(name)) is not None:
            files.remove(old)
        files.append(File.generated(config, name, content=text))
    for picture in sorted((made / "figures").glob("*.png")):
        files.append(File.generated(config, f"figures/{picture.name}", abs_src_path=str(picture)))
    return files


def with_math(text: str) -> str:
    """Formulas in dollars as MathML; a bar in them would end a cell of a table."""

    def one(found: re.Match[str]) -> str:
        block = found["block"] is not None
        formula = convert(found["block"] or found["line"], display="block" if block else "inline")
        formula = formula.replace("|", "&#124;")
        return f'<div class="formula">{formula}</div>' if block else formula

    return _MATH.sub(one, text)


def gallery(folder: Path) -> str:
    """Every figure with its caption, the first sentence being the text for who cannot see it."""
    from PIL import Image

    lines = ["# Gallery", "", "Every figure, and the command that draws it.", ""]
    for path in sorted(folder.glob("*.png")):
        with Image.open(path) as picture:
            caption = str(picture.info["Description"])
        alt = html.escape(caption.partition(". ")[0] + ".", quote=True)
        lines += [
            f"## {path.stem}", "",
            f'<img src="../figures/{path.name}" alt="{alt}" loading="lazy">', "",
            html.escape(caption, quote=False), "",
            f"    howspec figures --out out --only {path.stem}", "",
        ]  # fmt: skip
    return "\n".join(lines)


def todays_table(path: Path) -> str:
    """The tests of truth as they come out with this version."""
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))

    def error(value: float | None, kind: str) -> str:
        if value is None:
            return "-"
        return f"{100 * value:.1f} %" if kind == "relative" else f"{value:.3f}"

    rows = ["| test | points | median error | 95 % of errors below | in 90 % interval | rivals |",
            "|---|---|---|---|---|---|"]  # fmt: skip
    for t in found["tests"]:
        kind, covered = t["error"], t["coverage_90"]
        rivals = [f"{n} {error(v, kind)}" for n, v in t["rivals"].items() if v is not None]
        rows.append(
            f"| {html.escape(t['name'])} | {t['points']} | {error(t['median_abs_error'], kind)} | "
            f"{error(t['p95_abs_error'], kind)} | "
            f"{'-' if covered is None else f'{100 * covered:.0f} %'} | {', '.join(rivals)} |"
        )
    return "\n".join(rows)


def definitions() -> str:
    """What engines print under the name of acceptance, one row a name."""
    path = ROOT / "calibrate" / "engines" / "definitions.csv"
    with path.open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    cells = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(html.escape(c) for c in row)} |" for row in cells)


def notebook(path: Path) -> str:
    """A notebook as a page: text as it stands, code in blocks, and below each what it gave."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    parts = []
    for cell in cells:
        source = "".join(cell["source"])
        parts.append(f"```python\n{source}\n```" if cell["cell_type"] == "code" else source)
        parts += map(output, cell.get("outputs", ()))
    return "\n\n".join(parts) + "\n"


def output(given: dict[str, Any]) -> str:
    """What a cell gave: a table where it has one, else text."""
    data = given.get("data", {})
    if "text/html" in data:
        made = re.sub(r"<style.*?</style>", "", "".join(data["text/html"]), flags=re.DOTALL)
        made = re.sub("<table[^>]*>", "<table>", made)  # as all tables of the site
        return f'<div class="output">{"&#10;".join(made.splitlines())}</div>'
    return f"```text\n{''.join(given.get('text') or data['text/plain']).rstrip()}\n```"


def run_notebooks(out: Path) -> None:
    """Run every notebook beside the examples' files, and keep it with its outputs."""
    import tempfile

    import nbclient
    import nbformat

    (out / "notebooks").mkdir(parents=True, exist_ok=True)
    for book in sorted((ROOT / "docs" / "notebooks").glob("*.ipynb")):
        found = nbformat.read(book, as_version=4)
        with tempfile.TemporaryDirectory() as folder:
            shutil.copytree(ROOT / "docs" / "examples", folder, dirs_exist_ok=True)
            nbclient.NotebookClient(
                found, timeout=300, kernel_name="python3", resources={"metadata": {"path": folder}},
                extra_arguments=["--log-level=40"],  # it warns of how it talks to this process
            ).execute()  # fmt: skip
        nbformat.write(found, out / "notebooks" / book.name)


if __name__ == "__main__":
    run_notebooks(Path(sys.argv[1]))
