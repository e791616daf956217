"""The page of sliders, in a browser: it says what the command says, and nothing runs astray."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree

import howspec
import numpy as np
import pytest
from howspec.cli.main import run

HOSTILE = r"""<script>alert(1)</script></title><img src=x onerror=alert(2)>-->"'&amp;$\evil{"""
SPEEDS = ((1, 1.4, 1.7), (2, 1.7, 2.2), (4, 1.8, 2.9))
D3 = "f2094bbf6141b359722c4fe454eb6c4b0f0e42cc10cc7af921fc158fceb86539"  # dist/d3.min.js of 7.9.0
SIZES = {"desktop": (1280, 900), "tablet": (800, 1000), "phone": (360, 740)}
STATES = (
    "alpha=0.8&cost=0.05&decay=1&overhead=0&verify=0&top=32",
    "alpha=0.8&cost=0.05&decay=0.93&verify=0.02&overhead=0.1&top=16",
    "alpha=0.3&cost=0.6&decay=0.9&overhead=0.2&top=8",
    "alpha=1&cost=0.2&decay=1&overhead=0&verify=0.01&top=12",
    "alpha=0.7&cost=0.1&decay=1&overhead=0.3&verify=0&top=20&draft=2e8&bits=4.5",
    "alpha=0&cost=0&decay=1&overhead=0&top=4",
)
# Two texts that overlap, among all that can be seen.
OVERLAPS = """() => {
  const shown = [...document.querySelectorAll('.plot text, label, .hint, .legend .entry, button, '
    + 'h1 span, h1 small, h2, .field, select, pre, summary, li')].filter((e) => {
      const header = document.querySelector('#answer').contains(e);
      return !header && e.textContent.trim() && e.checkVisibility();
    }).map((e) => {
      const r = e.getBoundingClientRect(), box = e.closest('#controls')?.getBoundingClientRect();
      if (!box) return [e, r];
      const top = Math.max(r.top, box.top), bottom = Math.min(r.bottom, box.bottom);
      return [e, new DOMRect(r.x, top, r.width, Math.max(bottom - top, 0))];
    }).filter(([, r]) => r.width && r.height);
  const found = [];
  shown.forEach(([a, r], i) => shown.slice(i + 1).forEach(([b, s]) => {
    if (a.contains(b) || b.contains(a)) return;
    const wide = Math.min(r.right, s.right) - Math.max(r.left, s.left);
    const high = Math.min(r.bottom, s.bottom) - Math.max(r.top, s.top);
    const texts = [a, b].map((e) => e.textContent.slice(0, 40));
    if (wide > 1.5 && high > 1.5) found.push(texts);
  }));
  return found;
}"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page as it is without a question, and one with draws and a table full of mischief."""
    path = tmp_path_factory.mktemp("explore")
    howspec.explore().write(path / "plain.html")
    name = '"' + HOSTILE.replace('"', '""') + '"'
    rows = "".join(f"{name},{name},{k},{s},{t}\n" for k, s, t in SPEEDS)
    (path / "own.csv").write_text(f"target,draft,k,speedup,tokens_per_round\n{rows}")
    rng = np.random.default_rng(1)
    draws = {"alpha": rng.beta(40, 10, 50), "cost_ratio": rng.lognormal(-3, 0.2, 50)}
    howspec.explore(posterior=draws, sweep=str(path / "own.csv")).write(path / "own.html")
    return path


@pytest.fixture
def opened(browser: Any, folder: Path) -> Iterator[Any]:
    """Open a page, at a size, in a scheme; whatever a page says or asks for fails the test."""
    contexts: list[Any] = []
    said: list[str] = []

    def open_(name: str = "plain", state: str = "", size: str = "desktop", **more: Any) -> Any:
        width, height = SIZES[size]
        contexts.append(browser.new_context(viewport={"width": width, "height": height}, **more))
        page = contexts[-1].new_page()
        page.on("console", lambda m: said.append(m.text))
        page.on("pageerror", lambda e: said.append(str(e)))
        page.on("dialog", lambda d: (said.append(d.message), d.dismiss()))
        page.on("request", lambda r: said.append(r.url) if not r.url.startswith("file:") else None)
        page.goto((folder / f"{name}.html").as_uri() + (f"#{state}" if state else ""))
        until(page, "window.howspec && howspec.ready")
        return page

    yield open_
    for context in contexts:
        context.close()
    assert said == []


def settled(page: Any) -> None:
    """Wait until what was set is drawn."""
    page.evaluate("() => new Promise((r) => requestAnimationFrame(() => requestAnimationFrame(r)))")


def until(page: Any, expression: str) -> None:
    """Wait until it is true; the page's policy leaves no other way than to ask again."""
    for _ in range(100):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(30)
    raise AssertionError(f"never true: {expression}")


