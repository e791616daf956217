"""Do the tests notice a wrong sign? Mutates the theory one operator at a time and runs its tests.

For every module of theory/ that computes something, a few single changes are drawn from its syntax
tree (a sign, an exponent, a product, a constant by one, a comparison), at least one in a formula
and one in a numeric function where it has both. Each is made in a temporary copy of the project
and the tests of that module are run there; a change that no test notices is a survivor and is
printed with its line. The checkout itself is never written to.

    python benchmarks/mutations.py --module trees.value --mutants 5 --jobs 2

Exit status: 0 where every change was caught, 1 otherwise. A survivor is not always a missing test:
a change can be without effect (an extra Newton step), which is for a reader to judge.
"""

from __future__ import annotations

import argparse
import ast
import os
import queue
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from mutation_sites import Mutation, apply, sample, sites

ROOT = Path(__file__).resolve().parent.parent
LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv", ".hypothesis", "__pycache__", "*_cache", "out", "build", "wheels", "*.pyc"
)
# The tests of a module, where they are not simply those that import it.
TESTS = {
    "rounds": ["test_rounds"],
    "speedup": ["test_speedup"],
    "optimum": ["test_optimum"],
    "regret": ["test_optimum"],
    "domain": ["test_symbols_domain", "test_blocks"],
    "symbols": ["test_symbols_domain"],
    "formula": ["test_symbols_domain"],
    "catalogue": ["test_formulas"],
    "either": ["test_schedules", "test_ceilings"],
    "acceptance.law": ["test_acceptance_core"],
    "costs.law": ["test_costs_core"],
    "trees.value": ["test_tree_value"],
    "trees.optimal": ["test_tree_optimal", "test_tree_growth"],
    "trees.several": ["test_several_drafts"],
    "trees.rejection": ["test_several_drafts"],
    "trees.verification": ["test_verification"],
    "trees.block": ["test_block"],
}
# Hypothesis finds a failure as fast without shrinking it, and no run may learn from another.
PROFILE = """
from hypothesis import Phase, settings
settings.register_profile(
    "mutations", phases=[Phase.explicit, Phase.generate], database=None, derandomize=True
)
settings.load_profile("mutations")
"""


@dataclass(frozen=True)
class Outcome:
    """What the tests said of a mutation: caught, survived, timed out, or broken (no verdict)."""

    verdict: str
    line: int
    before: str
    after: str


def modules(house: Path) -> Iterator[str]:
    """Dotted names, below theory, of the modules in which something is computed."""
    for path in sorted((house / "theory").rglob("*.py")):
        if path.name != "__init__.py" and sites(path.read_bytes()):
            yield ".".join(path.relative_to(house / "theory").with_suffix("").parts)


def source_of(house: Path, module: str) -> Path:
    """The file of a module in a copy of the project."""
    return house.joinpath("theory", *module.split(".")).with_suffix(".py")


def tests_of(house: Path, module: str) -> list[str]:
    """Its own tests, what is refused, and the check of worked values where it states a formula."""
    found = own_tests_of(house, module)
    text = source_of(house, module).read_text(encoding="utf-8")
    if found and "@equation(" in text:
        found.append("tests/theory/test_formulas.py")
    if found:
        found.append("tests/theory/test_refused.py")
    return list(dict.fromkeys(found))


def own_tests_of(house: Path, module: str) -> list[str]:
    """Files of tests of a module: of the table, those that import it, or those that use its names.

    The last is for modules that their package exports for them.
    """
    if module in TESTS:
        return [f"tests/theory/{name}.py" for name in TESTS[module]]
    dotted = re.compile(rf"howspec\.theory\.{re.escape(module)}\b")
    parent, _, leaf = module.rpartition(".")
    from_parent = re.compile(rf"from howspec\.theory\.?{re.escape(parent)} import [^\n]*\b{leaf}\b")
    found = []
    for path in sorted((house / "tests").rglob("test_*.py")):
        text = path.read_text(encoding="utf-8")
        if dotted.search(text) or from_parent.search(text):
            found.append(str(path.relative_to(house)))
    if found:
        return found
    tree = ast.parse(source_of(house, module).read_text(encoding="utf-8"))
    public = [
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
    ]
    if not public:
        return []
    used = re.compile(rf"\b({'|'.join(public)})\(")
    imports = re.compile(rf"from howspec\.theory\.{re.escape(parent)}\b")
    for path in sorted((house / "tests").rglob("test_*.py")):
        text = path.read_text(encoding="utf-8")
        if imports.search(text) and used.search(text):
            found.append(str(path.relative_to(house)))
    return found


