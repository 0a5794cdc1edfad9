"""Conditions and logic trees: each operator, each corner of the grammar, and what is not in it."""

from __future__ import annotations

import pytest

from mbaas.core.errors import InvalidValue
from mbaas.core.query.errors import QuerySyntax, QueryTooComplex
from mbaas.core.query.filters import (
    IS_VALUES,
    PLAIN,
    QUANTIFIED,
    TEXT_SEARCH,
    parse_array,
    parse_condition,
    parse_logic,
)
from mbaas.core.query.limits import Limits
from mbaas.core.query.types import Condition, Filter, Logic, Path

LIMITS = Limits()
A, B, ID = Path("a"), Path("b"), Path("id")


@pytest.mark.parametrize("operator", sorted(PLAIN | TEXT_SEARCH))
def test_a_value_runs_to_the_end_whatever_is_in_it(operator: str) -> None:
    value = 'a.b,(c) "d" {e} not.eq.x \\ %*'
    assert parse_condition(A, f"{operator}.{value}", LIMITS) == Condition(A, operator, value)
    assert parse_condition(A, f"not.{operator}.{value}", LIMITS) == Condition(A, operator, value, negated=True)
    assert parse_condition(A, f"{operator}.", LIMITS) == Condition(A, operator, "")


@pytest.mark.parametrize("operator", sorted(QUANTIFIED))
@pytest.mark.parametrize("quantifier", ["any", "all"])
def test_a_quantified_operator_takes_an_array(operator: str, quantifier: str) -> None:
    found = parse_condition(A, f'{operator}({quantifier}).{{a*,"b,c"}}', LIMITS)
    assert (found.operator, found.quantifier, found.value) == (operator, quantifier, ("a*", "b,c"))


@pytest.mark.parametrize("operator", sorted(TEXT_SEARCH))
def test_a_text_search_may_name_its_configuration(operator: str) -> None:
    found = parse_condition(A, f"{operator}(english).fat & cat", LIMITS)
    assert (found.operator, found.config, found.value) == (operator, "english", "fat & cat")


@pytest.mark.parametrize("value", sorted(IS_VALUES))
def test_is_knows_five_words_in_any_case(value: str) -> None:
    assert parse_condition(A, f"is.{value.upper()}", LIMITS) == Condition(A, "is", value)
    assert parse_condition(A, f"not.is.{value}", LIMITS) == Condition(A, "is", value, negated=True)


def test_null_after_eq_is_a_text() -> None:
    assert parse_condition(A, "eq.null", LIMITS) == Condition(A, "eq", "null")


LISTS: list[tuple[str, tuple[str, ...]]] = [
    ("()", ()),
    ("(    )", ()),
    ('("")', ("",)),
    ("(,)", ("", "")),
    ("( ,3,4)", (" ", "3", "4")),
    ("(1,2,3)", ("1", "2", "3")),
    ("( 1, 2)", (" 1", " 2")),
    ("(David White)", ("David White",)),
    ('("Hebdon, John","Smith, Joseph")', ("Hebdon, John", "Smith, Joseph")),
    ('(David White,"Hebdon, John")', ("David White", "Hebdon, John")),
    ('("a,b",c"d,e)', ("a,b", 'c"d', "e")),
    (r'("Double\"Quote\"")', ('Double"Quote"',)),
    (r'("\\")', ("\\",)),
    (r'("D\a\vid W\h\ite")', ("David White",)),
    ('(")', ('"',)),
    ('(Double"Quote"Mc")', ('Double"Quote"Mc"',)),
    ("(\\)", ("\\",)),
    ("(/\\Slash/\\)", ("/\\Slash/\\",)),
    ('("Double O Seven(007)")', ("Double O Seven(007)",)),
    ("(2024-01-01T10:00:00.123+00:00)", ("2024-01-01T10:00:00.123+00:00",)),
    ('("a" ,b)', ('"a" ', "b")),
    ('("un,closed)', ('"un', "closed")),
]


@pytest.mark.parametrize(("text", "elements"), LISTS, ids=[text for text, _ in LISTS])
def test_in_takes_a_list_apart(text: str, elements: tuple[str, ...]) -> None:
    assert parse_condition(A, f"in.{text}", LIMITS) == Condition(A, "in", elements)
    assert parse_condition(A, f"not.in.{text}", LIMITS) == Condition(A, "in", elements, negated=True)


