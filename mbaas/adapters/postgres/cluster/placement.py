"""Where things lie, so that PostgreSQL can get at them.

Under root it runs as somebody else, who may not enter everything that root may: a clone in ``/root`` (0700), say. Then
data and programs live under ``/var/lib/mbaas``, and a link stands in the data's place. No permission outside of our own
directories is ever changed.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
import tempfile
from pathlib import Path

from mbaas.adapters.postgres.cluster.account import Account
from mbaas.core.errors import ConfigError

HOME = Path("/var/lib/mbaas")
_SOCKET = ".s.PGSQL.5432"
_SOCKET_BYTES = 107  # unix(7): 108 with the final zero


def place_directory(wanted: Path, account: Account | None, *, home: Path = HOME) -> Path:
    """The directory that holds the cluster: ``wanted``, or where its link points; made when there is none.

    It is ours; only ``data`` and ``run`` inside belong to the account. Raises ConfigError when the account could not
    reach it.
    """
    if wanted.is_symlink():
        place = wanted.resolve()
        if not place.is_dir():
            raise ConfigError(
                f"{wanted} points to {place}, which is gone",
                hint="bring that directory back, or remove the link to begin with an empty database",
            )
    elif account is None or wanted.exists() or account.may_enter(_existing_parent(wanted)):
        _make(wanted, 0o700 if account is None else 0o711)
        place = wanted.resolve()
    else:
        place = _make_home(home) / "clusters" / f"{_label(wanted)}-{secrets.token_hex(4)}"
        _make(place, 0o711)
        _make(wanted.parent, 0o711)
        wanted.symlink_to(place, target_is_directory=True)
    if account is not None and not account.may_enter(place):
        raise ConfigError(
            f"PostgreSQL runs as user {account.uid}, who may not enter {place}",
            hint=f"let others pass through the directories above, or move it to {home / 'clusters'} and leave a link",
        )
    return place


def place_programs(bin_path: Path, account: Account | None, *, home: Path = HOME) -> Path:
    """A ``bin`` directory with the same programs that the account may run: this one, or a copy.

    A copy is made once for each build, of the wheel's own layout, since its programs find their libraries beside them.
    """
    if account is None or account.may_enter(bin_path / "postgres"):
        return bin_path
    package = bin_path.parent.parent
    libraries = package.with_name(f"{package.name}.libs")
    if not libraries.is_dir():
        raise ConfigError(
            f"PostgreSQL runs as user {account.uid}, who may not run {bin_path / 'postgres'}",
            hint="let others read and pass through the directories above it",
        )
    with (bin_path / "postgres").open("rb") as file:
        build = hashlib.file_digest(file, "sha256").hexdigest()[:16]
    copy = _make_home(home) / "programs" / build
    if not copy.exists():
        _make(copy.parent, 0o755)
        unfinished = Path(tempfile.mkdtemp(prefix="copy-", dir=copy.parent))
        for part in ("bin", "lib", "share"):
            shutil.copytree(bin_path.with_name(part), unfinished / package.name / bin_path.parent.name / part)
        shutil.copytree(libraries, unfinished / libraries.name)
        _open_to_all(unfinished)
        try:
            unfinished.rename(copy)
        except OSError:  # another server was quicker
            shutil.rmtree(unfinished)
    return copy / package.name / bin_path.parent.name / "bin"


def place_sockets(directory: Path, account: Account | None) -> Path:
    """An empty directory (0700) for the server's socket, short enough for a socket's address.

    ``run`` in the cluster's directory, else a fresh one for temporary files. Only for the holder of the lock.
    """
    run = directory / "run"
    # A comma would part two hosts in the URL.
    if len(os.fsencode(run / _SOCKET)) <= _SOCKET_BYTES and "," not in str(run):
        _make(run, 0o700)
        for left in run.glob(f"{_SOCKET}*"):
            left.unlink()
    else:
        run = Path(tempfile.mkdtemp(prefix="mbaas-", dir=_temporary(account)))
    if account is not None:
        os.chown(run, account.uid, account.gid)
    return run


def _temporary(account: Account | None) -> Path:
    for parent in map(Path, (tempfile.gettempdir(), "/tmp", "/var/tmp")):  # noqa: S108 - mkdtemp makes it private
        fits = len(os.fsencode(parent)) + len(f"/mbaas-12345678/{_SOCKET}") <= _SOCKET_BYTES
        if fits and "," not in str(parent) and parent.is_dir() and (account is None or account.may_enter(parent)):
            return parent
    raise ConfigError(
        "no directory is short enough for PostgreSQL's socket", hint="set TMPDIR to a short path, or move the data"
    )


def _existing_parent(path: Path) -> Path:
    return next(parent for parent in path.absolute().parents if parent.exists())


def _label(wanted: Path) -> str:
    """A name that tells an administrator whose cluster it is: ``/root/fieldnotes/.mbaas/postgres`` is fieldnotes."""
    parts = [part for part in wanted.absolute().parent.parts if not part.startswith((".", "/"))]
    return re.sub(r"[^A-Za-z0-9_-]+", "-", parts[-1])[:40] if parts else "cluster"


def _make_home(home: Path) -> Path:
    """Root runs programs from there and trusts what it finds, so nobody else may write there."""
    try:
        _make(home, 0o755)
        _make(home / "clusters", 0o711)
    except OSError as error:
        raise ConfigError(
            f"{home} cannot be made: {error.strerror}",
            hint="PostgreSQL runs as another user, who may not enter this place; use one that everybody may enter",
        ) from error
    found = home.stat()
    if found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise ConfigError(f"{home} may be written by others", hint=f"chown root {home} && chmod 755 {home}")
    return home


def _make(path: Path, mode: int) -> None:
    """The directory and those above it that are missing, with that mode whatever the umask; one that is there stays."""
    if path.is_dir():
        return
    _make(path.parent, mode)
    path.mkdir(exist_ok=True)
    path.chmod(mode)


def _open_to_all(root: Path) -> None:
    """Readable for everybody, whatever the umask was when the wheel was installed."""
    for path in (root, *root.rglob("*")):
        mode = path.stat().st_mode & 0o777
        path.chmod(mode | 0o555 if path.is_dir() or mode & 0o100 else mode | 0o444)