def drag(page: Any, key: str, to: float) -> None:
    """Drag a slider to a share of its width with the mouse, in steps."""
    page.locator(f"#r-{key}").scroll_into_view_if_needed()
    box = page.locator(f"#r-{key}").bounding_box()
    share = page.evaluate(f"(() => {{ const r = document.querySelector('#r-{key}');"
                          " return (r.value - r.min) / (r.max - r.min) })()")  # fmt: skip
    inner, y = box["width"] - 16, box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + 8 + inner * share, y)
    page.mouse.down()
    page.mouse.move(box["x"] + 8 + inner * to, y, steps=6)
    page.mouse.up()
    settled(page)


def test_the_page_is_one_small_file_with_the_library_and_its_licence(folder: Path) -> None:
    text = (folder / "plain.html").read_text(encoding="utf-8")
    assert len(text.encode()) < 1_000_000
    assert "Copyright 2010-2023 Mike Bostock" in text
    library = resources.files("howspec.figures").joinpath("page", "d3.min.js").read_bytes()
    assert hashlib.sha256(library).hexdigest() == D3
    assert library.decode() in text
    assert not re.findall(r"(?:src|href)\s*=\s*[\"']?http", text)
    assert "default-src 'none'" in text


def metrics(session: Any) -> dict[str, float]:
    """Seconds of its core that the page's thread has spent: the clock of a busy machine runs on."""
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    return {m["name"]: m["value"] for m in session.send("Performance.getMetrics")["metrics"]}


def test_it_opens_within_a_second(opened: Any) -> None:
    page = opened()
    session = page.context.new_cdp_session(page)
    before = metrics(session)["TaskDuration"]
    page.reload()
    until(page, "window.howspec && howspec.ready")
    assert 0.0 < metrics(session)["TaskDuration"] - before < 1.0


def test_every_slider_moves_what_it_names_and_the_answer_follows(opened: Any) -> None:
    page = opened()
    page.locator("summary").click()
    sliders = page.eval_on_selector_all(
        "input[type=range]", "(all) => all.map((e) => e.id.slice(2))"
    )
    assert len(sliders) == 12
    for key in sliders:
        page.locator("#reset").click()
        settled(page)
        before = page.evaluate("[howspec.state(), document.querySelector('#charts').innerHTML]")
        drag(page, key, 0.35)
        middle = page.evaluate(f"howspec.answer().now.{key}")
        drag(page, key, 0.6)
        after = page.evaluate("[howspec.state(), document.querySelector('#charts').innerHTML]")
        assert after[0] != before[0], key
        assert after[1] != before[1], key
        assert page.evaluate(f"howspec.answer().now.{key}") > middle, key


def test_the_keyboard_moves_a_slider_and_types_a_number(opened: Any) -> None:
    page = opened()
    before = page.evaluate("howspec.state().alpha")
    page.locator("#r-alpha").focus()
    page.keyboard.press("ArrowRight")
    settled(page)
    assert page.evaluate("howspec.state().alpha") > before
    page.locator("#n-overhead").fill("0.125")
    page.keyboard.press("Enter")
    settled(page)
    assert page.evaluate("howspec.state().overhead") == 0.125
    page.locator("#n-alpha").fill("7")
    page.keyboard.press("Tab")
    settled(page)
    assert "alpha must be in [0, 1], got 7" in page.locator("#aside").inner_text()


@pytest.mark.parametrize("state", STATES)
def test_the_command_gives_the_answer_of_the_page(
    opened: Any, capsys: pytest.CaptureFixture[str], state: str
) -> None:
    page = opened(state=state)
    found = page.evaluate("howspec.answer()")
    command = shlex.split(page.locator("#command").inner_text())
    assert command[0] == "howspec"
    with pytest.raises(SystemExit) as stop:
        run([*command[1:], "--json"])
    assert not stop.value.code
    said = json.loads(capsys.readouterr().out)
    assert said["gamma"] == found["gamma"]
    assert said["gamma_window"] == found["window"]
    assert 1.0 / np.array(found["byGamma"]) == pytest.approx(said["speedup_by_gamma"], rel=1e-12)
    if said["break_even_alpha"] is None:
        assert found["even"] is None
    else:
        assert found["even"] == pytest.approx(said["break_even_alpha"], abs=1e-9)
    sentence = page.locator("#sentence").inner_text()
    assert sentence.startswith(f"Draft {said['gamma']} token" if said["gamma"] else "Do not draft")


def test_a_shared_link_opens_in_the_state_that_was_left(opened: Any) -> None:
    page = opened()
    for key, to in (("alpha", 0.7), ("draft", 0.4), ("bits", 0.3), ("overhead", 0.2)):
        drag(page, key, to)
    page.locator("#measured").select_option(index=3)
    page.locator("#copy-link").click()
    until(page, "howspec.copied.includes('#')")
    link = page.evaluate("howspec.copied")
    other = opened(state=link.split("#")[1])
    for what in ("howspec.state()", "howspec.answer().byGamma", "howspec.answer().turn"):
        assert other.evaluate(what) == page.evaluate(what)
    page.wait_for_timeout(300)
    assert page.evaluate("location.hash.slice(1)") == link.split("#")[1]


