"""Finds plugins and lets them register: folders beside ``mbaas.toml``, and installed distributions.

A folder ``plugins/<name>/`` is a plugin when ``__init__.py`` or ``plugin.py`` in it defines ``register(hooks)``. A
distribution names that function, or a module with it, as an entry point of the group ``mbaas.plugins``. Removing the
folder or the distribution removes the plugin; a broken one stops the start, it is never left out silently.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import sys
import traceback
from collections.abc import Callable, Container, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from mbaas.config.settings import PluginSettings
from mbaas.core.errors import ConfigError
from mbaas.hooks.dispatch import Hooks

GROUP = "mbaas.plugins"
_PACKAGE = "mbaas_plugins"  # folders are imported under this name, so that ``slugs`` cannot hide a module ``slugs``


def load_plugins(
    hooks: Hooks, settings: PluginSettings, *, root: Path, collections: Container[str], safe_mode: bool = False
) -> tuple[str, ...]:
    """The names of the plugins that registered, in the order they did: by name.

    root: the folder of ``mbaas.toml``. collections: those that exist, so that a hook on another is found out.
    safe_mode: load none. Raises ConfigError naming plugin, file and line.
    """
    if safe_mode:
        return ()
    directory = root / settings.directory
    folders, installed = _folders(directory), _installed()
    if twice := sorted(folders.keys() & installed.keys()):
        raise ConfigError(
            f"plugin {twice[0]} is there twice: as a folder and as an installed distribution",
            hint=f"remove {settings.directory}/{twice[0]} or uninstall the other",
        )
    names = tuple(sorted((folders.keys() | installed.keys()) - set(settings.disabled)))
    for name in names:
        try:
            with _no_bytecode():
                loaded = _import(folders[name]) if name in folders else installed[name].load()
            _register_of(loaded)(hooks.owned_by(name))
        except (Exception, SystemExit) as error:
            raise _broken(name, folders.get(name), root, error) from error
        if unknown := sorted(name for name in hooks.collections if name not in collections):
            raise ConfigError(
                f"plugin {name} has a hook on {unknown[0]!r}, which is not a collection",
                hint="correct `only=` or add the collection to mbaas.toml",
            )
    return names


@contextlib.contextmanager
def _no_bytecode() -> Iterator[None]:
    """Compiled files are told from newer sources by second and size: a plugin saved twice could be its former self."""
    before = sys.dont_write_bytecode
    sys.dont_write_bytecode = True
    try:
        yield
    finally:
        sys.dont_write_bytecode = before


def _folders(directory: Path) -> dict[str, Path]:
    """Every plugin folder. One without Python files is none: a deleted plugin leaves its caches behind."""
    if not directory.is_dir():
        return {}
    folders = (path for path in directory.iterdir() if path.is_dir() and not path.name.startswith((".", "_")))
    return {folder.name: folder for folder in folders if any(folder.glob("*.py"))}


def _installed() -> dict[str, importlib.metadata.EntryPoint]:
    return {point.name: point for point in importlib.metadata.entry_points(group=GROUP)}


def _import(folder: Path) -> ModuleType:
    file = next((path for path in (folder / "__init__.py", folder / "plugin.py") if path.is_file()), None)
    if file is None:
        raise ImportError(f"{folder.name}/ has neither __init__.py nor plugin.py")
    if not folder.name.isidentifier():
        raise ImportError(f"{folder.name!r} is no name for a plugin: use letters, digits and _")
    name = f"{_PACKAGE}.{folder.name}"
    for old in [loaded for loaded in sys.modules if loaded == name or loaded.startswith(name + ".")]:
        del sys.modules[old]
    spec = importlib.util.spec_from_file_location(name, file, submodule_search_locations=[str(folder)])
    if spec is None or spec.loader is None:
        raise ImportError(f"{file.name} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    if not hasattr(module, "register") and file.name == "__init__.py" and (folder / "plugin.py").is_file():
        return importlib.import_module(f"{name}.plugin")
    return module


def _register_of(loaded: Any) -> Callable[[Hooks], Any]:
    register = getattr(loaded, "register", loaded)
    if isinstance(register, ModuleType) or not callable(register):
        raise ImportError("it defines no function register(hooks)")
    return register  # type: ignore[no-any-return]


def _broken(name: str, folder: Path | None, root: Path, error: BaseException) -> ConfigError:
    """What went wrong, with the last line of the plugin's own that was running."""
    where = ""
    if isinstance(error, SyntaxError) and error.filename:
        where = f"{_shown(error.filename, root)}, line {error.lineno}: "
    else:
        for frame in traceback.extract_tb(error.__traceback__):
            if folder is None or Path(frame.filename).is_relative_to(folder):
                where = f"{_shown(frame.filename, root)}, line {frame.lineno}: "
    reason = error.msg if isinstance(error, SyntaxError) else str(error) or "no reason given"
    return ConfigError(
        f"plugin {name} cannot be loaded: {where}{type(error).__name__}: {reason}",
        hint=f'mend it, or start without it: [plugins] disabled = ["{name}"], or --safe-mode for none at all',
    )


def _shown(file: str, root: Path) -> str:
    path = Path(file)
    return str(path.relative_to(root)) if path.is_relative_to(root) else file
