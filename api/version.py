"""The version of howspec, wherever it runs from."""

from __future__ import annotations


def version() -> str:
    """The version of the installed package, or of the checkout that is used without installing."""
    import tomllib
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed
    from pathlib import Path

    # Beside a package that is installed may lie the pyproject.toml of a stranger.
    project = Path(__file__).resolve().parent.parent / "pyproject.toml"
    if project.is_file():
        stated = tomllib.loads(project.read_text(encoding="utf-8")).get("project", {})
        if stated.get("name") == "howspec":
            return str(stated["version"])
    try:
        return installed("howspec")
    except PackageNotFoundError:
        raise ImportError(f"howspec is neither installed nor a checkout: no {project}") from None
