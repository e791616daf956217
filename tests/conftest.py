"""Property tests draw the same examples in every run, so that a green tree stays green.

Set HOWSPEC_EXPLORE=1 to draw new ones, which is how counterexamples are hunted. HOWSPEC_LOCKED=1,
which `make test` sets, says that the versions are those of the lock: then every warning that
howspec or a test causes is an error, since no release of a dependency can bring a new one.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

settings.register_profile("repeat", derandomize=True, deadline=None, database=None)
settings.register_profile("explore", deadline=None, database=None, print_blob=True)
settings.load_profile("explore" if os.environ.get("HOWSPEC_EXPLORE") else "repeat")

CAUSED_HERE = (
    "error:::(howspec|test_)",
    "error::FutureWarning:torch.nn.modules.module",  # calls a model's forward for howspec
    "error::ResourceWarning",
    "error::pytest.PytestUnraisableExceptionWarning",
    "error::pytest.PytestUnhandledThreadExceptionWarning",
)


def pytest_configure(config: pytest.Config) -> None:
    if os.environ.get("HOWSPEC_LOCKED"):
        for line in CAUSED_HERE:
            config.addinivalue_line("filterwarnings", line)
