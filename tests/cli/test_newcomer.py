"""What somebody meets who knows no more than `import howspec as hs`, `help()` and the tab key."""

from __future__ import annotations

import pydoc
from collections.abc import Callable
from typing import Any

import howspec as hs
import pytest

PAIR: dict[str, Any] = {"target": "Llama-3.1-8B", "draft": "Llama-3.2-1B", "device": "H100"}
ASKED: dict[str, Callable[[], Any]] = {
    "predict": lambda: hs.predict(**PAIR),
    "rank": lambda: hs.rank(
        target="Llama-3.1-8B", drafts=["Llama-3.2-1B", "EAGLE3"], device="H100"
    ),
    "scale": lambda: hs.scale(target="Llama-3.1-8B", device="H100"),
    "crossover": lambda: hs.crossover(**PAIR),
    "schedule": lambda: hs.schedule(**PAIR, engine="vllm", batch_max=16),
    "explain": lambda: hs.explain(
        **PAIR, baseline_tokens_per_s=100, speculative_tokens_per_s=120, acceptance=0.7, gamma=4
    ),
    "evidence": lambda: hs.evidence(target="Llama-3.1-8B"),
}


@pytest.mark.parametrize("verb", ASKED)
def test_each_question_is_one_call_with_a_short_answer(verb: str) -> None:
    found = ASKED[verb]()
    assert repr(found).startswith(f"<{type(found).__name__}: {found.headline()}")
    assert len(repr(found)) < 400
    assert "\n" not in repr(found)
    seen = [name for name in dir(found) if not name.startswith("_")]
    assert {"headline", "notes", "plot", "table", "to_frame", "to_html", "to_json"} <= set(seen)
    assert len(seen) < 30
    assert str(found).startswith(found.headline())


@pytest.mark.parametrize("name", [n for n in dir(hs) if not n.startswith("_")])
def test_help_is_one_screen_that_names_every_argument_it_explains(name: str) -> None:
    page = pydoc.plain(pydoc.render_doc(getattr(hs, name)))
    assert len(page.splitlines()) <= 40
    assert getattr(hs, name).__doc__.splitlines()[0].endswith(".")


def test_the_tab_key_offers_functions_and_no_modules() -> None:
    shown = [n for n in dir(hs) if not n.startswith("_")]
    assert len(shown) <= 30
    assert all(callable(getattr(hs, n)) for n in shown)
    for name in shown:  # and the module's own help tells of each
        assert f"`{name}`" in (hs.__doc__ or "")
