"""Whom PostgreSQL runs as. It refuses to be root, so under root it runs as somebody else."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import msgspec

from mbaas.core.errors import ConfigError

# The first that exists: an image or an operator may give the server an account of its own.
_NAMES = ("mbaas", "nobody")


class Account(msgspec.Struct, frozen=True):
    """A user and its group, without further groups."""

    uid: int
    gid: int

    def may_enter(self, path: Path) -> bool:
        """Whether it may pass through every directory above ``path`` and run, or enter, ``path`` itself.

        By permission bits alone; access control lists that allow more are not seen.
        """
        return all(self._may_pass(part) for part in (path, *path.parents))

    def _may_pass(self, path: Path) -> bool:
        found = path.stat()
        if found.st_uid == self.uid:
            return bool(found.st_mode & 0o100)
        if found.st_gid == self.gid:
            return bool(found.st_mode & 0o010)
        return bool(found.st_mode & 0o001)


def account_for(data: Path) -> Account | None:
    """The account for the cluster in ``data``, there or not yet. ``None``: as ourselves.

    As root: the owner of the data that is there, else ``mbaas``, else ``nobody``. Raises ConfigError when the data
    belongs to somebody we cannot become.
    """
    owner = data.stat() if data.exists() else None
    if os.geteuid() != 0:
        if owner is not None and owner.st_uid != os.geteuid():
            raise ConfigError(
                f"{data} belongs to user {owner.st_uid}, this process runs as user {os.geteuid()}",
                hint="run as the user who made it, or change the owner of the whole directory",
            )
        return None
    if owner is not None and owner.st_uid != 0:
        return Account(owner.st_uid, owner.st_gid)
    for name in _NAMES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_uid, entry.pw_gid)
    raise ConfigError(
        "PostgreSQL does not run as root, and there is no other user to run it as",
        hint=f"add a user named {_NAMES[0]!r}, or run this server as an ordinary user",
    )
