"""`howspec compare`: two measured servers beside each other."""

from __future__ import annotations

from typing import Annotated

from .answering import Given, answering
from .commands import Argument


@answering("first second level seed html as_json")
def compare(
    given: Given,
    first: Annotated[str, Argument(help="A record of `howspec measure`, such as before.")],
    second: Annotated[str, Argument(help="Another one, such as after.")],
) -> None:
    """Compare two measured servers: what changed, how sure that is, and what explains it.

    Waves of the same prompts are compared with one another. A change of speed is split into how
    many steps of the target a second makes, and how many tokens a step gives.

    Example:

    howspec compare served/plain.json served/k3.json
    """
