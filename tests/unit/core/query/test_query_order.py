"""``order``: each line of the grammar, and what is not in it."""

from __future__ import annotations

import pytest

from mbaas.core.query.errors import QuerySyntax, QueryTooComplex
from mbaas.core.query.limits import Limits
from mbaas.core.query.order import parse_order
from mbaas.core.query.types import OrderTerm, Path

LIMITS = Limits()
A = Path("a")

ORDERS: list[tuple[str, tuple[OrderTerm, ...]]] = [
    ("a", (OrderTerm(A),)),
    ("a.asc", (OrderTerm(A),)),
    ("a.desc", (OrderTerm(A, descending=True),)),
    ("a.nullsfirst", (OrderTerm(A, nulls="first"),)),
    ("a.asc.nullslast", (OrderTerm(A, nulls="last"),)),
    ("a.desc.nullslast", (OrderTerm(A, descending=True, nulls="last"),)),
    ("a.desc,b.asc", (OrderTerm(A, descending=True), OrderTerm(Path("b")))),
    (" a.desc , b ", (OrderTerm(A, descending=True), OrderTerm(Path("b")))),
    ("data->>k.desc", (OrderTerm(Path("data", (("k", True),)), descending=True),)),
    ("data->0->k.nullsfirst", (OrderTerm(Path("data", ((0, False), ("k", False))), nulls="first"),)),
    ("data->0.desc", (OrderTerm(Path("data", ((0, False),)), descending=True),)),
    ("author(username)", (OrderTerm(Path("username"), relation="author"),)),
    ("author( username ).desc.nullsfirst", (OrderTerm(Path("username"), "author", True, "first"),)),
    ("author(data->>k),a", (OrderTerm(Path("data", (("k", True),)), "author"), OrderTerm(A))),
    ('"my col".desc', (OrderTerm(Path("my col"), descending=True),)),
    ('"a.desc"', (OrderTerm(Path("a.desc")),)),
    ("desc.asc", (OrderTerm(Path("desc")),)),
]


@pytest.mark.parametrize(("text", "terms"), ORDERS, ids=[text for text, _ in ORDERS])
def test_an_order_becomes_its_terms(text: str, terms: tuple[OrderTerm, ...]) -> None:
    assert parse_order(text, LIMITS) == terms


REFUSED = [
    ("", 1, "unexpected end of input expecting field name (* or [a..z0..9_$])"),
    ("a,", 3, "unexpected end of input expecting field name (* or [a..z0..9_$])"),
    ("id.asc.nullslasttt", 17, "unexpected 't' expecting \",\" or end of input"),
    ("id.nullslasttt", 13, "unexpected 't' expecting \",\" or end of input"),
    ("id.descc", 8, "unexpected 'c' expecting \",\" or end of input"),
    ("id.smth34", 4, 'unexpected "s" expecting "asc", "desc", "nullsfirst" or "nullslast"'),
    ("id.asc.nlsfst", 8, 'unexpected "n" expecting "nullsfirst" or "nullslast"'),
    ("id.asc.desc", 8, 'unexpected "d" expecting "nullsfirst" or "nullslast"'),
    ("id.nullsfirst.asc", 14, "unexpected '.' expecting \",\" or end of input"),
    ("id.", 4, 'unexpected end of input expecting "asc", "desc", "nullsfirst" or "nullslast"'),
    ("id.DESC", 4, 'unexpected "D" expecting "asc", "desc", "nullsfirst" or "nullslast"'),
    ("clients(name,id)", 13, 'unexpected "," expecting ")"'),
    ("a desc;", 7, "unexpected ';' expecting delimiter (.), \",\" or end of input"),
    ("a)", 2, "unexpected ')' expecting delimiter (.), \",\" or end of input"),
    ("a.sum()", 3, 'unexpected "s" expecting "asc", "desc", "nullsfirst" or "nullslast"'),
]


@pytest.mark.parametrize(("text", "at", "details"), REFUSED, ids=[row[0] for row in REFUSED])
def test_what_is_no_order_is_refused_with_its_place(text: str, at: int, details: str) -> None:
    with pytest.raises(QuerySyntax) as refused:
        parse_order(text, LIMITS)
    assert refused.value.message == f'"failed to parse order ({text})" (line 1, column {at})'
    assert refused.value.details == details


def test_an_order_has_only_so_many_terms() -> None:
    assert len(parse_order(",".join(["a"] * LIMITS.filter_terms), LIMITS)) == LIMITS.filter_terms
    with pytest.raises(QueryTooComplex):
        parse_order(",".join(["a"] * (LIMITS.filter_terms + 1)), LIMITS)
