"""The guide of rules lists what the code knows, and its examples load."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mbaas.config.load import load
from mbaas.core.expr.operators import FUNCTIONS, OPERATORS
from mbaas.core.rules.parse import _BINARY, _CALLS, MAX_DEPTH, MAX_LENGTH

GUIDE = (Path(__file__).parents[2] / "docs" / "guides" / "rules.md").read_text()
EXAMPLES = re.findall(r"```toml\n(.*?)```", GUIDE, re.DOTALL)


def section(name: str) -> set[str]:
    text = GUIDE.split(f"## {name}\n")[1].split("\n## ")[0]
    return set(re.findall(r"`([^`]+)`", text.replace("\\|", "|")))


def test_the_functions_are_those_of_the_code() -> None:
    assert section("Functions") == {*_CALLS.values(), "now", "current_date"}
    assert set(FUNCTIONS) <= section("Functions")


def test_the_operators_are_those_of_the_code() -> None:
    assert set(_BINARY.values()) <= section("Operators")
    assert set(OPERATORS) <= section("Operators")


def test_the_limits_are_those_of_the_code() -> None:
    assert f"{MAX_LENGTH} characters and nests at most {MAX_DEPTH} deep" in GUIDE


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_loads(example: str, tmp_path: Path) -> None:
    (tmp_path / "mbaas.toml").write_text(example)
    assert load(tmp_path / "mbaas.toml", {}).catalog.collections
