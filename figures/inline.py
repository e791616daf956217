"""A figure as SVG inside a page: in the page's own text colour, its points named on hover."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary
from xml.etree import ElementTree

from .style import styled

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.collections import PathCollection
    from matplotlib.figure import Figure

_SVG = "http://www.w3.org/2000/svg"
_NAMES: WeakKeyDictionary[Artist, tuple[str, ...]] = WeakKeyDictionary()
_DARK = re.compile(r"#([0-7][0-9a-f])\1\1\b")  # black and dark grey: what is written, not data


def name_points(points: PathCollection, names: Sequence[str]) -> None:
    """Give every point of a scatter a name, which a page shows on hover; one name a point."""
    _NAMES[points] = tuple(names)


@styled
def inline_svg(made: Figure, label: str) -> str:
    """The figure as an <svg> element without size: text follows the colour of the page around it.

    label: said to who cannot see the figure. The same figure gives the same text.
    """
    named = [(c, _NAMES[c]) for c in made.findobj(lambda a: a in _NAMES)]
    for i, (points, _) in enumerate(named):
        points.set_gid(f"named-{i}")
    file = io.StringIO()
    made.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    root = ElementTree.fromstring(file.getvalue())
    for name in ("metadata", "defs"):  # a licence of nothing, and a style that would leak
        for child in root.findall(f"{{{_SVG}}}{name}"):
            root.remove(child)
    width, height = (root.attrib.pop(name).removesuffix("pt") for name in ("width", "height"))
    root.set("style", f"stroke-linejoin: round; aspect-ratio: {width} / {height}")
    root.set("fill", "currentColor")
    root.set("role", "img")
    root.set("aria-label", label)
    for element in root.iter():
        for key in ("style", "fill", "stroke"):
            if key in element.attrib:
                element.set(key, _DARK.sub("currentColor", element.attrib[key]))
    for i, (_, names) in enumerate(named):
        _add_titles(root, f"named-{i}", names)
    ElementTree.register_namespace("", _SVG)
    ElementTree.register_namespace("xlink", "http://www.w3.org/1999/xlink")
    return ElementTree.tostring(root, encoding="unicode")


def _add_titles(root: ElementTree.Element, group: str, names: Sequence[str]) -> None:
    found = root.find(f".//*[@id='{group}']")
    assert found is not None
    marks = list(found.iter(f"{{{_SVG}}}use"))
    assert len(marks) == len(names), f"{len(marks)} points drawn, {len(names)} named"
    for mark, name in zip(marks, names, strict=True):
        ElementTree.SubElement(mark, f"{{{_SVG}}}title").text = name
