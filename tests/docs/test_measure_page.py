"""What the page on measuring a pair shows works with two models, line after line."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from doc_examples import DOCS
from howspec.cli.main import run

PAGE = DOCS / "howto" / "measure.md"
QUICKLY = {  # what keeps the measuring of two small models short; the rest is as it stands
    "costs": "--tokens 1-4 --context 32 --gamma 1-3 --repeats 2 --warmup 1",
    "acceptance": "--requests 1 --prompt-tokens 8 --new-tokens 8 --temperature 0 --gamma 3",
}


def test_what_the_page_says_of_models_of_your_own_works_line_after_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    from small_models import llama
    from tokenizers import Tokenizer, models, pre_tokenizers

    monkeypatch.chdir(tmp_path)
    words = Tokenizer(models.WordLevel({f"w{i}": i for i in range(40)}, unk_token="w0"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=words)
    for seed, (name, layers) in enumerate((("TARGET", 2), ("DRAFT", 1))):
        llama(seed, num_hidden_layers=layers).save_pretrained(tmp_path / name)
        tokenizer.save_pretrained(tmp_path / name)
    capsys.readouterr()
    lines = re.findall(r"^\$ howspec (.*TARGET.*)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert [line.split()[0] for line in lines] == ["calibrate", "calibrate", "predict"]
    for line in lines:
        more = next((v for k, v in QUICKLY.items() if line.startswith(f"calibrate {k}")), "")
        with pytest.raises(SystemExit) as stop:
            run(shlex.split(f"{line} {more}"))
        out, err = capsys.readouterr()
        assert (stop.value.code, err) == (0, ""), line
        assert "Warning" not in out
    assert (tmp_path / "acceptance.json").is_file()
    with pytest.raises(SystemExit):
        run(shlex.split(f"{lines[-1]} --json"))
    parts = json.loads(capsys.readouterr().out)["parts"]
    assert {part["kind"] for part in parts.values()} == {"measured"}
    assert "rounds of this pair in costs.json" in parts["cost"]["source"]
