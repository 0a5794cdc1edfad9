"""Finding plugins: folders, entry points, what is broken, what is switched off."""

from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mbaas.adapters import plugins
from mbaas.adapters.plugins import load_plugins
from mbaas.config.settings import PluginSettings
from mbaas.core.errors import ConfigError
from mbaas.hooks.dispatch import Hooks
from mbaas.hooks.events import RecordCreate, RecordCreated

GOOD = """
from mbaas.plugin import Hooks, RecordCreated

def register(hooks: Hooks) -> None:
    @hooks.after(RecordCreated, only="posts")
    async def look(event: RecordCreated) -> None: ...
"""


@pytest.fixture(autouse=True)
def forget_imports() -> Iterator[None]:
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name.startswith("mbaas_plugins"):
            del sys.modules[name]


def write(root: Path, name: str, text: str, file: str = "__init__.py") -> None:
    folder = root / "plugins" / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / file).write_text(text)


def load(root: Path, *, disabled: tuple[str, ...] = (), safe_mode: bool = False) -> tuple[Hooks, tuple[str, ...]]:
    hooks = Hooks()
    settings = PluginSettings(disabled=disabled)
    return hooks, load_plugins(hooks, settings, root=root, collections={"posts"}, safe_mode=safe_mode)


def test_a_folder_is_a_plugin_and_removing_it_removes_it(tmp_path: Path) -> None:
    write(tmp_path, "good", GOOD)
    hooks, names = load(tmp_path)
    assert names == ("good",)
    assert hooks.wants(RecordCreated, "posts")
    (tmp_path / "plugins" / "good" / "__init__.py").unlink()
    (tmp_path / "plugins" / "good" / "__pycache__").mkdir(exist_ok=True)
    hooks, names = load(tmp_path)
    assert names == ()
    assert not hooks.wants(RecordCreated, "posts")


def test_no_directory_is_no_plugins(tmp_path: Path) -> None:
    assert load(tmp_path)[1] == ()


def test_plugin_py_and_modules_beside_it_work(tmp_path: Path) -> None:
    write(tmp_path, "split", "from .rules import register", file="plugin.py")
    write(tmp_path, "split", GOOD, file="rules.py")
    write(tmp_path, "both", '"""A package."""')
    write(tmp_path, "both", GOOD, file="plugin.py")
    assert load(tmp_path)[1] == ("both", "split")


def test_a_changed_plugin_is_read_again(tmp_path: Path) -> None:
    write(tmp_path, "split", "from .part import register")
    write(tmp_path, "split", GOOD, file="part.py")
    load(tmp_path)
    write(tmp_path, "other/../split", GOOD.replace("RecordCreated", "RecordDeleted"), file="part.py")
    hooks, _ = load(tmp_path)
    assert not hooks.wants(RecordCreated, "posts")


def test_disabled_plugins_and_safe_mode_do_not_even_import(tmp_path: Path) -> None:
    write(tmp_path, "good", GOOD)
    write(tmp_path, "bomb", "raise SystemExit('boom')")
    assert load(tmp_path, disabled=("bomb",))[1] == ("good",)
    assert load(tmp_path, safe_mode=True)[1] == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("\nx = y\n", "plugins/bad/__init__.py, line 2: NameError: name 'y' is not defined"),
        ("def register(hooks:\n", "plugins/bad/__init__.py, line 1: SyntaxError: '(' was never closed"),
        ("raise SystemExit(3)", "plugins/bad/__init__.py, line 1: SystemExit: 3"),
        ("\ndef register(hooks):\n    hooks.nothing()\n", "plugins/bad/__init__.py, line 3: AttributeError"),
        ("pass", "it defines no function register(hooks)"),
        (
            "from mbaas.plugin import RecordCreated\n"
            "def register(hooks):\n    @hooks.after(RecordCreated)\n    def look(event): ...\n",
            "plugins/bad/__init__.py, line 3: TypeError: bad.register.<locals>.look: a hook is an `async def` function",
        ),
        (GOOD.replace("posts", "postz"), "has a hook on 'postz', which is not a collection"),
        ("import no_such_distribution", "line 1: ModuleNotFoundError: No module named 'no_such_distribution'"),
    ],
)
def test_a_broken_plugin_stops_the_start_with_file_and_line(tmp_path: Path, text: str, said: str) -> None:
    write(tmp_path, "bad", text)
    with pytest.raises(ConfigError) as caught:
        load(tmp_path)
    assert said in caught.value.message
    assert caught.value.message.startswith("plugin bad ")
    assert caught.value.hint


@pytest.mark.parametrize(("name", "file"), [("no-name", "__init__.py"), ("stray", "other.py")])
def test_a_folder_that_cannot_be_a_plugin_says_why(tmp_path: Path, name: str, file: str) -> None:
    write(tmp_path, name, GOOD, file=file)
    with pytest.raises(ConfigError, match=f"plugin {name} cannot be loaded: .*(no name|neither)"):
        load(tmp_path)


def test_installed_distributions_are_plugins_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "installed_plugin.py").write_text(
        GOOD.replace("after(RecordCreated", "around(RecordCreate")
        .replace("RecordCreated", "RecordCreate")
        .replace("event: RecordCreate)", "event: RecordCreate, proceed: object)")
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    point = importlib.metadata.EntryPoint("far", "installed_plugin:register", plugins.GROUP)
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: [point] if group == plugins.GROUP else [])
    hooks, names = load(tmp_path)
    assert names == ("far",)
    assert hooks.wants(RecordCreate, "posts")
    write(tmp_path, "far", GOOD)
    with pytest.raises(ConfigError, match="twice"):
        load(tmp_path)


def test_a_plugin_cannot_hide_a_module_of_the_same_name(tmp_path: Path) -> None:
    write(tmp_path, "json", GOOD)
    load(tmp_path)
    import json

    assert json.loads("1") == 1
