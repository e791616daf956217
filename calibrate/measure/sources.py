"""Where models come from, and what can be said of them before torch is imported.

With families of models by name, and their architectures without a download.
"""

from __future__ import annotations

import hashlib
import os
import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import resources
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class FamilyModel:
    """One model: the name used here, its name on the hub, its published number of parameters."""

    family: str
    name: str
    hub: str
    parameters: int
    model_type: str | None
    architecture: dict[str, Any]


@cache
def family_models() -> dict[str, FamilyModel]:
    """All models of `families.toml` by lower-case name."""
    text = resources.files(__package__).joinpath("families.toml").read_text(encoding="utf-8")
    found: dict[str, FamilyModel] = {}
    for family, entry in tomllib.loads(text).items():
        shared = entry.get("architecture", {})
        for model in entry["models"]:
            found[model["name"].lower()] = FamilyModel(
                family,
                model["name"],
                model["hub"],
                model["parameters"],
                entry.get("model_type"),
                shared | model.get("architecture", {}),
            )
    return found


def family_model(name: str) -> FamilyModel | None:
    """A model of the families by name, upper or lower case, or None."""
    return family_models().get(name.lower())


def bundled_architecture(name: str) -> FamilyModel:
    """A model of the families that has an architecture. Raises ValueError listing them."""
    model = family_model(name)
    if model is None or model.model_type is None:
        known = ", ".join(m.name for m in family_models().values() if m.model_type)
        raise ValueError(f"no bundled architecture is named {name!r}; there are {known}")
    return model


def config_from_family(name: str) -> Any:
    """The configuration of transformers of a named model, from the bundled architecture."""
    from transformers import AutoConfig

    model = bundled_architecture(name)
    return AutoConfig.for_model(model.model_type, **model.architecture)


DTYPES = ("float32", "bfloat16", "float16")
_WHOLE = 1 << 28  # bytes of weights up to which all of them are hashed
_PATIENCE_S = 5.0  # for the first answer of the hub
_HUB_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")


def check_device(device: str) -> None:
    """Raise ValueError for what is no device that models are measured on."""
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", device):
        raise ValueError(f"device must be auto, cpu or cuda, given {device!r}")


def check_dtype(dtype: str) -> None:
    """Raise ValueError for what is no number format that models are measured in."""
    if dtype not in ("auto", *DTYPES):
        raise ValueError(f"dtype must be auto or one of {', '.join(DTYPES)}, given {dtype!r}")


def check_models(given: Sequence[str], *, random_weights: bool = False) -> None:
    """Raise ValueError for a model that cannot be found, and for two that would share a name."""
    names: set[str] = set()
    for one in given:
        if model_called(one) in names:
            raise ValueError(
                f"two of the models are named {model_called(one)}: each must have its own name"
            )
        names.add(model_called(one))
    for one in given:
        source = model_source(one, random_weights=random_weights)
        bundled = random_weights and family_model(one) is not None
        if not Path(source).exists() and not bundled and only_here(source):
            _require_cached(source)


def named_models(
    target: str | None, drafts: Sequence[str], family: str | Path | None
) -> tuple[str, list[str]]:
    """(target, drafts), by name or of the folder of a family. Raises ValueError where one lacks."""
    if family is not None:
        if target is not None:
            raise ValueError("a family brings its own target: give a family or a target, not both")
        target, drafts = _of_family(Path(family), drafts)
    if target is None or not drafts:
        raise ValueError("a target and at least one draft are needed, or the folder of a family")
    return target, list(drafts)


def model_called(given: str) -> str:
    """The name of a model in a record: of a released one, of its folder, or as it was given."""
    found, path = family_model(given), Path(given).expanduser()
    if path.suffix.casefold() == ".gguf" and path.is_file():
        return path.stem
    return found.name if found else (path.resolve().name if path.exists() else given)


def _of_family(folder: Path, wanted: Sequence[str]) -> tuple[str, list[str]]:
    from ..family.record import read_family

    models = read_family(folder)["models"]
    target = next(m["name"] for m in models if m["role"] == "target")
    known = [m["name"] for m in models if m["role"] != "target"]
    missing = [name for name in wanted if name not in known]
    if missing:
        raise ValueError(f"the family has drafts {', '.join(known)}, got {missing[0]}")
    return str(folder / target), [str(folder / name) for name in wanted or known]


