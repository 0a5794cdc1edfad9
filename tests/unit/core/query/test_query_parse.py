"""A whole query string: keys, embeds, windows, what is reserved or decoded, and which values are arguments."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from mbaas.core.errors import QueryError
from mbaas.core.query.errors import QuerySyntax, QueryTooComplex, RangeInvalid
from mbaas.core.query.limits import Limits
from mbaas.core.query.parse import parse_columns, parse_parameters, parse_read_parts, split_query
from mbaas.core.query.ranges import apply_range, content_range, read_status
from mbaas.core.query.types import (
    ColumnItem,
    Condition,
    EmbedPath,
    Filter,
    Logic,
    OrderTerm,
    Path,
    ReadParts,
    Star,
    Window,
)


def eq(name: str, value: str, *steps: tuple[str | int, bool]) -> Condition:
    return Condition(Path(name, steps), "eq", value)


FILTERS: list[tuple[str, tuple[tuple[EmbedPath, Filter], ...]]] = [
    ("", ()),
    ("&&", ()),
    ("id=eq.1", (((), eq("id", "1")),)),
    ("id=gte.1&id=lte.5", (((), Condition(Path("id"), "gte", "1")), ((), Condition(Path("id"), "lte", "5")))),
    ("Id=eq.1&SELECT=eq.2&Order=eq.3", (((), eq("Id", "1")), ((), eq("SELECT", "2")), ((), eq("Order", "3")))),
    ("my%20col=eq.1", (((), eq("my col", "1")),)),
    ("my+col=eq.a+b%2Bc", (((), eq("my col", "a b+c")),)),
    ('"select"=eq.1', (((), eq("select", "1")),)),
    ('"order"=eq.1&"or"=eq.2', (((), eq("order", "1")), ((), eq("or", "2")))),
    ("%22a.b%22=eq.1", (((), eq("a.b", "1")),)),
    ("%22*id*%22=eq.1", (((), eq("*id*", "1")),)),
    ("data-%3Ea-%3E%3Eb=eq.x", (((), eq("data", "x", ("a", False), ("b", True))),)),
    ("data->-1->>0=eq.x", (((), eq("data", "x", (-1, False), (0, True))),)),
    ("comments.body=eq.x", ((("comments",), eq("body", "x")),)),
    ("a.b.c=eq.x", ((("a", "b"), eq("c", "x")),)),
    ("a.b.data->>k=eq.x", ((("a", "b"), eq("data", "x", ("k", True))),)),
    ('"my embed"."my col"=eq.x', ((("my embed",), eq("my col", "x")),)),
    ('a."order"=eq.x', ((("a",), eq("order", "x")),)),
    ("a.not=eq.x", ((("a",), eq("not", "x")),)),
    ("or=(a.eq.1,b.eq.2)", (((), Logic("or", (eq("a", "1"), eq("b", "2")))),)),
    ("and=(a.eq.1)&or=(b.eq.2)", (((), Logic("and", (eq("a", "1"),))), ((), Logic("or", (eq("b", "2"),))))),
    ("or=(a.eq.1)&or=(b.eq.2)", (((), Logic("or", (eq("a", "1"),))), ((), Logic("or", (eq("b", "2"),))))),
    ("not.or=(a.eq.1)", (((), Logic("or", (eq("a", "1"),), True)),)),
    ("not.and=(a.eq.1)", (((), Logic("and", (eq("a", "1"),), True)),)),
    ("comments.or=(a.eq.1)", ((("comments",), Logic("or", (eq("a", "1"),))),)),
    ("a.b.not.or=(a.eq.1)", ((("a", "b"), Logic("or", (eq("a", "1"),), True)),)),
    ('"not".or=(a.eq.1)', ((("not",), Logic("or", (eq("a", "1"),))),)),
    ("embed=is.null", (((), Condition(Path("embed"), "is", "null")),)),
    ("tags=cs.{a,b c}", (((), Condition(Path("tags"), "cs", "{a,b c}")),)),
    ('meta=cd.{"k":1}', (((), Condition(Path("meta"), "cd", '{"k":1}')),)),
    ("body=wfts(english).fat %26 cat", (((), Condition(Path("body"), "wfts", "fat & cat", config="english")),)),
    ("title=like.%25%25", (((), Condition(Path("title"), "like", "%%")),)),
    ("title=like.%zz%", (((), Condition(Path("title"), "like", "%zz%")),)),
    ("a=eq.b=c", (((), eq("a", "b=c")),)),
    ("a=eq.b;c=eq.d", (((), eq("a", "b;c=eq.d")),)),
    ("a=eq.%2541", (((), eq("a", "%41")),)),
    ("a=eq.%EF%BB%BF", (((), eq("a", "\ufeff")),)),
    ("a=eq.%E2%80%AE", (((), eq("a", "\u202e")),)),
]


@pytest.mark.parametrize(("query", "filters"), FILTERS, ids=[query for query, _ in FILTERS])
def test_what_is_not_reserved_is_a_filter(query: str, filters: tuple[tuple[EmbedPath, Filter], ...]) -> None:
    assert parse_read_parts(query.encode()).filters == filters
    assert parse_read_parts(query).filters == filters


def test_without_a_select_every_field_goes_out() -> None:
    assert parse_read_parts(b"id=eq.1").select == (Star(),)
    assert parse_read_parts(b"select=").select == ()


def test_orders_and_windows_belong_to_their_embed() -> None:
    parts = parse_read_parts(b"order=a.desc&limit=3&offset=6&comments.order=body.asc&comments.limit=2&a.b.offset=1")
    assert parts.order == {(): (OrderTerm(Path("a"), descending=True),), ("comments",): (OrderTerm(Path("body")),)}
    assert parts.windows == {(): Window(3, 6), ("comments",): Window(2, 0), ("a", "b"): Window(None, 1)}


def test_a_repeated_reserved_key_has_one_meaning() -> None:
    parts = parse_parameters(
        b"select=a&select=b&columns=x&columns=y&on_conflict=k&on_conflict=l"
        b"&order=a&order=b.desc&limit=1&limit=2&offset=3&offset=4"
    )
    assert parts.parts.select == (ColumnItem(Path("a")),)
    assert (parts.columns, parts.on_conflict) == (("x",), ("k",))
    assert parts.parts.order == {(): (OrderTerm(Path("a")), OrderTerm(Path("b"), descending=True))}
    assert parts.parts.windows == {(): Window(2, 4)}


@pytest.mark.parametrize(
    "query",
    [
        "id=eq.1&select=id",
        "%69d=eq.1&%73elect=id",
        "id=%65q.1&select=%69d",
        '"id"=eq.1&select="id"',
        "select= id &id =eq.1",
    ],
)
def test_every_spelling_of_a_query_gives_the_same_parts(query: str) -> None:
    parts = parse_read_parts(query)
    assert parts == ReadParts(select=(ColumnItem(Path("id")),), filters=(((), eq("id", "1")),))


WINDOWS = [
    ("limit=0", Window(0, 0)),
    ("limit=10&offset=20", Window(10, 20)),
    ("limit=+5", Window(5, 0)),
    ("limit=%2B5", Window(5, 0)),
    ("limit=-0", Window(0, 0)),
    ("offset=-4", Window(None, 0)),
    ("limit=9223372036854775807", Window(2**63 - 1, 0)),
    ("limit=99999999999999999999999", Window(2**63 - 1, 0)),
    ("offset=" + "9" * 20_000, Window(None, 2**63 - 1)),
]


@pytest.mark.parametrize(("query", "window"), WINDOWS, ids=[query[:30] for query, _ in WINDOWS])
def test_a_window_is_two_numbers_that_postgresql_can_hold(query: str, window: Window) -> None:
    assert parse_read_parts(query).windows == {(): window}


@pytest.mark.parametrize("value", ["", "abc", "1.5", "1e3", "0x10", "٣", "1;2", "eq.5", "--1", "1 2", "NaN"])
@pytest.mark.parametrize("word", ["limit", "offset"])
def test_what_is_no_number_is_no_window(word: str, value: str) -> None:
    with pytest.raises(QuerySyntax) as refused:
        parse_read_parts(f"{word}={quote(value)}")
    assert refused.value.message == f'"failed to parse {word} parameter ({value})" (line 1, column 1)'


@pytest.mark.parametrize("query", ["limit=-1", "comments.limit=-5", "limit=-" + "9" * 9_000])
def test_a_negative_limit_cannot_be(query: str) -> None:
    with pytest.raises(RangeInvalid) as refused:
        parse_read_parts(query)
    assert refused.value.details == "Limit should be greater than or equal to zero."


@pytest.mark.parametrize(
    "query",
    [
        "foo=bar",
        "foo",
        "=",
        "=eq.1",
        "select=id,",
        "order=",
        "or=()",
        "columns=",
        "on_conflict=",
        "columns=a b(",
        "a..b=eq.1",
        ".a=eq.1",
        "a.=eq.1",
        "data->=eq.1",
        "a b;c=eq.1",
        '"a=eq.1',
        "a)=eq.1",
        "a->b x->>(=eq.1",
        "limit=1&limit=x",
        "apikey=secret",
        "select[]=id",
        "a.or=1",
        "*=eq.1",
        "_method=DELETE",
        "X-HTTP-Method-Override=PATCH",
    ],
)
def test_a_parameter_nobody_knows_is_refused(query: str) -> None:
    with pytest.raises(QuerySyntax):
        parse_parameters(query)


def test_keys_of_the_routes_own_are_passed_over() -> None:
    assert parse_read_parts(b"apikey=x&id=eq.1", ignore=("apikey",)).filters == (((), eq("id", "1")),)


@pytest.mark.parametrize(
    "query",
    [
        b"a=eq.\xff",
        b"a=eq.%FF",
        b"a=eq.%C0%80",
        b"a=eq.%ED%A0%80",
        b"a=eq.%F5%80%80%80",
        b"%FF=eq.1",
        b"a=eq.\xed\xa0\x80",
        b"a=eq.%00",
        b"a=eq.\x00",
        b"%00=eq.1",
        b"select=%00",
        b"a=eq.%%00",
    ],
)
def test_what_is_no_text_of_postgresqls_is_refused(query: bytes) -> None:
    with pytest.raises(QuerySyntax):
        parse_read_parts(query)


def test_half_a_surrogate_pair_is_refused() -> None:
    with pytest.raises(QuerySyntax):
        parse_read_parts("a=eq.\ud800")


def test_the_text_about_an_empty_columns_parameter_is_the_known_one() -> None:
    with pytest.raises(QuerySyntax) as refused:
        parse_parameters(b"columns=")
    assert refused.value.message == '"failed to parse columns parameter ()" (line 1, column 1)'
    assert refused.value.details == "unexpected end of input expecting field name (* or [a..z0..9_$])"


@pytest.mark.parametrize(
    ("text", "names"),
    [('"title","body"', ("title", "body")), ("a , b,a", ("a", "b")), ('"a,b"', ("a,b",)), ("my col", ("my col",))],
)
def test_columns_are_names_each_once(text: str, names: tuple[str, ...]) -> None:
    assert parse_columns(text) == names


def test_an_error_repeats_only_so_much_of_what_the_caller_sent() -> None:
    with pytest.raises(QuerySyntax) as refused:
        parse_read_parts("id=" + "x" * 20_000)
    assert len(refused.value.message) < 700


def test_a_query_has_only_so_many_terms_in_all() -> None:
    limits = Limits(filter_terms=5)
    assert parse_read_parts(b"a=eq.1&b=eq.1&or=(c.eq.1)&order=d", limits)
    for one_more in (b"a=eq.1&b=eq.1&or=(c.eq.1)&order=d,e", b"a=eq.1&b=eq.1&or=(c.eq.1,d.eq.1)&order=d"):
        with pytest.raises(QueryTooComplex):
            parse_read_parts(one_more, limits)


def test_a_query_string_has_only_so_many_bytes() -> None:
    assert split_query(b"a=" + b"x" * 98, Limits(max_url=100)) == [("a", "x" * 98)]
    with pytest.raises(QueryTooComplex):
        split_query(b"a=" + b"x" * 99, Limits(max_url=100))


RANGES = [
    ("", None, None, {}),
    ("", "0-9", None, {(): Window(10, 0)}),
    ("", "10-", "items", {(): Window(None, 10)}),
    ("", "items=0-9", None, {(): Window(10, 0)}),
    ("limit=5", "0-9", "items", {(): Window(5, 0)}),
    ("limit=5&offset=8", "0-9", None, {(): Window(2, 8)}),
    ("limit=0", "5-9", None, {(): Window(0, 0)}),
    ("offset=3", "0-", None, {(): Window(None, 3)}),
    ("", "bytes=0-9", None, {}),
    ("", "0-9", "bytes", {}),
    ("a.limit=1", "0-0", None, {("a",): Window(1, 0), (): Window(1, 0)}),
]


@pytest.mark.parametrize(("query", "header", "unit", "windows"), RANGES)
def test_the_range_header_narrows_the_window(
    query: str, header: str | None, unit: str | None, windows: dict[EmbedPath, Window]
) -> None:
    assert apply_range(parse_read_parts(query), header, unit).windows == windows


@pytest.mark.parametrize(
    "header",
    [
        "1-0",
        "-5",
        "a-b",
        "0-9,20-29",
        "0--1",
        "0-9 ; x",
        "9" * 5_000 + "-",
        "0-9\r\nX: y",
        "-" * 50_000,
        "٠-٩",
        "items=",
    ],
)
def test_a_range_that_cannot_be_is_refused(header: str) -> None:
    with pytest.raises(RangeInvalid):
        apply_range(ReadParts(), header)


def test_a_range_and_a_limit_that_do_not_meet_are_refused() -> None:
    with pytest.raises(RangeInvalid):
        apply_range(parse_read_parts(b"limit=5"), "10-19")


@pytest.mark.parametrize(
    ("offset", "rows", "total", "header", "status"),
    [
        (0, 15, None, "0-14/*", 200),
        (0, 0, None, "*/*", 200),
        (0, 0, 0, "*/0", 200),
        (0, 15, 15, "0-14/15", 200),
        (0, 2, 15, "0-1/15", 206),
        (3, 2, 15, "3-4/15", 206),
        (15, 0, 15, "*/15", 206),
        (100, 0, None, "*/*", 200),
    ],
)
def test_an_answer_says_which_rows_it_holds(
    offset: int, rows: int, total: int | None, header: str, status: int
) -> None:
    assert content_range(offset, rows, total) == header
    assert read_status(offset, rows, total) == status


def test_a_start_beyond_the_counted_rows_is_refused() -> None:
    with pytest.raises(RangeInvalid) as refused:
        read_status(100, 0, 15)
    assert refused.value.details == "An offset of 100 was requested, but there are only 15 rows."
    assert refused.value.total == 15


def test_arguments_of_a_function_are_told_from_filters_by_its_names() -> None:
    found = parse_parameters(b"a=1&b={1,2}&c=eq.5&select=x&limit=2&d.order=y", arguments=("a", "b"))
    assert found.arguments == (("a", "1"), ("b", "{1,2}"))
    assert found.parts.filters == (((), eq("c", "5")),)
    assert found.parts.select == (ColumnItem(Path("x")),)


@pytest.mark.parametrize("value", ["eq.5", "is.null", "in.(1,2)", "not.eq.1", "", "a&b", "%"])
def test_a_value_never_turns_an_argument_into_a_filter(value: str) -> None:
    found = parse_parameters(f"name={quote(value)}", arguments=("name",))
    assert found.arguments == (("name", value),)
    assert found.parts.filters == ()


def test_an_argument_named_as_a_reserved_key_is_an_argument() -> None:
    assert parse_parameters(b"limit=x", arguments=("limit",)).arguments == (("limit", "x"),)


def test_a_second_value_under_an_arguments_name_is_a_filter() -> None:
    found = parse_parameters(b"name=x&name=eq.y", arguments=("name",))
    assert found.arguments == (("name", "x"),)
    assert found.parts.filters == (((), eq("name", "y")),)


def test_a_variadic_argument_takes_every_value_under_its_name() -> None:
    found = parse_parameters(b"v=1&v=2&v=eq.3", arguments=("v",), variadic=("v",))
    assert found.arguments == (("v", "1"), ("v", "2"), ("v", "eq.3"))


def test_a_key_that_is_neither_argument_nor_condition_is_given_as_an_argument() -> None:
    assert parse_parameters(b"nope=1", arguments=()).arguments == (("nope", "1"),)


@pytest.mark.parametrize("query", [b"a=1&a=2", b"or=x", b"select=,"])
def test_what_is_wrong_stays_wrong_beside_arguments(query: bytes) -> None:
    with pytest.raises(QueryError):
        parse_parameters(query, arguments=("a",))
