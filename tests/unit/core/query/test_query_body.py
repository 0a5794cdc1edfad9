"""Bodies: JSON, CSV and forms become the text that PostgreSQL reads, or are refused."""

from __future__ import annotations

import json

import pytest

from mbaas.core.errors import BodyInvalid, TooLarge
from mbaas.core.query.body import parse_call, parse_insert, parse_update
from mbaas.core.query.limits import Limits
from mbaas.core.query.types import Payload
from tests.timing import cpu_s

INSERTS = [
    (b"{}", Payload("[{}]", (), 1)),
    (b"[]", Payload("[]", (), 0)),
    (b"[{}]", Payload("[{}]", (), 1)),
    (b"[{},{}]", Payload("[{},{}]", (), 2)),
    (b'{"b":1,"a":2}', Payload('[{"b":1,"a":2}]', ("a", "b"), 1)),
    (b' { "a" : 1 } ', Payload('[ { "a" : 1 } ]', ("a",), 1)),
    (b'[{"a":1,"b":2},{"b":3,"a":4}]', Payload('[{"a":1,"b":2},{"b":3,"a":4}]', ("a", "b"), 2)),
    ('{"ä":"ö","名":"前"}'.encode(), Payload('[{"ä":"ö","名":"前"}]', ("ä", "名"), 1)),
    (b'{"\\u0061":1}', Payload('[{"\\u0061":1}]', ("a",), 1)),
    (b'{"a":"\\ud83d\\ude00"}', Payload('[{"a":"\\ud83d\\ude00"}]', ("a",), 1)),
    (b'{"a":"\\\\u0000"}', Payload('[{"a":"\\\\u0000"}]', ("a",), 1)),
    (b'{"__proto__":{"x":1}}', Payload('[{"__proto__":{"x":1}}]', ("__proto__",), 1)),
    (b'{"a":{"k":1,"k":2}}', Payload('[{"a":{"k":1,"k":2}}]', ("a",), 1)),
    (b'{"%": 1, "%b": 2}', Payload('[{"%": 1, "%b": 2}]', ("%", "%b"), 1)),
    (b'{"\\"": 1, "\\\\": 2}', Payload('[{"\\"": 1, "\\\\": 2}]', ('"', "\\"), 1)),
]


@pytest.mark.parametrize(("body", "payload"), INSERTS, ids=[str(row[0]) for row in INSERTS])
def test_an_insert_is_an_array_of_the_callers_own_bytes(body: bytes, payload: Payload) -> None:
    assert parse_insert(body) == payload


@pytest.mark.parametrize(
    "number",
    ["-0", "0", "1e400", "-1e-400", "9223372036854775808", "1" * 400, "0.1000000000000000055511151231257827", "1E+2"],
)
def test_a_number_keeps_every_digit(number: str) -> None:
    assert parse_insert(f'{{"n":{number}}}'.encode()).text == f'[{{"n":{number}}}]'


BAD_JSON = [
    b"",
    b" ",
    b"null",
    b"1",
    b'"x"',
    b"true",
    b"{",
    b"[",
    b"{}}",
    b"[{}",
    b"{} {}",
    b"[{},]",
    b"{,}",
    b"{'a':1}",
    b"{a:1}",
    b'{"a":}',
    b'{"a":NaN}',
    b'{"a":Infinity}',
    b'{"a":-Infinity}',
    b'{"a":01}',
    b'{"a":.5}',
    b'{"a":1.}',
    b'{"a":0x1}',
    b'{"a":tru}',
    b'{"a":"\n"}',
    b'{"a":"\x00"}',
    b'{"a":"\\x"}',
    b'{"a":"\\u12"}',
    b'{"a":"\xff"}',
    b'{"a":"\xc0\x80"}',
    b'{"a":"\xed\xa0\x80"}',
    b'{"\xff":1}',
    b"\xef\xbb\xbf{}",
    b"\xfe\xff\x00{",
    b'{"a":"\\u0000"}',
    b'{"a\\u0000":1}',
    b'{"a":"\\ud800"}',
    b'{"a":"\\udc00"}',
    b'{"a":"\\ud800x"}',
    b'{"a":"\\ud800x\\u0041"}',
    b'{"a":"\\ud800x\\udc00"}',
    b'{"a":"\\ud83d\\ude00\\ude00"}',
    b'{"a":"\\ud800\\ud800\\udc00"}',
    b'{"a":"\\uD83D\\\\uDE00"}',
    b'{"a":1}//',
    b'/**/{"a":1}',
    b'{"a":1;}',
    b'{"a":1}\x00',
]


