"""Which tests stay together when several processes run them, and in which order: whole files, long ones first.

The order is that of the folders, since a test against a whole server takes longer than one of a function: at the end
there are only short files left, and no process waits for the other.
"""

from __future__ import annotations

from typing import Any

from xdist.scheduler import LoadFileScheduling

LONG_FIRST = ("tests/adversity/", "tests/contract/", "tests/property/", "tests/integration/")
TOGETHER = ("tests/contract/test_auth_", "tests/contract/test_rest_")  # they share servers, which take seconds to start


class ByFile(LoadFileScheduling):  # type: ignore[misc]
    """``--dist loadfile``, but for files that share servers."""

    def _split_scope(self, nodeid: str) -> str:
        file = str(super()._split_scope(nodeid))
        return TOGETHER[0] if file.startswith(TOGETHER) else file


def place(item: Any) -> int:
    """For a stable sort of what was collected."""
    return next((at for at, folder in enumerate(LONG_FIRST) if item.nodeid.startswith(folder)), len(LONG_FIRST))