@pytest.mark.parametrize(
    ("text", "elements"),
    [
        ("{}", ()),
        (" { } ", ()),
        ("{a}", ("a",)),
        ("{ a , b c }", ("a", "b c")),
        ('{"a,b","c\\"d","{e}",""}', ("a,b", 'c"d', "{e}", "")),
        ('{NULL,null,"null",\\null}', (None, None, "null", "null")),
        ("{a\\,b\\ }", ("a,b ",)),
        ("{(x)}", ("(x)",)),
    ],
)
def test_an_array_is_taken_apart_as_postgresql_does(text: str, elements: tuple[str | None, ...]) -> None:
    assert parse_array(text) == elements


@pytest.mark.parametrize(
    "text", ["", "a", "{", "}", "{a", "a}", "{a,}", "{,a}", "{a}b}", "{{a}}", '{"a}', '{"a"b}', "{a\\}", "[1:2]={a}"]
)
def test_what_is_no_array_is_an_invalid_value(text: str) -> None:
    with pytest.raises(InvalidValue) as refused:
        parse_condition(A, f"eq(any).{text}", LIMITS)
    assert refused.value.message == f'malformed array literal: "{text}"'


NO_OPERATOR = '"not" or operator (eq, gt, ...)'

REFUSED = [
    ("0", 1, f'unexpected "0" expecting {NO_OPERATOR}'),
    ("", 1, f"unexpected end of input expecting {NO_OPERATOR}"),
    ("noop.0", 1, f'unexpected "n" expecting {NO_OPERATOR}'),
    ("eq", 1, f'unexpected "e" expecting {NO_OPERATOR}'),
    ("EQ.1", 1, f'unexpected "E" expecting {NO_OPERATOR}'),
    (" eq.1", 1, f'unexpected " " expecting {NO_OPERATOR}'),
    ("not.noop.1", 5, 'unexpected "n" expecting operator (eq, gt, ...)'),
    ("not.not.eq.1", 5, 'unexpected "n" expecting operator (eq, gt, ...)'),
    ("not", 1, f'unexpected "n" expecting {NO_OPERATOR}'),
    ("eq(some).{a}", 3, 'unexpected "(" expecting operator (eq, gt, ...)'),
    ("neq(any).{a}", 4, 'unexpected "(" expecting operator (eq, gt, ...)'),
    ("is(any).null", 3, 'unexpected "(" expecting operator (eq, gt, ...)'),
    ("in(any).(1)", 3, 'unexpected "(" expecting operator (eq, gt, ...)'),
    ("eq().value", 1, f'unexpected "e" expecting {NO_OPERATOR}'),
    ("fts().value", 1, f'unexpected "f" expecting {NO_OPERATOR}'),
    ("fts( ).value", 4, 'unexpected "(" expecting operator (eq, gt, ...)'),
    ("is.", 4, "unexpected end of input expecting isVal: (null, not_null, true, false, unknown)"),
    ("is.nil", 4, 'unexpected "n" expecting isVal: (null, not_null, true, false, unknown)'),
    ("is.nullx", 4, 'unexpected "n" expecting isVal: (null, not_null, true, false, unknown)'),
    ("is.null x", 8, "unexpected ' ' expecting end of input"),
    ("in.1,2", 4, 'unexpected "1" expecting "("'),
    ("in.(1,2", 8, 'unexpected end of input expecting "," or ")"'),
    ("in.(1,2)x", 9, "unexpected 'x' expecting end of input"),
    ("eq;1", 1, f'unexpected "e" expecting {NO_OPERATOR}'),
]


@pytest.mark.parametrize(("text", "at", "details"), REFUSED, ids=[row[0] for row in REFUSED])
def test_what_is_no_condition_is_refused_with_its_place(text: str, at: int, details: str) -> None:
    with pytest.raises(QuerySyntax) as refused:
        parse_condition(A, text, LIMITS)
    assert refused.value.message == f'"failed to parse filter ({text})" (line 1, column {at})'
    assert refused.value.details == details


