"""Patterns that every supported Python reads alike."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import mbaas.core.query

SOURCES = sorted(Path(mbaas.core.query.__file__).parent.glob("*.py"))


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_no_group_is_repeated_possessively(source: Path) -> None:
    """Python before 3.11.5 loses matches of possessive groups (cpython gh-101955); classes of characters are fine."""
    assert re.findall(r"\)[*+?]\+", source.read_text(encoding="utf-8")) == []
