"""Libraries a start does without: each is loaded when something of it is first used."""

from __future__ import annotations

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


def load_all() -> None:
    """Load what was put off, so that no request has to wait for it."""
    for name in _named:
        import_module(name)
