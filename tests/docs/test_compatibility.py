"""The pages of compatibility name, for every line, a test that drives it through each client; and those tests exist."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
PAGES = sorted((REPOSITORY / "docs" / "reference" / "compatibility").glob("*.md"))
HEADER = ["line", "supabase-js", "supabase-py"]

_CELLS = re.compile(r"(?<!\\)\|")
_TEST = re.compile(r"`(test_\w+\.py::[^`]+)`")
# A cell is names and nothing else; "raw: " before one says that the client has no call for it.
_CELL = re.compile(r"(?:raw: )?`test_\w+\.py::[^`]+`(?:,? (?:raw: )?`test_\w+\.py::[^`]+`)*")


def rows(page: Path) -> Iterator[tuple[int, list[str]]]:
    """Every row of the page's tables with its line number, headers left out."""
    inside = False
    for number, line in enumerate(page.read_text().splitlines(), 1):
        if not line.startswith("|"):
            inside = False
            continue
        cells = [cell.strip() for cell in _CELLS.split(line)[1:-1]]
        if cells == HEADER:
            inside = True
        elif not all(re.fullmatch(r":?-+:?", cell) for cell in cells):
            assert inside, f"{page.name}:{number}: a table here has the columns {HEADER}"
            yield number, cells


@pytest.fixture(scope="module")
def tests() -> set[str]:
    """What pytest finds in tests/contract: ``test_rest_filters.py::test_js[eq]``, and each function without its cases."""
    found = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "tests/contract"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    names = {line.removeprefix("tests/contract/") for line in found.splitlines() if "::" in line}
    return names | {name.partition("[")[0] for name in names}


def test_there_is_a_page() -> None:
    assert REPOSITORY / "docs" / "reference" / "compatibility" / "rest.md" in PAGES


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_line_names_a_test_for_each_client_and_it_exists(page: Path, tests: set[str]) -> None:
    wrong = []
    lines = 0
    for number, cells in rows(page):
        if len(cells) != len(HEADER) or not cells[0]:
            wrong.append(f"{page.name}:{number}: a row is: line | supabase-js | supabase-py")
            continue
        lines += 1
        for client, cell in zip(HEADER[1:], cells[1:], strict=True):
            if not _CELL.fullmatch(cell):
                wrong.append(f"{page.name}:{number}: {client} is no list of tests: {cell!r}")
            wrong += [f"{page.name}:{number}: no test {name}" for name in _TEST.findall(cell) if name not in tests]
    assert lines, f"{page.name} has no table"
    assert not wrong, "\n".join(wrong)


def test_every_case_of_the_rest_dialect_stands_on_a_page(tests: set[str]) -> None:
    cases = {name for name in tests if re.match(r"test_rest_\w+\.py::test_(js|py)\w*\[", name)}
    named = {name for page in PAGES for _, cells in rows(page) for cell in cells[1:] for name in _TEST.findall(cell)}
    whole = {name for name in named if "[" not in name}
    assert not [name for name in sorted(cases - named) if name.partition("[")[0] not in whole]