def model_source(given: str, *, random_weights: bool) -> str:
    """What transformers is asked for: a folder or a name of the hub. Raises ValueError."""
    path = Path(given).expanduser()
    if path.is_dir():
        _require_files(given, path, weights=not random_weights)
        return str(path)
    if path.is_file():
        if is_gguf(path) or (random_weights and path.suffix == ".json"):
            return str(path)
        raise ValueError(
            f"{given}: is no model; give a folder, a .gguf file, or the JSON of a configuration "
            "together with random weights"
        )
    found = family_model(given)
    if found is not None:
        return found.hub
    if given.startswith((".", "/", "~")) or given.count("/") > 1 or given.endswith(".json"):
        raise ValueError(f"{given}: no such folder")
    return given


def is_gguf(path: Path) -> bool:
    """Whether a path is a file of GGUF, by its name and its first bytes.

    Raises ValueError for one that has the name alone.
    """
    if path.suffix.casefold() != ".gguf" or not path.is_file():
        return False
    with path.open("rb") as file:
        if file.read(4) != b"GGUF":
            raise ValueError(f"{path}: has the name of a GGUF file and is none")
    return True


def located(source: str) -> tuple[str, dict[str, str]]:
    """A source as transformers takes it: a folder or a name, and which file of GGUF in it.

    Raises ModuleNotFoundError where what reads GGUF is missing.
    """
    path = Path(source)
    if not is_gguf(path):
        return source, {}
    import accelerate  # noqa: F401
    import gguf  # noqa: F401

    return str(path.parent), {"gguf_file": path.name}


def _require_files(given: str, path: Path, *, weights: bool) -> None:
    """Raise ValueError where a folder is no model, or has no weights of a kind that is loaded."""
    held = {suffix: any(path.glob(f"*{suffix}")) for suffix in (".safetensors", ".gguf")}
    if not held[".safetensors"] and held[".gguf"]:
        raise ValueError(
            f"{given}: a folder of GGUF is no model: give one of its .gguf files, or the folder of "
            "safetensors that they were made from"
        )
    if not (path / "config.json").is_file():
        raise ValueError(f"{given}: the folder has no config.json, so it is no model")
    if not weights or held[".safetensors"]:
        return
    if any(path.glob("*.bin")) or any(path.glob("*.pt")):
        raise ValueError(
            f"{given}: the weights are pickled (.bin), which are not loaded: convert them to "
            "safetensors"
        )
    raise ValueError(f"{given}: the folder has no weights (*.safetensors)")


@lru_cache
def only_here(source: str) -> bool:
    """Whether a model can come from this machine alone: a folder, or the hub does not answer.

    Asked once, with an end to the patience: its own client tries again for half a minute.
    """
    import socket
    import urllib.error
    import urllib.request

    offline = os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")
    if Path(source).exists() or offline:
        return True
    hub = os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")
    request = urllib.request.Request(f"{hub}/api/models/{source}", method="HEAD")
    try:
        urllib.request.urlopen(request, timeout=_PATIENCE_S).close()
    except urllib.error.HTTPError:
        return False  # it answers; what it says of the model is its own client's business
    except (urllib.error.URLError, TimeoutError) as error:
        reason = getattr(error, "reason", error)
        return isinstance(reason, socket.gaierror | ConnectionError | TimeoutError)
    return False


def _require_cached(source: str) -> None:
    """Raise ValueError for a name of the hub of which nothing was downloaded before."""
    from huggingface_hub import try_to_load_from_cache

    if not _HUB_NAME.fullmatch(source):
        raise ValueError(f"{source}: is no folder here, and no name that the hub could know")
    if not isinstance(try_to_load_from_cache(source, "config.json"), str):
        raise ValueError(
            f"{source}: is no folder here, was not downloaded before, and the hub cannot be reached"
        )


def folder_hash(folder: Path) -> str:
    """The first 16 digits of a hash of a model's configuration and weights; of a file of GGUF too.

    Of weights above 256 MiB together, the size and the first mebibyte of each file stand for all.
    """
    alone = folder.is_file()
    digest = hashlib.sha256(b"" if alone else (folder / "config.json").read_bytes())
    files = [folder] if alone else sorted(folder.glob("*.safetensors"))
    whole = sum(f.stat().st_size for f in files) <= _WHOLE
    for file in files:
        digest.update(f"{file.name} {file.stat().st_size}".encode())
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
                if not whole:
                    break
    return digest.hexdigest()[:16]
