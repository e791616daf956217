"""Options that the verbs which measure models share."""

from __future__ import annotations

from typing import Annotated

import typer

Out = Annotated[str, typer.Option(help="File of the record, .json, or its folder.")]
Family = Annotated[
    str | None, typer.Option(help="Folder of a trained family: its target, drafts and text.")
]
Target = Annotated[
    str | None, typer.Option(help="Target: a folder, a hub name, or a name such as Pythia-2.8B.")
]
Draft = Annotated[
    list[str] | None, typer.Option(help="Draft, the same way; several times, or with commas.")
]
Prompts = Annotated[
    str | None, typer.Option(help="Prompts: .jsonl or .txt, .gz or .xz; default built in.")
]
Field = Annotated[str, typer.Option(help="Field of the prompt in JSONL.")]
Requests = Annotated[
    int | None, typer.Option(help="Prompts of each domain; default all, of a family 4.")
]
PromptTokens = Annotated[int, typer.Option(help="Tokens that prompts are cut to.")]
NewTokens = Annotated[int, typer.Option(help="Tokens of every request.")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
Dtype = Annotated[str, typer.Option(help="auto, float32, bfloat16 or float16.")]
TrustRemoteCode = Annotated[bool, typer.Option(help="Run code that comes with a model.")]
StageSeconds = Annotated[
    float | None, typer.Option(help="Stop after about so many seconds; the same command goes on.")
]
