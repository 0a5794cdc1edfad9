"""Heads that came before are known by their bytes, those of bodies but for the digits of the length."""

from __future__ import annotations

import pytest

from mbaas.http.heads import MAX_BYTES, MAX_LINES, Head, KnownHeads

LINE = b"POST /rest/v1/posts"
HEADERS = [(b"host", b"x"), (b"apikey", b"key")]


def sent(
    body: bytes, length: bytes | None = None, before: bytes = b"host: x\r\n", after: bytes = b"apikey: key\r\n"
) -> bytes:
    said = b"content-length: " + (b"%d" % len(body) if length is None else length) + b"\r\n"
    return LINE + b" HTTP/1.1\r\n" + before + said + after + b"\r\n" + body


@pytest.fixture
def known() -> KnownHeads:
    heads = KnownHeads()
    heads.add_with_body(sent(b"{}"), len(LINE), Head(HEADERS))
    return heads


@pytest.mark.parametrize("body", [b"", b"{}", b"x" * 9, b"x" * 10, b"x" * 99_999])
def test_a_head_is_known_whatever_the_length_of_its_body(known: KnownHeads, body: bytes) -> None:
    found = known.with_body(sent(body), len(LINE))
    assert found is not None
    assert (found[0].headers, found[1]) == (HEADERS, body)


@pytest.mark.parametrize(
    "data",
    [
        sent(b"{}", b"1"), sent(b"{}", b"3"), sent(b"{}", b"+2"), sent(b"{}", b" 2"), sent(b"{}", b"2 "), sent(b"{}", b"0x2"),
        sent(b"{}", b""), sent(b"{}", b"2_"), sent(b"{}", b"-2"), sent(b"{}", b"000002"), sent(b"x" * 100_000),
        sent(b"{}", before=b"host: y\r\n"), sent(b"{}", after=b"apikey: other\r\n"), sent(b"{}", after=b"apikey: kez\r\n"),
        sent(b"{}", after=b""),
        sent(b"{}", after=b"apikey: key\r\ncontent-length: 2\r\n"), sent(b"{}", after=b"apikey: key\r\ntransfer-encoding: chunked\r\n"),
        sent(b"{}")[:-1], sent(b"{}") + b"G", sent(b"{}")[:-4], LINE, LINE + b" HTTP/1.1\r\n",
    ],
)  # fmt: skip
def test_any_other_head_or_length_is_not(known: KnownHeads, data: bytes) -> None:
    assert known.with_body(data, len(LINE)) is None


@pytest.mark.parametrize(("spelled", "kept"), [(b"Content-Length: ", True), (b"CONTENT-LENGTH:", False)])
def test_a_length_is_found_as_clients_spell_it(spelled: bytes, kept: bool) -> None:
    heads = KnownHeads()
    data = sent(b"{}").replace(b"content-length: ", spelled)
    heads.add_with_body(data, len(LINE), Head(HEADERS))
    assert (heads.with_body(data, len(LINE)) is not None) == kept
    assert heads.with_body(sent(b"{}"), len(LINE)) is None


def test_a_length_in_a_body_is_none() -> None:
    heads = KnownHeads()
    data = sent(b"{}\r\ncontent-length: 2\r\n\r\n{}").replace(b"content-length: ", b"x-length: ", 1)
    heads.add_with_body(data, len(LINE), Head(HEADERS))
    assert heads.with_body(data, len(LINE)) is None


def test_what_is_kept_of_lines_has_an_end() -> None:
    heads, head = KnownHeads(), Head(HEADERS)
    for number in range(MAX_LINES + 10):
        heads.keep(head, (b"GET /%d" % number,), number)
    assert len(heads.lines) <= MAX_LINES
    assert heads.lines[head, (b"GET /%d" % (MAX_LINES + 9),)] == MAX_LINES + 9
    assert (Head(HEADERS), (b"GET /1",)) not in heads.lines
    heads.keep(head, (b"x" * (MAX_BYTES + 1),), 1)
    assert (head, (b"x" * (MAX_BYTES + 1),)) not in heads.lines
