"""Where a link may lead: the site itself, this machine's loopback, or the allow list; anything else leads to the site.

A target is read once, strictly (RFC 3986), before it is compared with anything. What browsers and servers read in
different ways (user information, backslashes, dot segments, bytes outside of the URL alphabet) is no target at all.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from urllib.parse import urlencode

import msgspec

_URL = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*):"
    r"(?://(?P<authority>[A-Za-z0-9.\-:\[\]]*))?"
    r"(?P<path>[A-Za-z0-9\-._~%!$&'()*+,;=:@/]*)"
    r"(?:\?(?P<query>[A-Za-z0-9\-._~%!$&'()*+,;=:@/?]*))?"
    r"(?:#[A-Za-z0-9\-._~%!$&'()*+,;=:@/?]*)?"
)
_HOST = re.compile(r"(?P<host>[A-Za-z0-9.\-]*|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[0-9]{1,5}))?")
_DOTS = re.compile(r"(?:^|/)(?:\.|%2e){1,2}(?:/|$)", re.IGNORECASE)
# These run or show what they carry instead of leading anywhere.
_NEVER = frozenset({"javascript", "data", "vbscript", "file", "blob", "about", "view-source", "filesystem"})
_PORTS = {"http": "80", "https": "443"}
_MAX = 2048
_GLOB = re.compile(r"\*\*|\*|\?|[^*?]+")


class Target(msgspec.Struct, frozen=True):
    """A URL taken apart. query: ``None`` when there is none. The fragment is ours to set and is dropped."""

    scheme: str
    authority: str | None
    path: str
    query: str | None

    @property
    def host(self) -> str:
        found = _HOST.fullmatch(self.authority or "")
        return found["host"].lower() if found else ""

    @property
    def port(self) -> str | None:
        found = _HOST.fullmatch(self.authority or "")
        return (found["port"] if found else None) or _PORTS.get(self.scheme)

    @property
    def url(self) -> str:
        authority = "" if self.authority is None else f"//{self.authority}"
        query = "" if self.query is None else f"?{self.query}"
        return f"{self.scheme}:{authority}{self.path}{query}"


def parse_target(text: str) -> Target | None:
    """A URL that has one reading and may be led to, else ``None``.

    >>> parse_target("fieldnotes://callback")
    Target(scheme='fieldnotes', authority='callback', path='', query=None)
    >>> parse_target("https://app.example.com@evil.example/") is None
    True
    """
    found = _URL.fullmatch(text) if len(text) <= _MAX else None
    if found is None:
        return None
    scheme, authority, path = found["scheme"].lower(), found["authority"], found["path"]
    if scheme in _NEVER or _DOTS.search(path) or "//" in path:
        return None
    if authority is None and (scheme in _PORTS or not path):
        return None
    if authority is not None:
        host = _HOST.fullmatch(authority)
        if host is None or (path and not path.startswith("/")) or (scheme in _PORTS and not host["host"]):
            return None
    return Target(scheme, authority, path, found["query"])


class AllowList:
    """site_url: allowed with everything beneath, and where all else leads. patterns: see ``AppSettings``."""

    def __init__(self, site_url: str, patterns: Sequence[str]) -> None:
        self.site_url = site_url
        self._site = parse_target(site_url)
        self._patterns = tuple(_Pattern(pattern) for pattern in patterns)

    def resolve(self, wanted: str | None) -> str:
        """The target to use: the wanted one when it is allowed, without its fragment, else the site's."""
        target = parse_target(wanted) if wanted else None
        return target.url if target is not None and self._allows(target) else self.site_url

    def is_ours(self, target: Target) -> bool:
        """Whether it is the site's or on the list. Loopback is not: there is an app of anybody's on it."""
        site = self._site
        at_site = site is not None and (target.scheme, target.host, target.port) == (site.scheme, site.host, site.port)
        return bool(at_site and target.host) or any(pattern.matches(target) for pattern in self._patterns)

    def _allows(self, target: Target) -> bool:
        return _is_loopback(target) or self.is_ours(target)


def with_fragment(target: str, parameters: Mapping[str, str]) -> str:
    """A target carrying what no server on the way shall see (RFC 6749 section 4.2.2)."""
    return f"{target}#{urlencode(parameters)}"


def with_query(target: str, parameters: Mapping[str, str]) -> str:
    """A target with parameters added to those it has."""
    return f"{target}{'&' if '?' in target else '?'}{urlencode(parameters)}"


def _is_loopback(target: Target) -> bool:
    """A native app waiting on a port of this machine (RFC 8252 section 7.3). By address: a name can be pointed."""
    if target.scheme not in _PORTS:
        return False
    try:
        return ipaddress.ip_address(target.host.strip("[]")).is_loopback
    except ValueError:
        return False


class _Pattern:
    """One entry of the list. Scheme, authority and the rest are compared apart, so no glob reaches across them."""

    def __init__(self, text: str) -> None:
        scheme, _, rest = text.partition(":")
        self._scheme = scheme.lower()
        authority: str | None = None
        if rest.startswith("//"):
            authority, slash, path = rest[2:].partition("/")
            if "?" in authority and not slash:
                authority, _, query = authority.partition("?")
                path, rest = "", f"?{query}"
            else:
                rest = slash + path
            if authority == "**" and not rest:
                rest = "**"  # exp://** is how people write: this scheme, whatever follows
        self._has_query = "?" in rest
        self._authority = None if authority is None else _glob(authority.lower())
        self._rest = _glob(rest)

    def matches(self, target: Target) -> bool:
        if target.scheme != self._scheme or (target.authority is None) != (self._authority is None):
            return False
        if self._authority is not None and not self._authority.fullmatch((target.authority or "").lower()):
            return False
        # A pattern that says nothing of a query lets any pass: clients add their own.
        whole = target.path if target.query is None else f"{target.path}?{target.query}"
        return bool(self._rest.fullmatch(whole if self._has_query else target.path))


def _glob(pattern: str) -> re.Pattern[str]:
    """``*``: anything but ``.`` and ``/``; ``**``: anything; ``?`` is itself: it begins a query."""
    parts = ({"**": ".*", "*": "[^./]*"}.get(piece) or re.escape(piece) for piece in _GLOB.findall(pattern))
    return re.compile("".join(parts), re.DOTALL)
