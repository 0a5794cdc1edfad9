"""One request to ``/rest/v1`` with its path and headers read."""

from __future__ import annotations

from functools import lru_cache
from urllib.parse import quote, unquote

import msgspec

from mbaas.config.settings import RestSettings
from mbaas.core.errors import BodyInvalid
from mbaas.core.identity import Identity
from mbaas.core.query.errors import PreferenceInvalid, UnknownSchema
from mbaas.core.query.headers import ROOT, ROWS, applied, content_type, parse_accept, parse_prefer
from mbaas.core.query.types import Media, Preferences
from mbaas.http.heads import Head, head_of
from mbaas.http.respond import Header, Receive, Scope

SCHEMA = "public"

_JSON = Media()
_NO_PREFERENCES = Preferences()
_REST = RestSettings()


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """What the headers alone say. profile: the schema when the caller named it.

    applied: what answers say of the preferences. content_type: of answers with rows.
    """

    preferences: Preferences
    media: Media
    profile: bytes | None
    applied: tuple[Header, ...]
    content_type: bytes

    @property
    def counts(self) -> bool:
        return self.preferences.count is not None


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """names: the parts of the path, decoded."""

    scope: Scope
    receive: Receive
    method: str
    names: tuple[str, ...]
    head: dict[bytes, bytes]
    identity: Identity
    said: Said
    kept: list[bytes] = []  # the body once it was read: a request may be answered anew

    @property
    def preferences(self) -> Preferences:
        return self.said.preferences

    @property
    def media(self) -> Media:
        return self.said.media

    @property
    def query(self) -> bytes:
        found: bytes = self.scope["query_string"]
        return found

    def text(self, name: bytes) -> str | None:
        """A header."""
        found = self.head.get(name)
        return None if found is None else found.decode("latin-1")

    async def body(self) -> bytes:
        """See ``read_body``."""
        if not self.kept:
            self.kept.append(await read_body(self.receive))
        return self.kept[0]


async def read_body(receive: Receive) -> bytes:
    """The whole body, which the edge counts. Raises BodyInvalid when the caller went away in the middle."""
    message = await receive()
    if not message.get("more_body") and message["type"] == "http.request":
        found: bytes = message.get("body", b"")
        return found
    parts = []
    while True:
        if message["type"] != "http.request":
            raise BodyInvalid("The body ended before its end")
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)
        message = await receive()


def read_head(scope: Scope, receive: Receive, identity: Identity, prefix: str, rest: RestSettings = _REST) -> Asked:
    """rest: what of it a caller may ask for. Raises UnknownSchema, NotAcceptable, PreferenceInvalid."""
    known = head_of(scope)
    method: str = scope["method"]
    names = _names(scope.get("raw_path") or quote(scope["path"]).encode(), scope.get("root_path") or "", prefix)
    reads = method in ("GET", "HEAD")
    plans = rest.plans and identity.bypasses_rules
    said = known.memo.get((reads, not names, plans))
    if said is None:
        said = known.memo[reads, not names, plans] = _said(known, rest, reads=reads, rows=bool(names), plans=plans)
    return Asked(
        scope=scope,
        receive=receive,
        method=method,
        names=names,
        head=known.fields,
        identity=identity,
        said=said,
    )


def _allowed(preferences: Preferences, rest: RestSettings) -> Preferences:
    """How a transaction ends is a caller's to say only where the settings let it; a strict one is told so."""
    if preferences.transaction is None or rest.rollback:
        return preferences
    if preferences.handling == "strict":
        raise PreferenceInvalid((f"tx={preferences.transaction}",))
    return msgspec.structs.replace(preferences, transaction=None)


def _all(headers: list[tuple[bytes, bytes]], name: bytes) -> list[str]:
    return [value.decode("latin-1") for given, value in headers if given == name]


def _said(known: Head, rest: RestSettings, *, reads: bool, rows: bool, plans: bool) -> Said:
    """Raises UnknownSchema, NotAcceptable, PreferenceInvalid."""
    preferences, media = _NO_PREFERENCES, _JSON
    if b"prefer" in known.fields:
        preferences = _allowed(parse_prefer(_all(known.headers, b"prefer")), rest)
    if b"accept" in known.fields:
        accepted = ", ".join(_all(known.headers, b"accept"))
        media = parse_accept(accepted, ROWS if rows else ROOT, plans=plans and rows)
    profile = known.fields.get(b"accept-profile" if reads else b"content-profile")
    if profile is not None and profile != SCHEMA.encode():
        raise UnknownSchema(profile.decode("latin-1"))
    honoured = None if preferences == _NO_PREFERENCES else applied(preferences)
    return Said(
        preferences=preferences,
        media=media,
        profile=profile,
        applied=() if honoured is None else ((b"preference-applied", honoured.encode()),),
        content_type=content_type(media),
    )


@lru_cache(maxsize=4096)
def _names(raw_path: bytes, root_path: str, prefix: str) -> tuple[str, ...]:
    """What stands behind the prefix, each part decoded by itself: an encoded slash is part of a name."""
    path = raw_path.decode("latin-1").removeprefix(quote(root_path))
    names = path.removeprefix(prefix).strip("/").split("/")
    return tuple(map(unquote, names)) if names != [""] else ()
