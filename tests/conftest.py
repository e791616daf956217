"""Property tests draw the same examples in every run, so that a green tree stays green.

Set HOWSPEC_EXPLORE=1 to draw new ones, which is how counterexamples are hunted.
"""

from __future__ import annotations

import os

from hypothesis import settings

settings.register_profile("repeat", derandomize=True, deadline=None, database=None)
settings.register_profile("explore", deadline=None, database=None, print_blob=True)
settings.load_profile("explore" if os.environ.get("HOWSPEC_EXPLORE") else "repeat")
