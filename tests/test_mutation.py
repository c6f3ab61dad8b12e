"""Mutation testing (tools/mutation.py), on a project of one function."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import mutation

ROOT = Path(__file__).resolve().parent.parent
MODULE = '''"""One function."""


def rest(x: int | None = None, limit: int = 5) -> int:
    """What is left of the limit."""
    assert x is not None
    return max(limit - x, 0)
'''
TESTS = """from winit.article import rest
def test_rest() -> None: assert [rest(2), rest(5), rest(6), rest(1, 4)] == [3, 0, 0, 3]
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name in ("winit", "tests", "tools", "book/_ext"):
        (tmp_path / name).mkdir(parents=True)
    shutil.copy(ROOT / "tools" / "mutation.py", tmp_path / "tools")
    for name in ("README.md", "book/cheat_sheet.md", "conftest.py", "tests/survivors.toml"):
        (tmp_path / name).write_text("", encoding="utf-8")
    (tmp_path / "pyproject.toml").write_text(
        '[tool.pytest.ini_options]\nmarkers = ["long"]\n', encoding="utf-8"
    )
    (tmp_path / "winit" / "__init__.py").write_text("", encoding="utf-8")
    (tmp_path / "winit" / "article.py").write_text(MODULE, encoding="utf-8")
    return tmp_path


def run(project: Path, tests: str, *options: str) -> tuple[int, str]:
    (project / "tests" / "test_article.py").write_text(tests, encoding="utf-8")
    process = subprocess.run(
        [sys.executable, "tools/mutation.py", "article", "--all", *options],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
    )
    return process.returncode, process.stdout + process.stderr


@pytest.mark.long
def test_a_run_fails_until_every_survivor_is_killed_or_listed(project: Path) -> None:
    weak = TESTS.replace("rest(6), ", "").replace(", 0, 0", ", 0")
    code, said = run(project, weak)
    assert code == 1 and "survived, and not in survivors.toml: winit/article.py:7" in said
    survivors = {line.partition(":7  ")[2] for line in said.splitlines() if ":7  " in line}
    assert "return max(limit - x, 0)  ->  return max(limit - x, -1)" in survivors

    # what is listed is no fault, and what is known is not tried again
    entries = [
        f'[[equivalent]]\nchange = "article: {change}"\nwhy = "a test"\n' for change in survivors
    ]
    (project / "tests" / "survivors.toml").write_text("\n".join(entries), encoding="utf-8")
    code, said = run(project, weak)
    assert code == 0 and "known from an earlier run" in said and " tried," not in said
    (project / "tests" / "survivors.toml").write_text("", encoding="utf-8")

    # a changed test has the survivors tried again, and those alone
    code, said = run(project, TESTS)
    assert f"{len(survivors)} of {len(survivors)} tried" in said
    assert code == 0, said

    # a test that fails without any mutant says nothing of them
    code, said = run(project, TESTS.replace("[3, 0", "[4, 0"), "--fresh")
    assert code == 1 and "the tests fail without any mutant" in said


def test_a_survivor_is_named_by_its_lines() -> None:
    changed = MODULE.replace("- x", "+ x")
    before = "return max(limit - x, 0)"
    assert mutation.changed_lines(MODULE, changed) == f"{before}  ->  {before.replace('-', '+')}"


def test_what_is_never_run_has_no_mutants(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mutation, "ROOT", project)
    mutants = mutation.all_mutants("article")
    lines = {(mutant.line, mutant.column) for mutant in mutants}
    annotation = MODULE.splitlines()[3].index("|")
    assert (7, MODULE.splitlines()[6].index("-")) in lines and (4, annotation) not in lines
    programs = [mutant for mutant in mutants if mutation.is_program(mutant)]
    assert 5 < len(programs) <= len(mutants)
    assert all(mutant.code(MODULE) != MODULE for mutant in programs)


def test_a_sample_does_not_depend_on_what_stands_elsewhere(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mutation, "ROOT", project)

    def drawn(code: str) -> set[tuple[str, str]]:
        (project / "winit" / "article.py").write_text(code, encoding="utf-8")
        places = mutation.sample(mutation.all_mutants("article"), 1000, 7)
        assert len({(mutant.line, mutant.column) for mutant in places}) == len(places)
        return {
            (mutant.operator, mutation.changed_lines(code, mutant.code(code))) for mutant in places
        }

    other = '\n\ndef other(x: int) -> int:\n    """Two more."""\n    return x + 2\n'
    assert drawn(MODULE) < drawn(MODULE + other)
