"""The printed hook: Python that compiles and names what exists, and one line for other engines."""

from __future__ import annotations

import ast
import importlib
import json
import re
from pathlib import Path

import pytest
from command import call
from howspec.verbs.statistics import TRANSFORMERS


def test_the_printed_lines_compile_and_name_what_exists(
    capsys: pytest.CaptureFixture[str],
) -> None:
    status, out, err = call(capsys, "hook", "transformers")
    assert (status, err) == (0, "")
    tree = ast.parse(out)
    compile(tree, "hook", "exec")
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    assert imports
    for node in imports:
        assert node.module is not None
        module = importlib.import_module(node.module)
        for alias in node.names:
            assert callable(getattr(module, alias.name))


def test_what_the_block_counts_has_the_method_that_is_called_behind_it() -> None:
    from howspec.calibrate.measure.assisted_counts import AssistedCounts

    methods = re.findall(r"^counts\.(\w+)\(", TRANSFORMERS, re.MULTILINE)
    assert methods == ["write"]
    assert all(callable(getattr(AssistedCounts, name)) for name in methods)


class _Generator:
    """Proposes 4 tokens; the loop below emits some of them."""

    def get_candidates(self, input_ids: _Ids) -> tuple[_Ids]:
        return (_Ids(input_ids.shape[1] + 4),)

    def update_candidate_strategy(self, input_ids: _Ids) -> None:
        return None


class _Ids:
    def __init__(self, length: int) -> None:
        self.shape = (1, length)


class _Model:
    """As much of a model as the counting relies on: one request of two rounds."""

    def _get_candidate_generator(self) -> _Generator:
        return _Generator()

    def generate(self, *, assistant_model: object) -> None:
        generator, length = self._get_candidate_generator(), 10
        for accepted in (4, 1):
            generator.get_candidates(_Ids(length))
            length += accepted + 1
            generator.update_candidate_strategy(_Ids(length))


def test_the_printed_lines_run_and_what_they_write_can_be_imported(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    _, out, _ = call(capsys, "hook", "transformers")
    exec(compile(out, "hook", "exec"), {"model": _Model(), "inputs": {}, "draft": object()})
    lines = [json.loads(line) for line in Path("rounds.jsonl").read_text().splitlines()]
    assert [(r["drafted"], r["accepted"]) for r in lines[1:]] == [(4, 4), (4, 1)]
    following = re.search(r"howspec (import transformers \S+)", out)
    assert following
    status, _, err = call(capsys, *following.group(1).split(), "--json")
    assert status == 0, err


def test_the_same_lines_stand_in_the_json(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = call(capsys, "hook", "transformers", "--json")
    assert status == 0
    assert json.loads(out) == {"engine": "transformers", "code": TRANSFORMERS}
