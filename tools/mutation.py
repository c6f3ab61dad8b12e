"""Change the NumPy core in one place at a time, and see that a test notices: mutation testing.

`make mutation` tries a seeded sample of 400 mutants, `make mutation ALL=1` all of them. A run that
was interrupted goes on where it stopped. What stands in a function or class that has changed is
tried again, and so are the survivors that are not equivalent when a test has changed; `--fresh`
tries everything again. The mutants are Cosmic Ray's; each is made in a copy of the tree, so that no
file of yours is touched.

What is drawn is a place of the code first and one of its mutants after, since Cosmic Ray offers ten
for each `+` and one for each `and`. Annotations and `TYPE_CHECKING` blocks are never run, so
that no mutant is made of them.

`tests/survivors.toml` lists the mutants that no test notices: those that are equivalent, each with
the reason why it behaves like the original, and those that stay, with the reason why they may. The
run fails when fewer than 95 % of the others are killed, or when a survivor is not listed.
"""

from __future__ import annotations

import argparse
import ast
import functools
import hashlib
import itertools
import json
import multiprocessing
import os
import pickle
import random
import re
import shutil
import subprocess
import sys
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from coverage import CoverageData

ROOT = Path(__file__).resolve().parent.parent
WORK = ROOT / "_build" / "mutation"
SURVIVORS = ROOT / "tests" / "survivors.toml"
CORE = (
    "_checks",
    "_quadrature",
    "initializers",
    "article",
    "activations",
    "theory",
    "network",
    "diagnostics",
)  # not plots: how a picture looks is compared as a picture, with every run of the notebooks
TESTED_BY = {"_quadrature": "theory"}  # whose tests matter too
LEAST_KILLED = 0.95
LONGEST_TEST = 5.0  # seconds: a slower test function is tried only where it runs the line
SLOWEST = 5  # a mutant whose tests take this many times as long as the original's runs for ever


@dataclass(frozen=True)
class Mutant:
    """One change of one module, and how Cosmic Ray makes it."""

    module: str
    operator: str
    occurrence: int
    line: int
    column: int

    @property
    def path(self) -> Path:
        return Path("winit") / f"{self.module}.py"

    def code(self, original: str) -> str:
        """The module's text with this one change."""
        import cosmic_ray.plugins
        from cosmic_ray.mutating import mutate_code

        operator = cosmic_ray.plugins.get_operator(self.operator)()
        changed = mutate_code(original, operator, self.occurrence)
        if changed is None:
            raise LookupError(f"{self} is not in the module any more: delete {WORK}")
        return str(changed)


def never_run(code: str) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """The spans that no run evaluates: annotations, and what only a type checker reads."""
    nodes: list[ast.AST] = []
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, (ast.arg, ast.AnnAssign)) and node.annotation is not None:
            nodes.append(node.annotation)
        elif isinstance(node, ast.FunctionDef) and node.returns is not None:
            nodes.append(node.returns)
        elif isinstance(node, ast.If) and getattr(node.test, "id", None) == "TYPE_CHECKING":
            nodes.append(node)
    return [
        ((n.lineno, n.col_offset), (n.end_lineno, n.end_col_offset))  # type: ignore[attr-defined]
        for n in nodes
    ]


def changed_lines(original: str, changed: str) -> str:
    """How the survivors' list names a mutant: its lines before and after, wherever they stand."""
    before, after = original.splitlines(), changed.splitlines()
    while before and after and before[0] == after[0]:
        del before[0], after[0]
    while before and after and before[-1] == after[-1]:
        del before[-1], after[-1]
    return " ".join(" ".join(before).split()) + "  ->  " + " ".join(" ".join(after).split())


def all_mutants(module: str) -> list[Mutant]:
    """Every mutant of a module that differs from it in what runs."""
    from cosmic_ray.commands.init import _all_work_items

    path = ROOT / "winit" / f"{module}.py"
    idle = never_run(path.read_text(encoding="utf-8"))
    mutants = []
    for item in _all_work_items([path], {}):
        (spec,) = item.mutations
        if not any(start <= tuple(spec.start_pos) < end for start, end in idle):
            mutants.append(Mutant(module, spec.operator_name, spec.occurrence, *spec.start_pos))
    return mutants