def test_a_link_that_cannot_be_is_said_and_left(opened: Any) -> None:
    usual = opened().evaluate("howspec.state().alpha")
    for state, said in (
        ("alpha=7", "alpha that cannot be, 7"),
        ("cost=", "cost that cannot be"),
        ("top=3.5", "top that cannot be"),
        (f"{quote('<img src=x>')}=1", "something unknown, <img src=x>"),
    ):
        page = opened(state=state)
        assert said in page.locator("#aside").inner_text()
        assert page.evaluate("howspec.state().alpha") == usual


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_text_overlaps_and_nothing_is_wider_than_the_screen(
    opened: Any, size: str, scheme: str
) -> None:
    page = opened("own", size=size, color_scheme=scheme)
    page.locator("summary").click()
    for state in ("", STATES[2], STATES[4]):
        page.evaluate(f"location.hash = '{state}'")
        settled(page)
        assert page.evaluate(OVERLAPS) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_page_that_is_made_narrow_is_drawn_again_for_its_width(opened: Any) -> None:
    page = opened()
    page.set_viewport_size({"width": 360, "height": 740})
    until(page, "document.querySelector('#by-gamma svg').viewBox.baseVal.width < 360")
    assert page.evaluate(OVERLAPS) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_dragging_draws_within_a_frame(opened: Any) -> None:
    page = opened("own")  # with bands, which take the longest
    session = page.context.new_cdp_session(page)
    spent = []
    for i in range(40):
        before = metrics(session)["ScriptDuration"]
        page.evaluate("""async (i) => {
          const range = document.querySelector('#r-alpha');
          range.value = 0.5 + 0.01 * i;
          range.dispatchEvent(new Event('input'));
          await new Promise((r) => requestAnimationFrame(r));
          await new Promise((r) => setTimeout(r));
        }""", i)  # fmt: skip
        spent.append(metrics(session)["ScriptDuration"] - before)
    assert 0.0 < np.median(spent) < 1.0 / 60.0


def test_what_is_copied_holds_the_numbers_and_a_picture(opened: Any) -> None:
    page = opened("own")
    for name, columns in (("by-gamma", 5), ("by-scale", 4), ("surface", 3)):
        csv, svg = page.locator(f"#{name} .tools button").all()
        page.evaluate("howspec.copied = ''")
        csv.click()
        until(page, "howspec.copied")
        rows = [line.split(",") for line in page.evaluate("howspec.copied").strip().split("\n")]
        assert {len(r) for r in rows} == {columns}
        assert all(np.isfinite(float(v)) for r in rows[1:] for v in r)
        svg.click()
        until(page, "howspec.copied.startsWith('<svg')")
        root = ElementTree.fromstring(page.evaluate("howspec.copied"))
        assert len([e for e in root.iter() if e.tag.endswith("}path")]) > 3
        assert "var(" not in page.evaluate("howspec.copied")
    page.locator("#copy-command").click()
    until(page, "howspec.copied.startsWith('howspec predict')")


def test_names_from_a_table_stay_text_and_its_points_and_bands_are_drawn(opened: Any) -> None:
    page = opened("own")
    assert HOSTILE in page.locator("#measured option:checked").inner_text()
    assert page.locator("img").count() == 0
    assert page.locator("#by-gamma .measured").count() == len(SPEEDS)
    assert page.locator(".band").count() == 2
    page.locator("#fit").click()
    settled(page)
    found = page.evaluate("howspec.answer().byGamma")
    assert [1.0 / found[k] for k, _, _ in SPEEDS] == pytest.approx(
        [s for _, s, _ in SPEEDS], rel=0.05
    )


def test_without_a_posterior_there_is_no_band_and_the_papers_points_lie_on_the_curves(
    opened: Any,
) -> None:
    page = opened()
    assert page.locator(".band").count() == 0
    far = page.evaluate("""() => {
      const data = JSON.parse(document.querySelector('#data').textContent);
      const found = howspec.answer();
      const paper = data.measured.filter((m) => m.source === 'the paper' && m.fit.exponent);
      const own = paper.find((m) => m.id === howspec.state().measured);
      const byGamma = own.gamma.map((k, i) => found.byGamma[k] * own.speedup[i] - 1);
      const byScale = paper.map((m) => d3.least(found.curve, (p) => Math.abs(p.scale - m.scale))
        .latency * Math.max(...m.speedup) - 1);
      return [paper.length, d3.max(byGamma, Math.abs), d3.max(byScale, Math.abs)];
    }""")
    assert far[0] == 4
    assert far[1] < 0.03
    assert far[2] < 0.03
    cells = page.evaluate("""() => {
      const data = JSON.parse(document.querySelector('#data').textContent);
      const paper = (m) => m.source === 'the paper' && m.target === 'BLOOM-7.1B';
      return d3.sum(data.measured.filter(paper), (m) => m.gamma.filter((k) => k >= 1).length);
    }""")
    assert page.locator("#surface .cell").count() == cells == 35


def test_a_printed_page_keeps_the_charts_and_leaves_the_buttons_out(opened: Any) -> None:
    page = opened()
    page.emulate_media(media="print")
    assert page.locator("#copy-link").is_visible() is False
    assert page.locator("#surface svg").is_visible()
    assert page.evaluate(OVERLAPS) == []
