"""The guide and ``mbaas.plugin`` say the same; plugins of ours import nothing else."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path
from typing import Any

import pytest

import mbaas.plugin
from mbaas.hooks import events
from mbaas.hooks.dispatch import Hooks
from mbaas.hooks.events import Doing, Done

REPOSITORY = Path(__file__).parents[2]
GUIDE = (REPOSITORY / "docs" / "guides" / "plugins.md").read_text()
HEADINGS = set(re.findall(r"^#+ (\w+)$", GUIDE, re.MULTILINE))
EVENTS = [
    value
    for value in vars(events).values()
    if inspect.isclass(value) and issubclass(value, Doing | Done) and value not in {Doing, Done}
]


def test_the_exported_names_are_this_list() -> None:
    assert mbaas.plugin.__all__ == [
        "DatabaseError",
        "Hooks",
        "Identity",
        "Proceed",
        "Record",
        "RecordCreate",
        "RecordCreated",
        "RecordDelete",
        "RecordDeleted",
        "RecordUpdate",
        "RecordUpdated",
        "Refused",
        "Request",
        "Response",
        "Route",
        "SignedIn",
        "Transaction",
        "User",
        "UserCreate",
        "UserCreated",
        "replace",
    ]
    public = {name for name in vars(mbaas.plugin) if not name.startswith("_")}
    assert public == set(mbaas.plugin.__all__)


@pytest.mark.parametrize("name", mbaas.plugin.__all__)
def test_every_exported_name_has_a_heading(name: str) -> None:
    assert name in HEADINGS


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.__name__)
def test_every_event_is_exported_documented_and_tested(event: type[Any]) -> None:
    assert event.__name__ in mbaas.plugin.__all__
    assert event.__name__ in HEADINGS
    assert event.__doc__
    tests = (REPOSITORY / "tests" / "unit" / "hooks" / "test_hooks_dispatch.py").read_text()
    assert re.search(rf"hooks\.(around|after)\({event.__name__}\b", tests)


@pytest.mark.parametrize("method", ["around", "after", "provide"])
def test_every_way_to_register_is_documented(method: str) -> None:
    assert hasattr(Hooks, method)
    assert f"`hooks.{method}(" in GUIDE


def test_the_examples_of_the_guide_register() -> None:
    examples = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)
    assert len(examples) == 2
    for example in examples:
        names: dict[str, Any] = {}
        exec(compile(example, "plugins.md", "exec"), names)
        names["register"](Hooks())


@pytest.mark.parametrize("file", sorted((REPOSITORY / "plugins").rglob("*.py")), ids=lambda file: file.parent.name)
def test_first_party_plugins_import_the_server_by_one_door(file: Path) -> None:
    imported = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom):
            imported.add(node.module or "")
        elif isinstance(node, ast.Import):
            imported.update(alias.name for alias in node.names)
    assert {name for name in imported if name.split(".")[0] == "mbaas"} <= {"mbaas.plugin"}
