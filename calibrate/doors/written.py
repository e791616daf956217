"""Laws as they are written in a line of text and in files."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..files import utf8

if TYPE_CHECKING:
    from types import ModuleType

    from ...theory import AcceptanceLaw, CostLaw


def acceptance_law(text: str) -> AcceptanceLaw:
    """The law written as ``name:parameter=value,...``, such as depth:alpha=0.8,decay=0.95.

    A list of values is written with slashes. Raises ValueError naming what is wrong.
    """
    from ...theory import acceptance

    name, parameters = split(text)
    law: AcceptanceLaw = _make(_named(acceptance, "Acceptance"), name, parameters, "acceptance law")
    return law


def cost_law(path: str) -> tuple[CostLaw, bool]:
    """(law, whether its times are seconds) from a JSON file {"law": name, parameters...}.

    A parameter that is itself a law, such as the passes of target and draft, is an object of the
    same form. "unit" is "s" or "step"; without it, an affine law without "step" counts plain steps
    and every other law seconds.
    """
    try:
        with utf8(path):
            given = json.loads(Path(path).read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}: not JSON: {error}") from None
    except RecursionError:
        raise ValueError(f"{path}: is nested too deeply to be a law") from None
    if not isinstance(given, dict) or "law" not in given:
        raise ValueError(f'{path}: expected an object with "law" and its parameters')
    default = "step" if given["law"] == "affine" and "step" not in given else "s"
    unit = given.pop("unit", default)
    if unit not in ("s", "step"):
        raise ValueError(f'{path}: unit must be "s" or "step", got {unit!r}')
    law: CostLaw = _nested(given, ("Cost",), path)
    return law, unit == "s"


def split(text: str) -> tuple[str, dict[str, Any]]:
    """(name, parameters) of ``name:parameter=value,...``; a list of values has slashes."""
    name, _, rest = text.partition(":")
    parameters: dict[str, Any] = {}
    for part in filter(None, rest.split(",")):
        key, equals, value = part.partition("=")
        if not equals or not key or key in parameters:
            raise ValueError(f"expected name:parameter=value,... each once, got {text!r}")
        values = [_number(v) for v in value.split("/")]
        parameters[key.strip()] = values if len(values) > 1 else values[0]
    return name.strip(), parameters


def _number(text: str) -> Any:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _named(module: ModuleType, *endings: str) -> dict[str, type]:
    """The public classes of a module by name: BetaRequestAcceptance is beta-request."""
    found = {}
    for ending in endings:
        for name, kind in vars(module).items():
            if name.endswith(ending) and hasattr(kind, "__dataclass_fields__"):
                stem = re.sub(r"(?<=[a-z])(?=[A-Z][a-z])", "-", name.removesuffix(ending))
                found[stem.lower()] = kind
    return found


def _nested(given: dict[str, Any], endings: tuple[str, ...], where: str) -> Any:
    from ...theory import costs

    parameters = {}
    for key, value in given.items():
        if isinstance(value, dict) and "law" in value:
            value = _nested(value, ("Pass",), f"{where}, {key}")
        parameters[key] = tuple(value) if isinstance(value, list) else value
    name = parameters.pop("law")
    return _make(_named(costs, *endings), name, parameters, where)


def _make(laws: dict[str, type], name: Any, parameters: dict[str, Any], where: str) -> Any:
    if name not in laws:
        raise ValueError(f"{where}: law must be one of {', '.join(sorted(laws))}, got {name!r}")
    law = laws[name]
    fields = {k: f for k, f in law.__dataclass_fields__.items() if f.init}  # type: ignore[attr-defined]
    needed = [k for k, f in fields.items() if _required(f)]
    check_names(f"{where}: law {name}", parameters, set(fields), needed)
    try:
        made = law(**parameters)
        made.shape  # noqa: B018 - a part that is no law fails here, not in the middle of a run
        return made
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
    except (TypeError, AttributeError):  # a list or a word where the law expects another law
        raise ValueError(f"{where}: law {name} cannot be made of {parameters}") from None


def _required(field: Any) -> bool:
    from dataclasses import MISSING

    return field.default is MISSING and field.default_factory is MISSING


def check_names(what: str, given: dict[str, Any], known: set[str], needed: list[str]) -> None:
    """Raise ValueError for parameters that are not known, or that are missing."""
    strange = [key for key in given if key not in known]
    if strange:
        raise ValueError(f"{what} takes {', '.join(sorted(known))}, got {strange[0]!r}")
    missing = [key for key in needed if key not in given]
    if missing:
        raise ValueError(f"{what} needs {', '.join(missing)}")
