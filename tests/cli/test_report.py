"""The page of an answer: every part is there, nothing runs or is fetched, names stay text."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import howspec
import pytest
from howspec.answer import Answer
from howspec.cli.main import run

HOSTILE = r"""<script>alert(1)</script></title><img src=x onerror=alert(2)>--!>"'&amp;$\evil{"""
ROWS = """target,draft,engine,hardware,task,batch,gamma,alpha,tokens_per_round,cost_ratio,speedup
{name},Llama-3.2-1B,vllm,H100,chat,1,1,0.72,1.72,0.05,1.55
{name},Llama-3.2-1B,vllm,H100,chat,1,3,0.72,2.61,0.05,2.02
{name},Llama-3.2-1B,vllm,H100,chat,1,5,0.72,3.07,0.05,2.11
{name},Llama-3.2-1B,vllm,H100,chat,1,7,0.72,3.31,0.05,2.05
"""
SWEEP = "target,draft,k,speedup,tokens_per_round\n" + "".join(
    f"{{name}},{{name}},{k},{s},{t}\n" for k, s, t in ((1, 1.4, 1.7), (2, 1.7, 2.2), (4, 1.8, 2.9))
)
TAGS = {
    "html", "head", "meta", "title", "style", "body", "main", "p", "h1", "h2", "small", "section",
    "div", "table", "caption", "thead", "tbody", "tr", "th", "td", "ul", "li", "pre",
    "svg", "g", "path", "use", "defs", "clippath", "rect",
}  # fmt: skip