def is_program(mutant: Mutant) -> bool:
    """Whether it compiles, which any test would notice, and to another program: 1e30 is 1e+30."""
    original = (ROOT / mutant.path).read_text(encoding="utf-8")
    try:
        changed = ast.parse(mutant.code(original))
    except SyntaxError:
        return False
    return ast.dump(changed) != ast.dump(ast.parse(original))


def sample(mutants: list[Mutant], size: int, seed: int) -> list[Mutant]:
    """`size` places drawn at random, and for each one of its mutants.

    A place's lot depends on the seed and on its line's text, so that a change elsewhere in the
    module leaves it in the sample.
    """
    lines = {
        module: (ROOT / "winit" / f"{module}.py").read_text(encoding="utf-8").splitlines()
        for module in {mutant.module for mutant in mutants}
    }
    places: dict[tuple[str, int, int], list[Mutant]] = defaultdict(list)
    for mutant in mutants:
        places[mutant.module, mutant.line, mutant.column].append(mutant)

    def lot(place: tuple[str, int, int]) -> bytes:
        module, line, column = place
        return hashlib.sha256(
            f"{seed} {module} {lines[module][line - 1]} {column}".encode()
        ).digest()

    order = sorted(sorted(places), key=lot)
    drawn = (random.Random(lot(place)).choice(places[place]) for place in order)
    return list(itertools.islice(filter(is_program, drawn), size))


def tests_of(module: str) -> set[str]:
    names = {module.strip("_"), TESTED_BY.get(module, module)}
    files = [path for name in names for path in (ROOT / "tests").glob(f"test_{name}*.py")]
    return {str(path.relative_to(ROOT)) for path in files}


def core_tests() -> list[str]:
    return sorted(set().union(*(tests_of(name) for name in (*CORE, "init"))))


def command(tests: list[str], *options: str) -> list[str]:
    flags = ["-x", "-q", "--no-header"]
    for plugin in ("cacheprovider", "xdist", "nbval", "anyio"):  # to load nbval alone takes 6 s
        flags += ["-p", f"no:{plugin}"]
    # what mypy and KaTeX say takes long, and is about the text; Keras takes long
    chosen = ["-m", "not long", "-k", "not type_checker and not katex and not in_keras"]
    return [sys.executable, "-m", "pytest", *flags, *chosen, *options, *tests]