class Copies:
    """Copies of the project, each importable as ``howspec`` through a link beside it.

    ``master`` is one more, never changed: all texts are read there, since the checkout may be
    edited during the run.
    """

    def __init__(self, folder: Path, count: int) -> None:
        self.free: queue.Queue[Path] = queue.Queue()
        self.master = folder / "master"
        shutil.copytree(ROOT, self.master, ignore=LEFT_OUT, symlinks=True)
        for number in range(count):
            house = folder / str(number) / "house"
            shutil.copytree(self.master, house, symlinks=True)
            names = folder / str(number) / "names"
            names.mkdir()
            (names / "howspec").symlink_to(house, target_is_directory=True)
            (names / "mutation_profile.py").write_text(PROFILE, encoding="utf-8")
            self.free.put(house)

    def run(self, module: str, changed: bytes | None, tests: list[str], timeout: float) -> str:
        """``passed``, ``failed``, ``timed out`` or ``broken``: the tests with the changed text."""
        house = self.free.get()
        path = source_of(house, module)
        original = path.read_bytes()
        environment = os.environ | {
            "PYTHONPATH": str(house.parent / "names"),
            "PYTHONDONTWRITEBYTECODE": "1",  # a stale cache would hide a change of equal length
        }
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "mutation_profile", *tests]
        try:
            if changed is not None:
                path.write_bytes(changed)
            done = subprocess.run(
                command, cwd=house, env=environment, capture_output=True, timeout=timeout
            )
        except subprocess.TimeoutExpired:
            return "timed out"
        finally:
            path.write_bytes(original)
            self.free.put(house)
        if done.returncode and changed is None:
            print(done.stdout.decode()[-2000:], file=sys.stderr)
        # 1: a test failed; 2: a module no longer imports. The rest is no verdict on the change.
        return {0: "passed", 1: "failed", 2: "failed"}.get(done.returncode, "broken")


def judge(copies: Copies, module: str, change: Mutation, timeout: float) -> Outcome:
    """Make one change, run the module's tests, and say whether they noticed.

    A run that times out is its own verdict: it may be an endless loop or only a busy machine.
    """
    source = source_of(copies.master, module).read_bytes()
    changed = apply(source, change)
    verdict = copies.run(module, changed, tests_of(copies.master, module), timeout)
    before = source.splitlines()[change.line - 1].decode().strip()
    after = changed.splitlines()[change.line - 1].decode().strip()
    names = {"passed": "survived", "failed": "caught"}
    return Outcome(names.get(verdict, verdict), change.line, before, after)


def main() -> int:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--module", action="append", help="below theory, e.g. trees.value; repeat")
    parser.add_argument("--mutants", type=int, default=3, help="changes per module (default 3)")
    parser.add_argument("--seed", type=int, default=0, help="of the sample (default 0)")
    parser.add_argument("--jobs", type=int, default=1, help="runs side by side (default 1)")
    parser.add_argument("--timeout", type=float, default=300, help="seconds per run (default 300)")
    options = parser.parse_args()

    with tempfile.TemporaryDirectory(prefix="mutations-") as folder:
        copies = Copies(Path(folder), options.jobs)
        every = list(modules(copies.master))
        names = options.module or every
        wanted = [m for m in every if any(m == n or m.startswith(n + ".") for n in names)]
        if not wanted:
            parser.error(f"--module must be among {', '.join(every)}, got {names}")
        print(f"{'module':<28}{'mutants':>8}{'caught':>8}  not caught")
        with ThreadPoolExecutor(options.jobs) as pool:
            left = sum(report(pool, copies, module, options) for module in wanted)
    return 1 if left else 0


def report(
    pool: ThreadPoolExecutor, copies: Copies, module: str, options: argparse.Namespace
) -> int:
    """Judge a module's sample, print its row and what was not caught; the number of those."""
    tests = tests_of(copies.master, module)
    if not tests:
        print(f"{module:<28}{0:>8}{0:>8}  no test imports it", flush=True)
        return 1
    if copies.run(module, None, tests, options.timeout) != "passed":
        print(f"{module:<28}{0:>8}{0:>8}  its tests fail unchanged", flush=True)
        return 1
    source = source_of(copies.master, module).read_bytes()
    chosen = sample(sites(source), options.mutants, seed=f"{options.seed}:{module}")
    outcomes = list(pool.map(lambda m: judge(copies, module, m, options.timeout), chosen))
    left = [o for o in outcomes if o.verdict != "caught"]
    print(f"{module:<28}{len(outcomes):>8}{len(outcomes) - len(left):>8}  {len(left)}", flush=True)
    for outcome in left:
        print(f"    line {outcome.line} {outcome.verdict}: {outcome.before}")
        print(f"    {'':<{len(f'line {outcome.line} {outcome.verdict}') - 2}}->  {outcome.after}")
    return len(left)


if __name__ == "__main__":
    sys.exit(main())
