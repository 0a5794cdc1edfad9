"""The page of threats names tests that exist, and leaves out no threat."""

from __future__ import annotations

import ast
import re
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
PAGE = REPOSITORY / "docs" / "reference" / "threats.md"
WANTED = [
    *(f"A{n}" for n in (*range(1, 20), 22)),
    *(f"B{n}" for n in (1, 2, 3, 4, 5, *range(7, 31))),
    *(f"C{n}" for n in (*range(1, 13), 14)),
    "E11",
    "G6",
    *(f"H{n}" for n in (*range(1, 8), 10, 11, 13, 20)),
]


def rows() -> dict[str, list[str]]:
    """The tests of each threat."""
    found: dict[str, list[str]] = {}
    for line in PAGE.read_text().splitlines():
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) == 6 and re.fullmatch(r"[A-Z]\d+", cells[1]):
            assert cells[1] not in found
            assert all(cells[1:5])
            assert re.fullmatch(r"(`test_\w+` ?)+", cells[4]), cells[1]
            found[cells[1]] = re.findall(r"`(test_\w+)`", cells[4])
    return found


def existing() -> set[str]:
    return {
        node.name
        for path in (REPOSITORY / "tests").rglob("test_*.py")
        if "node_modules" not in path.parts
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


def test_every_threat_has_a_row_with_tests_that_exist() -> None:
    found = rows()
    assert set(found) >= set(WANTED)
    assert list(found) == sorted(found, key=lambda name: (name[0], int(name[1:])))
    there = existing()
    assert {threat: [name for name in names if name not in there] for threat, names in found.items()} == {
        threat: [] for threat in found
    }
