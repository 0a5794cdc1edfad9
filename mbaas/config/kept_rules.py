"""The rules of a catalog as they were read the last time, beside the data.

To read a rule takes sqlglot: a tenth of a second of every start, and 8 MB for as long as the server lives. What is kept
is of one catalog and of this very program: anything else is read anew (docs/adr/0100).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from importlib.util import find_spec
from pathlib import Path

import msgspec

import mbaas.core
from mbaas.core.expr.types import Expr
from mbaas.core.rules.ruleset import RuleSet
from mbaas.core.schema.catalog import Catalog

NAME = "rules.kept"
_READERS = ("expr", "rules", "schema")  # the packages of mbaas.core that decide how a text is read


class _Kept(msgspec.Struct, frozen=True):
    digest: bytes
    rows: dict[tuple[str, str], Expr]
    reads: dict[tuple[str, str], Expr]
    writes: dict[tuple[str, str], Expr]
    defaults: dict[str, dict[str, Expr]]


_DECODER = msgspec.msgpack.Decoder(_Kept)


def compiled_rules(catalog: Catalog, data: Path) -> RuleSet:
    """The rules of ``catalog``. data: the folder where they are kept; where it is not there, nothing is kept.

    Raises RuleError as ``compile_rules`` does.
    """
    path, digest = data / NAME, _digest(catalog)
    kept = _read(path)
    if kept is not None and kept.digest == digest:
        return RuleSet(catalog, kept.rows, kept.reads, kept.writes, kept.defaults)
    from mbaas.core.rules.compile import compile_rules  # with sqlglot

    rules = compile_rules(catalog)
    _write(path, _Kept(digest, rules.rows, rules.reads, rules.writes, rules.defaults))
    return rules


def _read(path: Path) -> _Kept | None:
    """``None`` too for what somebody else could have written, or what cannot be understood."""
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            if status.st_uid not in {0, os.geteuid()} or stat.S_IMODE(status.st_mode) & 0o022:
                return None
            return _DECODER.decode(file.read())
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return None


def _write(path: Path, kept: _Kept) -> None:
    """Whole or not at all. It is only to save time: where it cannot be written, there is none."""
    beside = path.with_name(f"{NAME}.{os.getpid()}")
    with contextlib.suppress(OSError):
        handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(msgspec.msgpack.encode(kept))
        beside.replace(path)


def _digest(catalog: Catalog) -> bytes:
    """Of everything that decides what the rules are read as."""
    found = hashlib.sha256(msgspec.msgpack.encode(catalog))
    library = find_spec("sqlglot")
    if library is not None and library.origin is not None:
        found.update(Path(library.origin).with_name("_version.py").read_bytes())
    for package in _READERS:
        folder = Path(mbaas.core.__path__[0]) / package
        for file in sorted(folder.glob("*.py")):
            status = file.stat()
            found.update(f"{file.name} {status.st_size} {status.st_mtime_ns}".encode())
    return found.digest()
