"""What holds for every test of figures."""

from __future__ import annotations

import pytest
from howspec.figures import style


@pytest.fixture(autouse=True)
def coarse_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures of few dots: what is tested is what they show, and that they are made."""
    monkeypatch.setitem(style._SETTINGS, "savefig.dpi", 40)