def test_a_refused_text_of_several_lines_names_line_and_column() -> None:
    with pytest.raises(QuerySyntax) as refused:
        parse_condition(A, "in.(1\n,2", LIMITS)
    assert refused.value.message.endswith("(line 2, column 3)")


def eq(path: Path, value: str) -> Condition:
    return Condition(path, "eq", value)


TREES: list[tuple[str, tuple[Filter, ...]]] = [
    ("(a.eq.1)", (eq(A, "1"),)),
    ("(a.eq.1,b.eq.2)", (eq(A, "1"), eq(B, "2"))),
    ("( a.eq.1 , b.eq.2 )", (eq(A, "1"), eq(B, "2"))),
    (" (a.eq.1)", (eq(A, "1"),)),
    ("(a.eq.1))", (eq(A, "1"),)),
    ("(a.eq.1) ) ", (eq(A, "1"),)),
    ("(a.eq.)", (eq(A, ""),)),
    ("(a.eq.x y)", (eq(A, "x y"),)),
    ("(a.eq.x.y:z)", (eq(A, "x.y:z"),)),
    ("(a.gt.2024-01-01T10:00:00.5+00:00,b.eq.2)", (Condition(A, "gt", "2024-01-01T10:00:00.5+00:00"), eq(B, "2"))),
    (
        '("_modified".gt.2024-01-01T10:00:00.5+00:00,and("_modified".eq.t,"id".gt.5))',
        (
            Condition(Path("_modified"), "gt", "2024-01-01T10:00:00.5+00:00"),
            Logic("and", (eq(Path("_modified"), "t"), Condition(ID, "gt", "5"))),
        ),
    ),
    (
        '(name.eq."(x,y,4)",name.like."*ity,4*")',
        (eq(Path("name"), "(x,y,4)"), Condition(Path("name"), "like", "*ity,4*")),
    ),
    ('(a.eq."x" , b.eq."y" )', (eq(A, "x"), eq(B, "y"))),
    (r'(a.eq."q\"b\\")', (eq(A, 'q"b\\'),)),
    ('(a.eq.x"y)', (eq(A, 'x"y'),)),
    ('(a.eq."x"y)', (eq(A, '"x"y'),)),
    ("(a.cs.{1,2,3},b.cd.{1})", (Condition(A, "cs", "{1,2,3}"), Condition(B, "cd", "{1}"))),
    ('(a.cs.{"k":1,"l":2})', (Condition(A, "cs", '{"k":1,"l":2}'),)),
    ("(a.isdistinct.{1,2} , b.eq.2)", (Condition(A, "isdistinct", "{1,2}"), eq(B, "2"))),
    ("(a.like(any).{a%,%b})", (Condition(A, "like", ("a%", "%b"), quantifier="any"),)),
    ("(a.adj.[1,b.eq.10])", (Condition(A, "adj", "[1"), eq(B, "10]"))),
    ('(a.ov."[0,4]")', (Condition(A, "ov", "[0,4]"),)),
    ("(id.in.(1,2),id.in.( 3 ,4))", (Condition(ID, "in", ("1", "2")), Condition(ID, "in", ("3", "4")))),
    ('(id.in.("1","2"),a.eq.1)', (Condition(ID, "in", ("1", "2")), eq(A, "1"))),
    ("(id.in.())", (Condition(ID, "in", ()),)),
    ("(id.not.in.(1,3))", (Condition(ID, "in", ("1", "3"), negated=True),)),
    (
        "(a.is.null,a.not.is.NULL,b.is.not_null)",
        (
            Condition(A, "is", "null"),
            Condition(A, "is", "null", negated=True),
            Condition(B, "is", "not_null"),
        ),
    ),
    (
        "(v.plfts(german).Art Spass, v.not.fts.x)",
        (
            Condition(Path("v"), "plfts", "Art Spass", config="german"),
            Condition(Path("v"), "fts", "x", negated=True),
        ),
    ),
    ("(and(a.eq.1,b.eq.2),or(a.eq.3))", (Logic("and", (eq(A, "1"), eq(B, "2"))), Logic("or", (eq(A, "3"),)))),
    (
        "(not.and(a.eq.1,b.eq.2),not.or(a.eq.1))",
        (
            Logic("and", (eq(A, "1"), eq(B, "2")), negated=True),
            Logic("or", (eq(A, "1"),), negated=True),
        ),
    ),
    (
        "( and ( id.in.( 1, 2, 3 ) , id.eq.3 ) , or ( id.eq.2 , id.eq.3 ) )",
        (
            Logic("and", (Condition(ID, "in", ("1", "2", "3")), eq(ID, "3"))),
            Logic("or", (eq(ID, "2"), eq(ID, "3"))),
        ),
    ),
    (
        "(and_starting_col.eq.smth, or_starting_col.eq.smth)",
        (eq(Path("and_starting_col"), "smth"), eq(Path("or_starting_col"), "smth")),
    ),
    ("(and.eq.1,or.eq.2,not.eq.3)", (eq(Path("and"), "1"), eq(Path("or"), "2"), eq(Path("not"), "3"))),
    (
        "(data->a->>b.eq.foo,data->-1.eq.1)",
        (
            eq(Path("data", (("a", False), ("b", True))), "foo"),
            eq(Path("data", ((-1, False),)), "1"),
        ),
    ),
    (
        "(comments.not.is.null,tags.is.null)",
        (
            Condition(Path("comments"), "is", "null", negated=True),
            Condition(Path("tags"), "is", "null"),
        ),
    ),
]