@pytest.mark.parametrize("body", BAD_JSON, ids=[str(body) for body in BAD_JSON])
def test_what_is_no_json_of_rows_is_refused(body: bytes) -> None:
    for parse in (parse_insert, parse_update):
        with pytest.raises(BodyInvalid) as refused:
            parse(body)
        assert refused.value.message == "Empty or invalid json"


@pytest.mark.parametrize(
    "body", [b"[1]", b"[[]]", b"[null]", b'[{"a":1},{}]', b'[{"a":1},{"b":1}]', b'[{},{"a":1}]', b'[{"a":1},2]']
)
def test_rows_must_be_objects_of_the_same_keys(body: bytes) -> None:
    with pytest.raises(BodyInvalid) as refused:
        parse_insert(body)
    assert refused.value.message == "All object keys must match"


def test_with_columns_named_rows_may_differ() -> None:
    payload = parse_insert(b'[{"a":1},{"b":2,"c":3}]', columns=("b", "a", "b"))
    assert payload == Payload('[{"a":1},{"b":2,"c":3}]', ("a", "b"), 2)
    with pytest.raises(BodyInvalid):
        parse_insert(b"[1]", columns=("a",))


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":1,"a":2}',
        b'{"a":1, "a":2}',
        b'{"a": 1, "a": 1}',
        b'{"a":1,"b":2,"c":3,"d":4,"a":1}',
        b'{"a":10,"b":2,"c":3,"d":4,"a":1}',  # as long as with spaces and without the double
        b'{"a": 1, "b": 2,"c":3,"a":1}',
        b'{"%b": 1, "%b": 2}',
        b'[{"a": 1, "b": 2}, {"a": 1, "b": 2, "a": 2}]',
        b'[{"a": 1}, {"a":1,"a":1}]',
        b'{"a":1,"\\u0061":2}',
        b'[{"a":1},{"a":1,"a":1}]',
        b'[{"a":{"k":1}},{"a":[],"a":{}}]',
        '{"ä":1,"ä":1}'.encode(),
        b"[" + b'{"a":"' + b"x" * 1000 + b'"},' + b'{"a":1,"a":2}]',
    ],
)
def test_no_row_may_name_a_key_twice(body: bytes) -> None:
    with pytest.raises(BodyInvalid) as refused:
        parse_insert(body)
    assert "twice" in refused.value.details


def test_what_programs_write_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"title": f"Note {number}", "tags": ["a", {"b": [1, 2]}], "ü%": None} for number in range(3)]
    bodies = [
        json.dumps(value, ensure_ascii=False, separators=separators).encode()
        for value in (rows, rows[0])
        for separators in (None, (",", ":"))
    ]
    monkeypatch.setattr(json, "loads", None)
    for body in bodies:
        assert parse_insert(body).columns == ("tags", "title", "ü%")
    with pytest.raises(TypeError):
        parse_insert(b'{"a" : 1}')


def deep(depth: int) -> bytes:
    """A row whose value stands so deep in all, the row counted."""
    return b'{"a":' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}"


@pytest.mark.parametrize("wrap", [b"%b", b"[%b]", b'[{"a":[]},{"a":[{}]},%b]'])
def test_a_body_is_only_so_deep(wrap: bytes) -> None:
    limit = Limits().json_depth
    assert parse_insert(wrap % deep(limit)).columns == ("a",)
    for depth in (limit + 1, 1_000, 10_000):
        with pytest.raises(BodyInvalid):
            parse_insert(wrap % deep(depth))


def test_brackets_in_texts_are_not_deep() -> None:
    assert parse_insert(json.dumps({"a": "[" * 1000, "b": ["{" * 1000, '"[' * 1000]}).encode()).rows == 1


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 1_000_000,
        b'{"a":' * 200_000,
        b'{"a":' + b"[" * 500_000 + b"]" * 500_000 + b"}",
        b"{" + b",".join(b'"k%d":1' % number for number in range(85_000)) + b"}",
        b'{"a":"' + b"\\ud83d" * 150_000 + b'"}',
        b'{"a":' + b" " * 1_000_000,
        b'{"a":"' + b'\\"' * 500_000,
        b'[{"a":1,"a":2},' + b'{"a":1},' * 100_000,
    ],
    ids=lambda body: str(body[:12]),
)
def test_a_hostile_body_is_refused_within_a_second(body: bytes) -> None:
    def refused() -> None:
        with pytest.raises(BodyInvalid):
            parse_insert(body)

    assert cpu_s(refused, enough=1.0) < 1.0


