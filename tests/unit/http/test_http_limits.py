"""Paths with one reading; sizes of URL, headers and bodies."""

from __future__ import annotations

import asyncio
import urllib.parse

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbaas.config.settings import LimitSettings
from mbaas.core.errors import TooLarge
from mbaas.http.admission import Admission
from mbaas.http.errors import BodyTooSlow, PathInvalid
from mbaas.http.limits import LimitedReceive, canonical_path
from mbaas.http.respond import Message, Scope
from tests.edge import NO_RATES, Setup, ask


def scope_of(raw: bytes) -> Scope:
    """As uvicorn makes it."""
    return {"type": "http", "path": urllib.parse.unquote(raw.decode("ascii")), "raw_path": raw}


@pytest.mark.parametrize(
    "raw",
    [
        b"//rest/v1/posts",
        b"/rest//v1/posts",
        b"/rest/v1/posts//",
        b"/rest/./v1",
        b"/rest/../admin/v1",
        b"/rest/v1/..",
        b"/rest/v1/.",
        b"/rest/v1/%2e%2e/admin",
        b"/rest/v1/%2E%2E",
        b"/rest/v1/.%2e/admin",
        b"/rest/v1/a%2fb",
        b"/rest/v1/a%2Fb",
        b"/rest/v1/..%2f..%2fadmin",
        b"/rest/v1/a%5cb",
        b"/rest/v1/a%5Cb",
        b"/rest/v1/a\\b",
        b"/rest/v1/a%00",
        b"/rest/v1/a%0d%0ax: y",
        b"/rest/v1/a%7f",
        b"/rest/v1/%ff",
        b"/rest/v1/%c0%ae%c0%ae",
        b"/rest/v1/%ed%a0%80",
        b"/rest/v1/%f5%80%80%80",
        b"/%2f",
        b"/.",
        b"/..",
    ],
)
async def test_a_path_with_two_readings_is_refused(raw: bytes) -> None:
    with pytest.raises(PathInvalid):
        canonical_path(scope_of(raw))
    scope = scope_of(raw)
    assert (await ask(Setup().edge, path=scope["path"], raw_path=raw)).status == 400


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        (b"/", "/"),
        (b"/rest/v1/posts", "/rest/v1/posts"),
        (b"/rest/v1/posts/", "/rest/v1/posts"),
        (b"/rest/v1/", "/rest/v1"),
        (b"/rest/v1/p%6fsts", "/rest/v1/posts"),
        (b"/storage/v1/object/b/a%20b.t%C3%A4xt", "/storage/v1/object/b/a b.täxt"),
        (b"/storage/v1/object/b/...", "/storage/v1/object/b/..."),
        (b"/storage/v1/object/b/.hidden", "/storage/v1/object/b/.hidden"),
        (b"/storage/v1/object/b/a..b", "/storage/v1/object/b/a..b"),
        (b"/rest/v1/%252e%252e", "/rest/v1/%2e%2e"),
        (b"/rest/v1/posts;x=1", "/rest/v1/posts;x=1"),
        (b"/rest/v1/%EF%BF%BD", "/rest/v1/\ufffd"),
    ],
)
def test_a_path_is_decoded_once_and_ends_without_a_slash(raw: bytes, path: str) -> None:
    scope = scope_of(raw)
    assert canonical_path(scope) == path == scope["path"]
    assert urllib.parse.unquote_to_bytes(scope["raw_path"]).decode() == path


@given(st.text(max_size=30))
def test_no_path_that_passes_has_odd_parts(text: str) -> None:
    raw = b"/" + urllib.parse.quote(text, safe="/%.\\", errors="surrogatepass").encode()
    scope = scope_of(raw)
    try:
        path = canonical_path(scope)
    except PathInvalid:
        return
    assert path == "/" or not set(path[1:].split("/")) & {"", ".", ".."}
    assert not any(character < " " or character in "\\\x7f" for character in path)


def limited(**limits: float) -> Setup:
    return Setup(limits=LimitSettings(rate=NO_RATES, **limits))  # type: ignore[arg-type]


async def test_a_url_has_a_length() -> None:
    edge = limited(max_url=100).edge
    assert (await ask(edge, path="/" + "a" * 49, query=b"q" * 50)).status == 200
    assert (await ask(edge, path="/" + "a" * 49, query=b"q" * 51)).status == 414


