"""``cursor``: the place behind the last row of a page, opaque to its holder."""

from __future__ import annotations

import base64
import binascii
import hashlib

import msgspec

from mbaas.core.query.errors import CursorInvalid

FIRST = frozenset({"", "*"})
"""What asks for the first page."""


class Cursor(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """digest: of the order that the values are of. values: of the last row, in PostgreSQL's text form."""

    digest: str
    values: tuple[str | None, ...]


_DECODER = msgspec.json.Decoder(Cursor)


def format_cursor(cursor: Cursor) -> str:
    """As it goes over the wire: letters, digits, ``-`` and ``_``.

    >>> parse_cursor(format_cursor(Cursor("d", ("1", None))))
    Cursor(digest='d', values=('1', None))
    """
    return base64.urlsafe_b64encode(msgspec.json.encode(cursor)).rstrip(b"=").decode()


def parse_cursor(text: str) -> Cursor | None:
    """``None`` for the first page. Raises CursorInvalid for what this server never gave out."""
    if text in FIRST:
        return None
    try:
        return _DECODER.decode(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, msgspec.DecodeError, UnicodeError) as error:
        raise CursorInvalid("it is not what an earlier answer gave") from error


def digest_of(*parts: object) -> str:
    """What tells one order of rows from another."""
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()[:12]