def test_a_body_is_only_so_long() -> None:
    limits = Limits(max_body=100)
    for parse in (parse_insert, parse_update, parse_call):
        with pytest.raises(TooLarge):
            parse(b'{"a":"' + b"x" * 100 + b'"}', limits=limits)


@pytest.mark.parametrize(
    ("body", "payload"),
    [
        (b"{}", Payload("{}", (), 1)),
        (b"[]", Payload("{}", (), 0)),
        (b"[{}]", Payload("{}", (), 1)),
        (b'{"b":1,"a":[]}', Payload('{"b":1,"a":[]}', ("a", "b"), 1)),
        (b' [ {"a": 1.0} ] ', Payload('{"a": 1.0}', ("a",), 1)),
    ],
)
def test_an_update_is_one_object(body: bytes, payload: Payload) -> None:
    assert parse_update(body) == payload


def test_an_update_takes_no_second_object() -> None:
    with pytest.raises(BodyInvalid):
        parse_update(b'[{"a":1},{"a":2}]')


CSVS = [
    (b"a,b\n1,x\n2,y\n", '[{"a":"1","b":"x"},{"a":"2","b":"y"}]'),
    (b"a,b\r\n1,NULL\r\n", '[{"a":"1","b":null}]'),
    (b'a\n"x,""y""\nz"\n', '[{"a":"x,\\"y\\"\\nz"}]'),
    (b"\xef\xbb\xbfa\n\n\xc3\xa4\n", '[{"a":"ä"}]'),
    (b"a,b", "[]"),
    (b"a,b\n,\n", '[{"a":"","b":""}]'),
]


@pytest.mark.parametrize(("body", "text"), CSVS, ids=[str(row[0]) for row in CSVS])
def test_csv_becomes_rows_of_texts(body: bytes, text: str) -> None:
    assert parse_insert(body, "csv").text == text


@pytest.mark.parametrize("body", [b"", b"\n", b"a,a\n1,2", b'a\n"x', b'a\n"x"y', b"a\n\xff", b"a\n\x00"])
def test_what_is_no_csv_is_refused(body: bytes) -> None:
    with pytest.raises(BodyInvalid):
        parse_insert(body, "csv")


def test_csv_lines_must_be_of_one_length() -> None:
    with pytest.raises(BodyInvalid) as refused:
        parse_insert(b"a,b\n1\n", "csv")
    assert refused.value.message == "All lines must have same number of fields"


def test_a_form_becomes_one_row_of_texts() -> None:
    assert parse_insert(b"a=1+2&b=%C3%A4", "form") == Payload('[{"a":"1 2","b":"ä"}]', ("a", "b"), 1)
    assert parse_call(b"a=1", "form") == Payload('{"a":"1"}', ("a",), 1)


@pytest.mark.parametrize("body", [b"a=1&a=2", b"a=%FF", b"a=%00"])
def test_what_is_no_form_is_refused(body: bytes) -> None:
    with pytest.raises(BodyInvalid):
        parse_insert(body, "form")


@pytest.mark.parametrize(
    ("body", "kind", "payload"),
    [
        (b"", "json", Payload("{}", (), 1)),
        (b"{}", "json", Payload("{}", (), 1)),
        (b' {"b":[1],"a":2}', "json", Payload(' {"b":[1],"a":2}', ("a", "b"), 1)),
        (b"[1,2]", "json", Payload("[1,2]")),
        (b"3", "json", Payload("3")),
        (b"null", "json", Payload("null")),
        ("hä".encode(), "text", Payload("hä")),
        (b"\x00\xff", "bytes", Payload("\\x00ff")),
    ],
)
def test_a_call_gives_arguments_by_name_or_one_raw_value(body: bytes, kind: str, payload: Payload) -> None:
    assert parse_call(body, kind) == payload  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"nope", "json"),
        (b'{"a":1,"a":2}', "json"),
        (b"[" * 33 + b"]" * 33, "json"),
        (b"[" * 100_000, "json"),
        (b'"\\u0000"', "json"),
        (b"\xff", "text"),
        (b"a\x00", "text"),
        (b"a\n1", "csv"),
    ],
)
def test_a_call_that_cannot_be_read_is_refused(body: bytes, kind: str) -> None:
    with pytest.raises(BodyInvalid):
        parse_call(body, kind)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["text", "bytes"])
def test_rows_are_not_sent_as_text_or_bytes(kind: str) -> None:
    with pytest.raises(BodyInvalid):
        parse_insert(b"{}", kind)  # type: ignore[arg-type]