class Page(HTMLParser):
    """What stands in a page: tags, attributes, and the text of each tag."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.texts: dict[str, list[str]] = {}
        self._open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag != "meta":
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if self._open and self._open[-1] == tag:
            self._open.pop()

    def handle_data(self, data: str) -> None:
        if self._open and data.strip():
            self.texts.setdefault(self._open[-1], []).append(data)


def a_file(path: Path, template: str, name: str) -> str:
    path.write_text(template.replace("{name}", '"' + name.replace('"', '""') + '"'))
    return str(path)


def checked(answer: Answer) -> Page:
    """The page of an answer, which holds only harmless tags and reaches for nothing."""
    text = answer.to_html()
    page = Page(text)
    assert page.tags <= TAGS, page.tags - TAGS
    reached = [v for n, v in page.attributes if n in ("href", "xlink:href", "src")]
    assert all(v.startswith("#") for v in reached)
    assert not [n for n, _ in page.attributes if n.startswith("on")]
    assert "url(http" not in text
    assert "@import" not in text
    assert text.count("default-src 'none'") == 1
    said = " ".join("".join(page.texts["h1"] + page.texts.get("small", [])).split())
    for word in re.findall(r"[\w.]+", answer.headline()):
        assert word in said
    return page


ANSWERS: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "predict": ({"acceptance": 0.8, "costs": 0.05}, ("acceptance: stated", "exact for these")),
    "rank": (
        {"target": "Llama-3.1-8B", "drafts": ["Llama-3.2-1B", "EAGLE3"], "device": "H100"},
        ("acceptance: predicted", "the best choice in "),
    ),
    "scale": (
        {"target": "Llama-3.1-8B", "device": "RTX4090", "sizes": 3},
        ("costs: predicted", "90 % interval"),
    ),
    "crossover": (
        {"target": "Llama-3.1-8B", "draft": "EAGLE3", "device": "L40S", "batch_max": 64},
        ("acceptance: predicted", "at which it stops paying"),
    ),
    "schedule": (
        {"acceptance": 0.73, "costs": 0.08, "verify_slope": 0.02, "engine": "vllm"},
        ("costs: stated", "num_speculative_tokens", "batch 1 to 256"),
    ),
    "explain": (
        {"baseline_tokens_per_s": "41", "speculative_tokens_per_s": "72", "alpha": "0.8",
         "gamma": 3},
        ("acceptance: stated", "90 % interval"),
    ),
    "simulate": (
        {"acceptance": 0.8, "gamma": 5, "costs": 0.05, "rounds": 6400},
        ("simulated rounds, seed 0", "standard error"),
    ),
    "evidence": ({"target": "Llama-3.1-8B", "draft": "EAGLE3"}, ("source: ",)),
}  # fmt: skip


@pytest.mark.parametrize("verb", ANSWERS)
def test_every_verb_makes_a_page_that_says_what_it_rests_on_and_how_it_was_made(verb: str) -> None:
    given, parts = ANSWERS[verb]
    answer = getattr(howspec, verb)(**given)
    page = checked(answer)
    text = " ".join(" ".join(t) for t in page.texts.values())
    for part in (*parts, f"howspec.{verb}(", f"howspec {howspec.__version__}"):
        assert part in text
    assert ("svg" in page.tags) == (verb not in ("simulate", "evidence"))
    assert answer.to_html() == answer.to_html()
    call = next(t for t in page.texts["pre"] if t.startswith(f"howspec.{verb}("))
    again = eval(call, {"howspec": howspec})
    assert again.to_json() | {"inputs": None} == answer.to_json() | {"inputs": None}


def test_names_from_files_stay_text_wherever_they_stand(tmp_path: Path) -> None:
    answer = howspec.predict_sweep(a_file(tmp_path / "sweep.csv", SWEEP, HOSTILE))
    page = checked(answer)
    assert any(HOSTILE in t for t in page.texts["h1"])
    assert any(HOSTILE in t for t in page.texts["title"])


def test_every_point_of_a_test_of_truth_is_named_and_its_name_stays_text(tmp_path: Path) -> None:
    answer = howspec.validate(a_file(tmp_path / "rows.csv", ROWS, HOSTILE))
    page = checked(answer)
    points = [p for test in answer.report.tests for p in test.points]
    titles = [t for t in page.texts["title"] if ": measured" in t]
    assert len(titles) == len(points)
    assert sum(HOSTILE in t for t in titles) == len([p for p in points if HOSTILE in p.label]) > 0
    for p in points:
        assert any(f"measured {p.observed:.3f}, predicted {p.predicted:.3f}" in t for t in titles)


def test_the_command_line_writes_the_page_with_its_own_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "an answer.html"
    arguments = ["predict", "--alpha", "0.8", "--cost-ratio", "0.05", "--html", str(path)]
    with pytest.raises(SystemExit) as stop:
        run(arguments)
    assert not stop.value.code
    assert f"page: {path}" in capsys.readouterr().out
    page = Page(path.read_text(encoding="utf-8"))
    assert [t for t in page.texts["pre"] if t.startswith("howspec predict --alpha 0.8")]
    assert "&#x27;" not in "".join(page.texts["pre"])


@pytest.mark.parametrize("width", [1280, 360])
def test_a_browser_shows_the_page_at_any_width_and_has_nothing_to_say(
    tmp_path: Path, browser: Any, width: int
) -> None:
    howspec.predict_sweep(a_file(tmp_path / "sweep.csv", SWEEP, HOSTILE)).to_html(
        tmp_path / "a.html"
    )
    howspec.validate(a_file(tmp_path / "rows.csv", ROWS, HOSTILE)).to_html(tmp_path / "b.html")
    howspec.explain(**ANSWERS["explain"][0]).to_html(tmp_path / "c.html")
    said: list[str] = []
    page = browser.new_page(viewport={"width": width, "height": 800})
    page.on("console", lambda m: said.append(m.text))
    page.on("dialog", lambda d: (said.append(d.message), d.dismiss()))
    page.on("request", lambda r: said.append(r.url) if not r.url.startswith("file:") else None)
    for name in "abc":
        page.goto((tmp_path / f"{name}.html").as_uri())
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name
        assert page.locator("svg").bounding_box()["width"] > 250
        assert page.locator("h1").bounding_box()["y"] < 120
    page.close()
    assert said == []
