"""How many files of howspec a question passes through, and how often it changes folder on the way.

    python question_files.py [--files predict --target Qwen3-32B --draft Qwen3-0.6B --device H100]

Counts every file with a function that ran, in the order of the calls; what runs while a module is
imported (bodies of classes, decorators) is no step of a question. A change of folder is a call from
a file of one folder into a file of another. Each question is asked in a process of its own: what
one has read is not left out of the next.
"""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
from pathlib import Path
from types import FrameType

QUESTIONS = {
    "numbers": "predict --alpha 0.8 --cost-ratio 0.05",
    "pair": "predict --target Qwen3-32B --draft Qwen3-0.6B --device H100 --task chat",
    "head": "predict --target Llama-3.1-8B --draft EAGLE3 --device H100 --task chat",
    "schedule": "schedule --target Llama-3.1-8B --draft Llama-3.2-1B --device H100 --task chat",
}


def passed(arguments: list[str]) -> tuple[list[str], int, int]:
    """(files in order, calls that change the folder for the first time, all that change it)."""
    import howspec
    from howspec.cli.main import run

    root = Path(howspec.__file__).parent
    files: dict[str, None] = {}
    steps: set[tuple[str, str]] = set()
    changes = 0

    def own(frame: FrameType) -> str | None:
        path = frame.f_code.co_filename
        return path[len(str(root)) + 1 :] if path.startswith(f"{root}/") else None

    def imported(frame: FrameType | None) -> bool:
        while frame is not None and not (own(frame) and frame.f_code.co_name == "<module>"):
            frame = frame.f_back
        return frame is not None

    def watch(frame: FrameType, event: str, argument: object) -> None:
        nonlocal changes
        if event != "call" or (here := own(frame)) is None or imported(frame):
            return
        files.setdefault(here)
        before = frame.f_back
        while before is not None and own(before) is None:
            before = before.f_back
        there = None if before is None else own(before)
        if there is not None and Path(there).parent != Path(here).parent:
            changes += 1
            steps.add((there, here))

    with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
        sys.setprofile(watch)
        try:
            run(arguments)
        finally:
            sys.setprofile(None)
    return list(files), len(steps), changes


def main() -> None:
    """Count for the question that is given, or for each of `QUESTIONS` in a process of its own."""
    given = sys.argv[1:]
    if not given:
        for name, question in QUESTIONS.items():
            print(f"{name}: ", end="", flush=True)
            subprocess.run([sys.executable, __file__, *question.split()], check=True)
        return
    files, steps, changes = passed([word for word in given if word != "--files"])
    folders = len({Path(f).parent for f in files})
    print(f"{len(files)} files in {folders} folders, {steps} ways between files of two folders, "
          f"{changes} calls along them")  # fmt: skip
    if "--files" in given:
        print("\n".join(f"  {f}" for f in files))


if __name__ == "__main__":
    main()
