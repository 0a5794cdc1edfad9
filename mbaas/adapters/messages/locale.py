"""Languages: what a user or a browser asks for, and what to fall back to."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

_TAG = re.compile(r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{2,8}){0,3}")
_WANTED = re.compile(r"\s*(?P<tag>[A-Za-z0-9-]+)\s*(?:;\s*q\s*=\s*(?P<q>[01](?:\.[0-9]{0,3})?)\s*)?")
_MOST = 5


def parse_locale(text: object) -> str | None:
    """A language tag in its usual spelling (RFC 5646), ``None`` for what is none.

    >>> parse_locale("DE_at"), parse_locale("zh-hant-tw"), parse_locale("../en")
    ('de-AT', 'zh-Hant-TW', None)
    """
    if not isinstance(text, str) or not _TAG.fullmatch(text):
        return None
    first, *rest = re.split("[-_]", text)
    spelled = [part.upper() if len(part) == 2 else part.title() if len(part) == 4 else part.lower() for part in rest]
    return "-".join([first.lower(), *spelled])


def accepted(header: str | None) -> tuple[str, ...]:
    """The languages of an ``Accept-Language`` (RFC 9110 section 12.5.4), the most wanted first.

    >>> accepted("en;q=0.5, de-AT, *;q=0.1")
    ('de-AT', 'en')
    """
    found = []
    for place, part in enumerate((header or "")[:200].split(",")):
        match = _WANTED.fullmatch(part)
        if match and (tag := parse_locale(match["tag"])) and (quality := float(match["q"] or 1)) > 0:
            found.append((-quality, place, tag))
    return tuple(tag for _, _, tag in sorted(found)[:_MOST])


def of_user(metadata: Mapping[str, Any]) -> str | None:
    """The language a user has chosen, as apps keep it in ``user_metadata``."""
    return next((tag for key in ("locale", "lang", "language") if (tag := parse_locale(metadata.get(key)))), None)


def chain(wanted: Iterable[str], default: str) -> tuple[str, ...]:
    """What to look for, in order: each with what it is a variety of, then the default, then English.

    >>> chain(["de-AT"], "fr")
    ('de-AT', 'de', 'fr', 'en')
    """
    found: dict[str, None] = {}
    for tag in (*wanted, default, "en"):
        parts = tag.split("-")
        for length in range(len(parts), 0, -1):
            found["-".join(parts[:length])] = None
    return tuple(found)
