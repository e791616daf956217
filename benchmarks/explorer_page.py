"""How large the page of `howspec explore` is, how soon it answers, and how smoothly it is dragged.

    python explorer_page.py [--repeats 5] [--seconds 2]

Opens the page in the installed Chromium without a window, and drags every slider with the mouse:
frames a second, and what drawing one takes. A screen shows 60, which leaves 16.7 ms for each.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import howspec
import numpy as np
from playwright.sync_api import sync_playwright

# One entry a frame: when it was shown, and what its drawing took [ms].
WATCH = """() => {
  window.frames_ = [];
  const each = (at) => { window.frames_.push([at, window.howspec.drawn]); again(); };
  const again = () => { window.waiting = requestAnimationFrame(each); };
  again();
}"""
ENOUGH = "() => { cancelAnimationFrame(window.waiting); return window.frames_; }"


def dragged(page: Any, slider: Any, seconds: float) -> tuple[np.ndarray, np.ndarray]:
    """Times between frames and of drawing [ms] while the slider goes to and fro."""
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] / 2, middle)
    page.mouse.down()
    page.evaluate(WATCH)
    begin = time.monotonic()
    while (passed := time.monotonic() - begin) < seconds:
        page.mouse.move(box["x"] + box["width"] * (0.5 + 0.45 * np.sin(4 * passed)), middle)
    frames = np.array(page.evaluate(ENOUGH))
    page.mouse.up()
    return np.diff(frames[:, 0]), frames[:, 1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0)
    asked = parser.parse_args()
    browser_path = shutil.which("chromium") or shutil.which("google-chrome")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        path = howspec.explore(acceptance=0.8, costs=0.05).write(Path(folder) / "page.html")
        print(f"{path.stat().st_size / 1e6:.2f} MB")
        browser = driver.chromium.launch(executable_path=browser_path, args=["--no-sandbox"])
        ready = []
        for _ in range(asked.repeats):
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            page.goto(path.as_uri())
            page.wait_for_function("window.howspec && window.howspec.ready")
            ready.append(float(page.evaluate("howspec.ready")))
        print(f"ready after {np.median(ready):.0f} ms, at most {max(ready):.0f}")
        print(f"{'slider':16}{'frames/s':>10}{'longest ms':>12}{'drawing ms':>12}{'95 %':>8}")
        for slider in page.locator("input[type=range]").all():
            if slider.is_visible():
                between, drawing = dragged(page, slider, asked.seconds)
                print(
                    f"{slider.get_attribute('id'):16}{1e3 / between.mean():10.1f}"
                    f"{between.max():12.1f}{np.median(drawing):12.1f}"
                    f"{np.quantile(drawing, 0.95):8.1f}"
                )
        browser.close()


if __name__ == "__main__":
    main()
