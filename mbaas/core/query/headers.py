"""``Prefer`` (RFC 7240), ``Accept`` and ``Content-Type`` (RFC 9110) as PostgREST reads them, and what we answer."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, Literal, TypeAlias

from mbaas.core.errors import BodyInvalid
from mbaas.core.query.errors import NotAcceptable, PreferenceInvalid, UnknownSchema, shorten
from mbaas.core.query.types import Explain, Media, Preferences

Kind: TypeAlias = Literal["json", "object", "csv", "openapi"]
BodyKind: TypeAlias = Literal["json", "csv", "form", "text", "bytes"]

ROWS: tuple[Kind, ...] = ("json", "object", "csv")  # what a collection or function can be answered as
ROOT: tuple[Kind, ...] = ("openapi", "json")

_FIELDS = {
    "return": ("representation", ("representation", "minimal", "headers-only")),
    "count": ("count", ("exact", "planned", "estimated")),
    "resolution": ("resolution", ("merge-duplicates", "ignore-duplicates")),
    "missing": ("missing", ("default", "null")),
    "handling": ("handling", ("strict", "lenient")),
    "tx": ("transaction", ("commit", "rollback")),
}
_KNOWN = {f"{word}={value}": (field, value) for word, (field, values) in _FIELDS.items() for value in values}
_APPLIED = ("resolution", "missing", "return", "count", "tx", "handling")  # in PostgREST's order

_NUMBER = re.compile(r"[0-9]{1,18}", re.ASCII)
# A quote that is never closed runs to the end: to look for its end and then give up would cost the rest each time.
_OUTSIDE_QUOTES = re.compile(r'(?:[^,"]++|"(?:[^"\\]++|\\.)*(?:"|\\?\Z))+', re.DOTALL)
_OUTSIDE_QUOTED = re.compile(r'(?:[^;"]++|"(?:[^"\\]++|\\.)*(?:"|\\?\Z))+', re.DOTALL)
_QUALITY = re.compile(r"(?:0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)", re.ASCII)

_KINDS: dict[str, Kind] = {
    "application/json": "json",
    "application/vnd.pgrst.array+json": "json",
    "application/vnd.pgrst.array": "json",
    "application/vnd.pgrst.object+json": "object",
    "application/vnd.pgrst.object": "object",
    "text/csv": "csv",
    "application/openapi+json": "openapi",
}
_PLANS: dict[str, Literal["text", "json"]] = {
    "application/vnd.pgrst.plan": "text",
    "application/vnd.pgrst.plan+text": "text",
    "application/vnd.pgrst.plan+json": "json",
}
_EXPLAINED = ("analyze", "verbose", "settings", "buffers", "wal")
_STRIPPABLE = frozenset(name for name in _KINDS if ".pgrst." in name)
_BODIES: dict[str, BodyKind] = {
    "application/json": "json",
    "application/vnd.pgrst.array+json": "json",
    "application/vnd.pgrst.object+json": "json",
    "text/csv": "csv",
    "application/x-www-form-urlencoded": "form",
    "text/plain": "text",
    "text/xml": "text",
    "application/octet-stream": "bytes",
}


def parse_prefer(values: Iterable[str]) -> Preferences:
    """One ``Preferences`` out of all ``Prefer`` headers. Of a preference said twice the first counts.

    ``max-affected`` says nothing without ``handling=strict``. Raises PreferenceInvalid for what nobody knows beside it.

    >>> parse_prefer(["return=minimal, count=exact"]).count
    'exact'
    """
    found: dict[str, Any] = {}
    unknown: list[str] = []
    for value in values:
        for item in value.split(","):
            text = item.strip()
            known = _KNOWN.get(text) or _normalized(text)
            if known is not None:
                found.setdefault(*known)
            elif text:
                unknown.append(shorten(text))
    strict = found.get("handling") == "strict"
    if strict and unknown:
        raise PreferenceInvalid(tuple(unknown))
    if not strict:
        found.pop("max_affected", None)
    return Preferences(**found, unknown=tuple(unknown))


def _normalized(text: str) -> tuple[str, Any] | None:
    """A preference in another spelling: names in any case, spaces around ``=``, a quoted value."""
    name, equals, value = text.partition("=")
    name, value = name.strip().lower(), value.strip()
    if not equals:
        return None
    if len(value) > 1 and value.startswith('"') and value.endswith('"'):
        value = value[1:-1]
    if name == "max-affected":
        return ("max_affected", int(value)) if _NUMBER.fullmatch(value) else None
    return _KNOWN.get(f"{name}={value}")


def applied(preferences: Preferences) -> str | None:
    """The value of ``Preference-Applied``, ``None`` when there is none to name.

    >>> applied(Preferences(representation="minimal", count="exact"))
    'return=minimal, count=exact'
    """
    said = []
    for word in _APPLIED:
        value = getattr(preferences, _FIELDS[word][0])
        if value is not None:
            said.append(f"{word}={value}")
    if preferences.max_affected is not None:
        said.append(f"max-affected={preferences.max_affected}")
    return ", ".join(said) or None


def parse_accept(value: str | None, offers: tuple[Kind, ...] = ROWS, *, plans: bool = False) -> Media:
    """The media type that suits the caller best. offers: what the route makes, its own favourite first.

    plans: whether the caller may ask how a request is carried out. Types nobody makes are passed over.
    Raises NotAcceptable when none is left.

    >>> parse_accept("text/unknown, application/vnd.pgrst.object;nulls=stripped")
    Media(kind='object', stripped=True)
    """
    if value is None or value in ("", "*/*"):
        return Media(kind=offers[0])
    if value == "application/json" and "json" in offers:
        return Media()
    wanted: list[tuple[float, int, Media]] = []
    accepted: list[str] = []
    for position, item in enumerate(_split(value)):
        name, parameters = _media_type(item)
        accepted.append(shorten(item))
        media = _explained(name, parameters, offers) if plans and name in _PLANS else _offered(name, parameters, offers)
        quality = _quality(parameters.get("q"))
        if media is not None and quality > 0:
            wanted.append((-quality, position, media))
    if not wanted:
        raise NotAcceptable(tuple(accepted))
    return min(wanted, key=lambda entry: entry[:2])[2]


def content_type(media: Media) -> bytes:
    """The ``Content-Type`` of an answer in that form, always in the long spelling.

    >>> content_type(Media(kind="object", stripped=True))
    b'application/vnd.pgrst.object+json;nulls=stripped; charset=utf-8'
    """
    if media.explain is not None:
        options = f"; options={'|'.join(media.explain.options)}" if media.explain.options else ""
        inner = _CONTENT_TYPES[media.kind, media.stripped].removesuffix(b"; charset=utf-8").decode()
        explained = f'application/vnd.pgrst.plan+{media.explain.format}; for="{inner}"{options}; charset=utf-8'
        return explained.encode()
    return _CONTENT_TYPES[media.kind, media.stripped]


_CONTENT_TYPES = {
    ("json", False): b"application/json; charset=utf-8",
    ("json", True): b"application/vnd.pgrst.array+json;nulls=stripped; charset=utf-8",
    ("object", False): b"application/vnd.pgrst.object+json; charset=utf-8",
    ("object", True): b"application/vnd.pgrst.object+json;nulls=stripped; charset=utf-8",
    ("csv", False): b"text/csv; charset=utf-8",
    ("openapi", False): b"application/openapi+json; charset=utf-8",
}


def parse_content_type(value: str | None) -> BodyKind:
    """What a body is; JSON when nobody says. Raises BodyInvalid for a type we do not take.

    >>> parse_content_type("application/json;charset=UTF-8")
    'json'
    """
    if value is None or value == "application/json":
        return "json"
    name = value.partition(";")[0].strip().lower()
    kind = _BODIES.get(name)
    if kind is None:
        raise BodyInvalid(f"Content-Type not acceptable: {shorten(name)}")
    return kind


def check_profile(name: str | None, exposed: tuple[str, ...] = ("public",)) -> None:
    """``Accept-Profile`` and ``Content-Profile`` name a schema; raises UnknownSchema for one that is not exposed."""
    if name is not None and name not in exposed:
        raise UnknownSchema(shorten(name), exposed)


def _offered(name: str, parameters: dict[str, str], offers: tuple[Kind, ...]) -> Media | None:
    if name in ("*/*", "application/*"):
        return Media(kind=offers[0])
    if name == "text/*" and "csv" in offers:
        return Media(kind="csv")
    kind = _KINDS.get(name)
    if kind is None or kind not in offers:
        return None
    return Media(kind=kind, stripped=name in _STRIPPABLE and parameters.get("nulls") == "stripped")


def _explained(name: str, parameters: dict[str, str], offers: tuple[Kind, ...]) -> Media | None:
    """``application/vnd.pgrst.plan+json; for="text/csv"; options=analyze|verbose``; unknown options are passed over."""
    inner = _offered(*_media_type(parameters.get("for", "application/json")), offers)
    if inner is None:
        return None
    given = parameters.get("options", "").split("|")
    explain = Explain(_PLANS[name], tuple(option for option in _EXPLAINED if option in given))
    return Media(kind=inner.kind, stripped=inner.stripped, explain=explain)


def _split(value: str) -> Iterator[str]:
    items = value.split(",") if '"' not in value else _OUTSIDE_QUOTES.findall(value)
    return (item.strip() for item in items if item.strip())


def _media_type(text: str) -> tuple[str, dict[str, str]]:
    name, *parameters = text.split(";") if '"' not in text else _OUTSIDE_QUOTED.findall(text)
    pairs = (parameter.partition("=") for parameter in parameters)
    return name.strip().lower(), {key.strip().lower(): value.strip().strip('"') for key, _, value in pairs}


def _quality(text: str | None) -> float:
    """0 to 1; one that cannot be read counts as the least there is, not as refused."""
    if text is None:
        return 1.0
    return float(text) if _QUALITY.fullmatch(text) else 0.001
