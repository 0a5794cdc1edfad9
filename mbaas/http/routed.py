"""Litestar as we use it."""

from __future__ import annotations

from litestar import Litestar
from litestar.plugins import PluginProtocol
from litestar.plugins.core import MsgspecDIPlugin


class Routed(Litestar):
    """Without the plugins for pydantic and attrs, which we have no models of.

    Both are installed, as others depend on them, and so Litestar would load them: a fifth of a start's time. It has no
    setting for it.
    """

    @staticmethod
    def _get_default_plugins(plugins: list[PluginProtocol]) -> list[PluginProtocol]:
        return [*plugins, MsgspecDIPlugin()]