def run_tests(tree: Path, tests: list[str], limit: float | None, *options: str) -> bool:
    """Whether all of these tests pass, within the limit in seconds."""
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1", "OPENBLAS_NUM_THREADS": "1"}
    process = subprocess.Popen(
        command(tests, *options),
        cwd=tree,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        return process.wait(limit) == 0
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return False


@dataclass(frozen=True)
class Map:
    """Which test functions run which line of the core, and how many seconds each takes."""

    running: dict[str, dict[int, list[str]]]  # module -> line -> names of test functions
    seconds: dict[str, float]

    @classmethod
    def measured(cls) -> Map:
        """From one run of the core's tests on the unchanged code, which must pass them."""
        kept = (
            WORK / f"map-{fingerprint(*ROOT.glob('winit/*.py'), *ROOT.glob('tests/*.py'))}.pickle"
        )
        if kept.exists():
            found: Map = pickle.loads(kept.read_bytes())
            return found
        tree = WORK / "tree-unchanged"
        copy_tree(tree)
        options = ["--cov=winit", "--cov-context=test", "--cov-report=", "--cov-fail-under=0"]
        options.append("--junit-xml=junit.xml")
        if not run_tests(tree, core_tests(), None, *options):
            sys.exit(f"the tests fail without any mutant: {' '.join(command(core_tests()))}")
        data = CoverageData(tree / ".coverage")
        data.read()
        running: dict[str, dict[int, list[str]]] = {}
        for module in CORE:
            lines = data.contexts_by_lineno(str(tree / "winit" / f"{module}.py"))
            running[module] = {
                line: sorted({re.split(r"[\[|]", context)[0] for context in contexts} - {""})
                for line, contexts in lines.items()
            }
        seconds: dict[str, float] = defaultdict(float)
        for case in ElementTree.parse(tree / "junit.xml").iter("testcase"):
            file, name = case.attrib["classname"].replace(".", "/"), case.attrib["name"]
            seconds[f"{file}.py::{name.partition('[')[0]}"] += float(case.attrib["time"])
        found = cls(running, dict(seconds))
        kept.write_bytes(pickle.dumps(found))
        return found

    def tests_for(self, mutant: Mutant) -> list[str]:
        """The test functions that run the statement, or what it defines: quick ones first."""
        tree = ast.parse((ROOT / mutant.path).read_text(encoding="utf-8"))
        statements = [node for node in ast.walk(tree) if isinstance(node, ast.stmt)]
        spans = [  # a decorator stands above the line of its function
            (min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", ()))]), node)
            for node in statements
        ]
        first, here = max(
            (
                (start, node)
                for start, node in spans
                if start <= mutant.line <= (node.end_lineno or 0)
            ),
            key=lambda pair: (pair[0], -(pair[1].end_lineno or 0)),
        )
        lines = self.running[mutant.module]
        found = {
            name
            for line in range(first, (here.end_lineno or first) + 1)
            for name in lines.get(line, ())
        }
        return self.quick_first(found & self.seconds.keys())

    def quick_first(self, names: Iterable[str]) -> list[str]:
        return sorted(names, key=lambda name: (self.seconds[name], name))

    def limit(self, tests: list[str]) -> float:
        """Seconds after which a mutant's tests are taken to run for ever."""
        return 30 + SLOWEST * sum(self.seconds[name] for name in tests)


def copy_tree(target: Path) -> None:
    """What the core's tests need, copied to where it may be changed."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for name in ("winit", "tests", "tools", "book/_ext"):
        shutil.copytree(ROOT / name, target / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "conftest.py", "README.md", "book/cheat_sheet.md"):
        shutil.copy(ROOT / name, target / name)


def fingerprint(*paths: Path) -> str:
    """Of what a result was found with."""
    return hashlib.sha256(b"".join(path.read_bytes() for path in sorted(paths))).hexdigest()[:16]


@functools.cache
def definitions(path: Path) -> list[tuple[int, int, str]]:
    """First and last line of a module's statements, and what each is but for its texts."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    spans = [
        (min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", ()))]), node)
        for node in tree.body
    ]
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node):
            del node.body[0]
    return [(first, node.end_lineno or first, ast.dump(node)) for first, node in spans]


def place(mutant: Mutant) -> str:
    """What a result holds for: this change in this statement of the module, wherever it stands."""
    first, text = next(
        (first, text)
        for first, last, text in definitions(ROOT / mutant.path)
        if first <= mutant.line <= last
    )
    key = mutant.operator, mutant.line - first, mutant.column, change(mutant), text
    return hashlib.sha256(repr(key).encode()).hexdigest()[:16]


def try_mutant(task: tuple[Mutant, Map]) -> tuple[Mutant, bool]:
    """Whether a test notices the mutant; run in a worker that has a tree of its own.

    A test may use what an earlier one left in a cache, and so depend on a line that it does not
    run: what survives the tests that run the line is tried on all of its module's.
    """
    mutant, tests = task
    tree = WORK / f"tree-{multiprocessing.current_process().name.rpartition('-')[2]}"
    if not tree.exists():
        copy_tree(tree)
    original = (ROOT / mutant.path).read_text(encoding="utf-8")
    near, files = tests.tests_for(mutant), tests_of(mutant.module)
    quick = [name for name, took in tests.seconds.items() if took <= LONGEST_TEST]
    own = [name for name in quick if name.partition("::")[0] in files and name not in near]
    try:
        (tree / mutant.path).write_text(mutant.code(original), encoding="utf-8")
        stages = [(some, tests.limit(some)) for some in (near, tests.quick_first(own)) if some]
        return mutant, not all(run_tests(tree, some, limit) for some, limit in stages)
    finally:
        (tree / mutant.path).write_text(original, encoding="utf-8")


def listed_kinds() -> dict[str, str]:
    """Of which kind each listed survivor is."""
    listed: dict[str, Any] = tomllib.loads(SURVIVORS.read_text(encoding="utf-8"))
    return {entry["change"]: kind for kind, entries in listed.items() for entry in entries}


def change(mutant: Mutant) -> str:
    """What stands in the list for it."""
    original = (ROOT / mutant.path).read_text(encoding="utf-8")
    return f"{mutant.module}: {changed_lines(original, mutant.code(original))}"


def stored(path: Path, tests: str, chosen: list[Mutant]) -> dict[Mutant, bool]:
    """Earlier results that hold: the definition is the same, and so are the tests if it survived.

    What is equivalent survives any.
    """
    found: dict[str, dict[str, Any]] = {}
    if path.exists():
        entries = map(json.loads, path.read_text(encoding="utf-8").splitlines())
        found = {entry["place"]: entry for entry in entries}
    listed = listed_kinds()
    return {
        mutant: entry["killed"]
        for mutant in chosen
        if (entry := found.get(place(mutant)))
        and (
            entry["killed"] or entry["tests"] == tests or listed.get(change(mutant)) == "equivalent"
        )
    }


def report(results: dict[Mutant, bool]) -> bool:
    """Print the score by module and each survivor; whether the run is good."""
    listed = listed_kinds()
    counts: Counter[tuple[str, str]] = Counter()
    unlisted = []
    for mutant, killed in sorted(results.items(), key=lambda pair: (pair[0].module, pair[0].line)):
        if killed:
            counts[mutant.module, "killed"] += 1
            continue
        kind = listed.get(change(mutant), "unlisted")
        counts[mutant.module, kind] += 1
        if kind == "unlisted":
            unlisted.append(f"{mutant.path}:{mutant.line}  {change(mutant).partition(': ')[2]}")
    kinds = ["killed", "equivalent", "stays", "unlisted"]
    print(f"{'module':<14}" + "".join(f"{kind:>12}" for kind in kinds) + f"{'score':>9}")
    for module in (*CORE, "all"):
        row = [
            sum(n for (m, k), n in counts.items() if k == kind and module in (m, "all"))
            for kind in kinds
        ]
        if sum(row):
            rest = sum(row) - row[1]
            score = f"{row[0] / rest:9.1%}" if rest else f"{'-':>9}"
            print(f"{module:<14}" + "".join(f"{n:12d}" for n in row) + score)
    for survivor in unlisted:
        print(f"survived, and not in {SURVIVORS.name}: {survivor}")
    return not unlisted and row[0] >= LEAST_KILLED * (sum(row) - row[1])


def main() -> int:
    parser = argparse.ArgumentParser(description="Mutation testing of winit's NumPy core.")
    parser.add_argument("modules", nargs="*", help=f"some of {', '.join(CORE)} (default: all)")
    parser.add_argument("--all", action="store_true", help="every mutant, not a sample")
    parser.add_argument("--size", type=int, default=400, help="mutants in the sample")
    parser.add_argument("--seed", type=int, default=20261126, help="of the sample")
    parser.add_argument("--fresh", action="store_true", help="forget what earlier runs found")
    parser.add_argument("--jobs", type=int, default=2, help="mutants tried at a time")
    options = parser.parse_args()
    modules = options.modules or list(CORE)
    if unknown := sorted(set(modules) - set(CORE)):
        parser.error(f"no module of the core: {', '.join(unknown)}; there are {', '.join(CORE)}")
    mutants = [mutant for module in modules for mutant in all_mutants(module)]
    chosen = (
        list(filter(is_program, mutants))
        if options.all
        else sample(mutants, options.size, options.seed)
    )
    print(f"{len(mutants)} mutants of {len(modules)} modules; this run tries {len(chosen)}")

    WORK.mkdir(parents=True, exist_ok=True)
    store = WORK / "results.jsonl"
    if options.fresh:
        store.unlink(missing_ok=True)
    tests = fingerprint(*(ROOT / "tests").glob("*.py"))
    results = stored(store, tests, chosen)
    todo = [mutant for mutant in chosen if mutant not in results]
    if results:
        print(f"{len(results)} of them are known from an earlier run")
    if todo:
        for tree in WORK.glob("tree-*"):
            shutil.rmtree(tree)
        tests_of_lines = Map.measured()
        with multiprocessing.Pool(options.jobs) as pool, store.open("a", encoding="utf-8") as file:
            tasks = [(mutant, tests_of_lines) for mutant in todo]
            for done, (mutant, killed) in enumerate(pool.imap_unordered(try_mutant, tasks), 1):
                results[mutant] = killed
                entry = {"mutant": asdict(mutant), "killed": killed, "tests": tests}
                file.write(json.dumps(entry | {"place": place(mutant)}) + "\n")
                file.flush()
                if done % 20 == 0 or done == len(todo):
                    lived = sum(not k for k in results.values())
                    print(f"{done} of {len(todo)} tried, {lived} survived", flush=True)
    good = report(results)
    print("enough are killed, and every survivor is listed" if good else "FAILED")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
