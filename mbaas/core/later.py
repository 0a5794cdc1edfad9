"""Libraries a start does without: each is loaded when something of it is first used."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import Any

_named: list[str] = []


class _Later(ModuleType):
    """Loads the module it is named after when it is asked for something that it does not have yet."""

    def __getattr__(self, name: str) -> Any:
        found = getattr(import_module(self.__name__), name)
        setattr(self, name, found)  # from now on without us
        return found


def later(name: str) -> ModuleType:
    """A module, not loaded yet. Type checkers are told by an import of their own, so nothing of it goes unchecked:

    if TYPE_CHECKING:
        import webauthn
    else:
        webauthn = later("webauthn")
    """
    _named.append(name)
    return _Later(name)


@contextmanager
def without(name: str) -> Iterator[None]:
    """Who asks for that module meanwhile is told that it is not installed, unless it is loaded already."""
    hidden = name not in sys.modules
    if hidden:
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if hidden:
            del sys.modules[name]


def load_all() -> None:
    """Load what was put off, so that no request has to wait for it."""
    for name in _named:
        import_module(name)
