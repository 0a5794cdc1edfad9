"""No text at all makes a link lead where the settings do not."""

from __future__ import annotations

from urllib.parse import urlsplit

from hypothesis import example, given, settings
from hypothesis import strategies as st

from mbaas.modules.auth.redirect import AllowList, with_fragment, with_query
from tests.conftest import SOAK

SITE = "https://app.example.com"
LIST = AllowList(SITE, ("https://*.preview.example.com/**", "fieldnotes://callback"))

PIECES = st.sampled_from(
    [
        "https:", "http:", "//", "/", "\\", "@", ":", "#", "?", ".", "..", "%2e", "%2f", "%5c", "%00", "\r\n", "\t", " ",
        "app.example.com", "x.preview.example.com", "evil.example", "127.0.0.1", "localhost", "[::1]", "443", "javascript",
        "data", "fieldnotes", "callback", "\u3002", "\u2024", "\uff0f", "\u0430", "user", "&", ";", "=", ",",
    ]
)  # fmt: skip
HOSTILE = st.one_of(
    st.text(max_size=60),
    st.lists(PIECES, max_size=12).map("".join),
    st.tuples(
        st.sampled_from([SITE, "https://x.preview.example.com", "fieldnotes://callback"]), st.text(max_size=20)
    ).map("".join),
    st.tuples(st.sampled_from([SITE, "https://"]), st.lists(PIECES, max_size=6).map("".join)).map("".join),
)


@given(HOSTILE)
@example("https://app.example.com\\@evil.example/")
@example("https://evil.example\\.preview.example.com/")
@settings(max_examples=5000 if SOAK else 400, deadline=None)
def test_a_link_leads_to_a_host_of_the_list_for_every_reader(wanted: str) -> None:
    target = LIST.resolve(wanted)
    assert target.isascii()
    assert target.isprintable()
    assert not set(target) & set(' \\<>"`{}|^#')
    for reading in (target, target.replace("\\", "/"), target.strip()):  # browsers take a backslash for a slash
        parts = urlsplit(reading)
        host = (parts.hostname or "").lower()
        if parts.scheme == "fieldnotes":
            assert (parts.netloc, parts.path) == ("callback", "")
        else:
            assert parts.scheme in ("http", "https")
            assert parts.username is None
            allowed = host == "app.example.com" and parts.scheme == "https"
            preview = host.endswith(".preview.example.com") and host.count(".") == 3 and parts.scheme == "https"
            assert allowed or preview or host.startswith("127.") or host == "::1"
            assert ".." not in parts.path.split("/")


@given(HOSTILE)
@settings(max_examples=2000 if SOAK else 200, deadline=None)
def test_resolving_twice_changes_nothing(wanted: str) -> None:
    once = LIST.resolve(wanted)
    assert LIST.resolve(once) == once


@given(HOSTILE, st.text(max_size=40), st.text(max_size=40))
@settings(max_examples=2000 if SOAK else 200, deadline=None)
def test_nothing_added_to_a_target_changes_where_it_leads(wanted: str, code: str, error: str) -> None:
    """Codes and errors of a provider travel in query and fragment; a line or a host in them stays text."""
    target = LIST.resolve(wanted)
    try:
        landed = with_fragment(with_query(target, {"code": code}), {"error": error})
    except UnicodeEncodeError:  # half a surrogate pair comes from no request
        return
    before, after = urlsplit(target), urlsplit(landed)
    assert (after.scheme, after.netloc, after.path) == (before.scheme, before.netloc, before.path)
    assert landed.isascii()
    assert landed.isprintable()
    assert not set(landed) & set(' \\<>"`{}|^')
