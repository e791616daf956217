"""Tokens per round predicted from a walk at gamma = 3, against the walk itself at gamma = 1..12.

Usage: python trace_acceptance.py FOLDER

FOLDER holds *.jsonl.gz files, one JSON object per request, with lists accept_len_<drafter>: for
each generated position the tokens, bonus included, that a round started there would yield. Per file
and drafter it prints the tokens per round of the walk and the relative error, in percent, of

    alpha    one acceptance probability, censored maximum likelihood (independent acceptance)
    depth    a rate that changes by one factor per position
    markov   bursts
    table    the three measured conditional rates, the last one continued
    beta     one alpha per request, drawn from a Beta law
    all      the mean over every position as the start of a round; it reads the whole trace
"""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from howspec.theory.acceptance import (
    AcceptanceLaw,
    DepthAcceptance,
    choose_law,
    estimate_alpha,
    estimate_positional,
    fit_beta_request,
    fit_depth,
    fit_markov,
    offset_tokens,
    tokens_by_gamma,
    walk_counts,
)

MEASURED, LARGEST = 3, 12
PREFIX = "accept_len_"


def traces(folder: Path) -> Iterator[tuple[str, list[list[int]]]]:
    """(file and drafter, lists of yields per request) for every file of the folder."""
    for path in sorted(folder.glob("*.jsonl.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            rows = [json.loads(line) for line in lines]
        for key in sorted(k for k in rows[0] if k.startswith(PREFIX)):
            yield f"{path.name.split('.')[0]} {key.removeprefix(PREFIX)}", [r[key] for r in rows]


def table(rows: list[list[int]]) -> tuple[str, list[str]]:
    """(what the chooser says, printed lines) for one drafter on one file."""
    counts = walk_counts(rows, MEASURED)
    laws: dict[str, AcceptanceLaw] = {
        "alpha": DepthAcceptance(estimate_alpha(counts).alpha),
        "depth": fit_depth(counts),
        "markov": fit_markov(counts),
        "table": estimate_positional(counts).law("last"),
        "beta": fit_beta_request(counts),
    }
    gammas = range(1, LARGEST + 1)
    truth = np.array([1.0 + walk_counts(rows, g).accepted.mean() for g in gammas])
    columns = {name: tokens_by_gamma(law, LARGEST)[1:] for name, law in laws.items()}
    columns["all"] = np.array([offset_tokens(rows, g) for g in gammas])
    errors = {name: 100.0 * (value / truth - 1.0) for name, value in columns.items()}
    lines = ["gamma   walk " + "".join(f"{name:>9}" for name in errors)]
    for i, g in enumerate(gammas):
        lines.append(f"{g:5d} {truth[i]:6.3f} " + "".join(f"{e[i]:+9.2f}" for e in errors.values()))
    lines.append("largest      " + "".join(f"{abs(e).max():9.2f}" for e in errors.values()))
    return choose_law(counts).family, lines


def main() -> None:
    """Print the tables of the folder given on the command line."""
    if len(sys.argv) != 2 or not Path(sys.argv[1]).is_dir():
        print(__doc__)
        return
    for name, rows in traces(Path(sys.argv[1])):
        family, lines = table(rows)
        print(f"{name}: {len(rows)} requests, chosen law: {family}")
        print("\n".join(lines), end="\n\n")


if __name__ == "__main__":
    main()