async def test_headers_have_a_count_and_a_size() -> None:
    edge = Setup().edge
    assert (await ask(edge, headers=[(f"x-{n}", "1") for n in range(99)])).status == 200
    assert (await ask(edge, headers=[(f"x-{n}", "1") for n in range(100)])).status == 431
    assert (await ask(edge, headers={"x-a": "a" * 60_000})).status == 200
    assert (await ask(edge, headers={"x-a": "a" * 66_000})).status == 431
    assert (await ask(edge, headers=[("x-a", "a" * 40_000), ("x-a", "a" * 40_000)])).status == 431


@pytest.mark.parametrize("name", ["authorization", "apikey", "host", "content-type", "content-length", "origin"])
async def test_a_header_that_decides_something_may_come_once(name: str) -> None:
    answer = await ask(Setup().edge, headers=[(name, "1"), (name, "2")], key="anon-key")
    assert answer.status == 400
    assert answer["x-request-id"]


async def test_other_headers_may_come_twice() -> None:
    assert (await ask(Setup().edge, headers=[("prefer", "a"), ("prefer", "b")])).status == 200


@pytest.mark.parametrize("query", [b"a=\xff", b"a=\xed\xa0\x80", b"\xc0\xae"])
async def test_a_query_that_is_not_utf8_is_refused(query: bytes) -> None:
    assert (await ask(Setup().edge, query=query)).status == 400


async def test_a_query_in_utf8_passes() -> None:
    assert (await ask(Setup().edge, query="a=é".encode())).status == 200


async def test_a_body_that_declares_too_much_is_refused_before_any_of_it_is_read() -> None:
    read: list[int] = []

    async def reads(scope: Scope, receive: object, send: object) -> None:
        read.append(1)

    setup = Setup(reads, limits=LimitSettings(max_body=10, rate=NO_RATES))
    answer = await ask(setup.edge, "POST", body=b"x" * 11)
    assert (answer.status, answer.json()["code"], read) == (413, "too_large", [])


@pytest.mark.parametrize("length", ["-1", "1x", "0x10", "", "1,1", "9" * 19, "+1", " 1"])
async def test_a_length_is_a_number(length: str) -> None:
    assert (await ask(Setup().edge, "POST", headers={"content-length": length}, body=b"x")).status == 400


@pytest.mark.parametrize("coding", ["gzip, chunked", "identity", "xchunked", ""])
async def test_chunked_is_the_only_coding(coding: str) -> None:
    assert (await ask(Setup().edge, "POST", headers={"transfer-encoding": coding}, body=b"x")).status == 400


async def test_a_body_that_lies_about_its_length_is_cut_at_the_limit() -> None:
    edge = limited(max_body=10).edge
    chunked = {"transfer-encoding": "chunked", "content-length": "5"}
    assert (await ask(edge, "POST", headers=chunked, body=b"x" * 11)).status == 413
    assert (await ask(edge, "POST", headers=chunked, body=b"x" * 10)).status == 200


async def test_what_really_comes_is_counted_over_all_parts() -> None:
    async def receive() -> Message:
        return {"type": "http.request", "body": b"x" * 4, "more_body": True}

    limited_receive = LimitedReceive(receive, max_body=10, timeout_s=5, admission=Admission(0))
    await limited_receive()
    await limited_receive()
    with pytest.raises(TooLarge):
        await limited_receive()


async def test_a_body_has_a_time_for_all_of_it() -> None:
    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError("never")

    with pytest.raises(BodyTooSlow):
        await LimitedReceive(receive, max_body=10, timeout_s=0.01, admission=Admission(0))()


async def test_after_the_body_one_may_wait_for_the_client_to_go() -> None:
    async def receive() -> Message:
        done = asyncio.Event()
        asyncio.get_running_loop().call_later(0.03, done.set)
        if messages:
            return messages.pop()
        await done.wait()
        return {"type": "http.disconnect"}

    messages: list[Message] = [{"type": "http.request", "body": b"x", "more_body": False}]
    limited_receive = LimitedReceive(receive, max_body=10, timeout_s=0.01, admission=Admission(0))
    assert (await limited_receive())["body"] == b"x"
    assert (await limited_receive())["type"] == "http.disconnect"
