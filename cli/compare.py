"""`howspec compare`: two measured servers beside each other."""

from __future__ import annotations

from .answering import Given, answering
from .commands import Argument


@answering(
    "first second level seed html as_json",
    first=Argument("A record of `howspec measure`, such as before."),
    second=Argument("Another one, such as after."),
)
def compare(given: Given) -> None:
    """Compare two measured servers: what changed, how sure that is, and what explains it.

    Waves of the same prompts are compared with one another. A change of speed is split into how
    many steps of the target a second makes, and how many tokens a step gives.

    Example:

    howspec compare served/plain.json served/k3.json
    """