@pytest.mark.parametrize(("text", "items"), TREES, ids=[text for text, _ in TREES])
def test_a_logic_tree_becomes_its_items(text: str, items: tuple[Filter, ...]) -> None:
    assert parse_logic("or", text, LIMITS) == Logic("or", items)
    assert parse_logic("and", text, LIMITS, negated=True) == Logic("and", items, negated=True)


IN_GROUP = "field name (* or [a..z0..9_$]), negation operator (not) or logic operator (and, or)"

NO_TREES = [
    ("()", 4, f'unexpected ")" expecting {IN_GROUP}'),
    ("", 3, 'unexpected end of input expecting "("'),
    ("a.eq.1", 3, 'unexpected "a" expecting "("'),
    ("(a.eq.1", 10, 'unexpected end of input expecting "," or ")"'),
    ("(a.eq.1,)", 11, f'unexpected ")" expecting {IN_GROUP}'),
    ("(a.eq.1)x", 11, "unexpected 'x' expecting end of input"),
    ("(a)", 5, 'unexpected ")" expecting delimiter (.)'),
    ("(id.in.1,2)", 10, 'unexpected "1" expecting "("'),
    ("(xor(a.eq.1))", 7, 'unexpected "(" expecting delimiter (.)'),
    ("(author.name.eq.x)", 11, f'unexpected "n" expecting {NO_OPERATOR}'),
    ("(a.cs.{1}x)", 12, 'unexpected "x" expecting "," or ")"'),
    ("(and())", 8, f'unexpected ")" expecting {IN_GROUP}'),
]


@pytest.mark.parametrize(("text", "at", "details"), NO_TREES, ids=[row[0] for row in NO_TREES])
def test_what_is_no_logic_tree_is_refused_with_its_place(text: str, at: int, details: str) -> None:
    with pytest.raises(QuerySyntax) as refused:
        parse_logic("or", text, LIMITS)
    assert refused.value.message == f'"failed to parse logic tree ({text})" (line 1, column {at})'
    assert refused.value.details == details


def nested(depth: int) -> str:
    return "(" + "or(" * (depth - 1) + "a.eq.1" + ")" * depth


def test_groups_stand_in_each_other_only_so_deep() -> None:
    assert parse_logic("and", nested(LIMITS.filter_depth), LIMITS)
    with pytest.raises(QueryTooComplex):
        parse_logic("and", nested(LIMITS.filter_depth + 1), LIMITS)


@pytest.mark.parametrize("depth", [10, 1_000, 100_000])
def test_a_pile_of_groups_is_refused_and_not_a_crash(depth: int) -> None:
    with pytest.raises(QueryTooComplex):
        parse_logic("and", nested(depth), LIMITS)


def test_a_tree_has_only_so_many_terms() -> None:
    assert parse_logic("and", "(" + ",".join(["a.eq.1"] * LIMITS.filter_terms) + ")", LIMITS)
    with pytest.raises(QueryTooComplex):
        parse_logic("and", "(" + ",".join(["a.eq.1"] * (LIMITS.filter_terms + 1)) + ")", LIMITS)
