"""What the service gives, as answers: status, headers and the body in the form that was asked for."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import quote, unquote_to_bytes

import msgspec

from mbaas.core.query.errors import NotAcceptable, RangeInvalid
from mbaas.core.query.types import Media, Payload
from mbaas.http.respond import Header, Reply, Send
from mbaas.modules.records.asked import Said
from mbaas.modules.records.csv import as_csv
from mbaas.modules.records.results import Page, Written

_SAFE = "%!$&'()*+,;=:@/?-._~[]"  # what a URL may hold, and an escape as it is


def listed(said: Said, page: Page, offset: int) -> Reply:
    """Rows with their place among all. 206: there are more. Raises RangeInvalid for a window behind the last row."""
    if page.total is not None and offset > page.total:
        raise RangeInvalid.beyond(offset, page.total)
    partial = page.total is not None and page.rows < page.total
    headers = ((b"content-range", content_range(offset, page.rows, page.total)), *said.applied)
    return Reply(206 if partial else 200, formatted(said.media, page), headers, said.content_type)


def represented(said: Said, written: Written, headers: Iterable[Header], *, given: int, silent: int) -> Reply:
    """The outcome of a write. given, silent: the status with a representation and without."""
    headers = (*headers, *said.applied)
    if written.page is None:
        return Reply(silent, headers=headers)
    return Reply(given, formatted(said.media, written.page), headers, said.content_type)


def inserted(said: Said, name: str, written: Written, payload: Payload) -> Reply:
    """The answer to POST."""
    merged = said.preferences.resolution == "merge-duplicates" and written.inserted == 0 and payload.rows != 0
    status = 200 if merged else 201
    headers = ((b"content-range", content_range(0, 0, written.affected if said.counts else None)),)
    if said.preferences.representation == "headers-only":
        where = () if written.page is None else location(name, written.page)
        return Reply(status, headers=(*headers, *where, *said.applied))
    return represented(said, written, headers, given=status, silent=status)


def updated(said: Said, written: Written, payload: Payload) -> Reply:
    """The answer to PATCH."""
    total = written.affected if said.counts and payload.columns else None
    headers = ((b"content-range", content_range(0, written.affected, total)),)
    return represented(said, written, headers, given=200, silent=204)


def named(reply: Reply, profile: bytes | None) -> Reply:
    """With the schema, when the caller named it."""
    if profile is None:
        return reply
    return msgspec.structs.replace(reply, headers=(*reply.headers, (b"content-profile", profile)))


def formatted(media: Media, page: Page, *, single: bool = False) -> bytes:
    """Rows in the form that was asked for. single: there is one at most, ``null`` when there is none."""
    if media.kind == "csv":
        return as_csv(page)
    if media.kind == "object" or single:
        return page.body[1:-1].encode() if page.rows else b"null"
    return page.body.encode()


def bare(media: Media, page: Page) -> bytes:
    """A function's value that has no columns. Raises NotAcceptable for CSV."""
    if media.kind == "csv":
        raise NotAcceptable(("text/csv",))
    return page.body.encode()


@lru_cache(maxsize=1024)
def content_range(offset: int, rows: int, total: int | None) -> bytes:
    """``*`` for no rows and for a total that was not asked for (RFC 9110 section 14.4, PostgREST).

    >>> content_range(0, 10, 100), content_range(0, 0, None)
    (b'0-9/100', b'*/*')
    """
    where = f"{offset}-{offset + rows - 1}" if rows else "*"
    return f"{where}/{'*' if total is None else total}".encode()


def next_page(query: bytes, after: str) -> Header:
    """The same request with another cursor, as a link relative to this one (RFC 8288). query: as it came."""
    pairs = (pair for pair in query.split(b"&") if unquote_to_bytes(pair.partition(b"=")[0]) != b"cursor")
    further = b"&".join([*(quote(pair, safe=_SAFE).encode() for pair in pairs if pair), b"cursor=" + after.encode()])
    return b"link", b"<?" + further + b'>; rel="next"'


def location(name: str, page: Page) -> tuple[Header, ...]:
    """Where the first new record is: ``/posts?id=eq.1``."""
    records = msgspec.json.decode(page.body)
    if not records:
        return ()
    pairs = (f"{quote(key)}={_key_filter(value)}" for key, value in records[0].items())
    return ((b"location", f"/{quote(name)}?{'&'.join(pairs)}".encode()),)


def _key_filter(value: object) -> str:
    if value is None:
        return "is.null"
    return "eq." + quote(value if isinstance(value, str) else msgspec.json.encode(value).decode(), safe="")


async def send_head(send: Send, reply: Reply) -> None:
    """The answer to HEAD: no body, nor a length of one that was never made."""
    lines = [*reply.headers, (b"content-type", reply.content_type)]
    await send({"type": "http.response.start", "status": reply.status, "headers": lines})
    await send({"type": "http.response.body", "body": b""})
