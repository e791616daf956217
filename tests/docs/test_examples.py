"""Every command and every line of Python in the documentation runs, and prints what is shown."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from doc_examples import DOCS, ROOT, Runner, examples, matches, pages, prepare


@pytest.mark.parametrize("page", pages(), ids=lambda p: str(p.relative_to(ROOT)))
def test_the_examples_of_a_page_run_as_printed(page: Path, tmp_path: Path) -> None:
    prepare(tmp_path)
    runner = Runner(tmp_path)
    for example in examples(page.read_text(encoding="utf-8")):
        if not example.needs_torch:
            got = runner.run(example)
            assert matches(example, got), (
                f"line {example.line + 1}: {example.source}\nprints\n{got}\nIf that is meant: "
                "python tests/support/doc_examples.py writes it into the page"
            )


def test_pictures_and_files_that_the_readme_names_are_there() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    named = re.findall(r"\]\(([^)#]+)", readme)
    assert len(named) > 10
    assert [n for n in named if not (ROOT / n).exists()] == []


def test_every_command_stands_in_the_table_of_commands() -> None:
    from howspec.cli.main import VERBS

    table = (DOCS / "commands.md").read_text(encoding="utf-8")
    assert [v for v in VERBS if not re.search(rf"^\| .*`(howspec )?{v}\b.* \|", table, re.M)] == []


def test_there_are_examples_on_most_pages() -> None:
    counts = {p.name: len(list(examples(p.read_text(encoding="utf-8")))) for p in pages()}
    assert sum(counts.values()) > 40
    assert sum(n > 0 for n in counts.values()) > 12


def test_a_wrong_output_and_an_unknown_command_are_seen(tmp_path: Path) -> None:
    text = "```pycon\n>>> 1 + 1\n3\n```\n```console\n$ rm -rf x\n```\n"
    sum_, command = examples(text)
    runner = Runner(tmp_path)
    assert not matches(sum_, runner.run(sum_))
    with pytest.raises(AssertionError, match="unknown"):
        runner.run(command)
    with pytest.raises(ValueError, match="a block must be of"):
        list(examples("```bash\nls\n```\n"))


def test_every_schema_and_every_function_is_looked_up() -> None:
    """What `howspec` offers is on the page of the API, and what it returns among the schemas."""
    import howspec
    from howspec.answer import Answer

    api = (DOCS / "api.md").read_text(encoding="utf-8")
    for name in howspec.__all__:
        getattr(howspec, name)  # brings its answer with it
        assert f"::: howspec.{name}\n" in api, name
    schemas = (DOCS / "schemas.md").read_text(encoding="utf-8")
    found = [k for k in Answer.__subclasses__() if k.__module__.startswith("howspec.")]
    kinds = {leaf for k in found for leaf in k.__subclasses__() or [k]}
    assert len(kinds) >= 11
    for kind in kinds:
        assert f"| `howspec.{kind.SCHEMA}` |" in schemas, kind
        assert re.search(rf"`howspec.{kind.SCHEMA}` .*\| {kind.VERSION} \|", schemas), kind
