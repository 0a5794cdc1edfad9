"""``select``: each line of the grammar, and what is not in it."""

from __future__ import annotations

import pytest

from mbaas.core.query.errors import QuerySyntax, QueryTooComplex
from mbaas.core.query.limits import Limits
from mbaas.core.query.select import parse_select
from mbaas.core.query.types import ColumnItem, CountItem, EmbedItem, Path, SelectItem, Star

LIMITS = Limits()


def column(name: str, *steps: tuple[str | int, bool], **more: object) -> ColumnItem:
    return ColumnItem(Path(name, steps), **more)  # type: ignore[arg-type]


ID = column("id")

ITEMS: list[tuple[str, tuple[SelectItem, ...]]] = [
    ("", ()),
    ("*", (Star(),)),
    ("id,title", (ID, column("title"))),
    (" id , * ", (ID, Star())),
    ("\n id,\n\ttitle\n", (ID, column("title"))),
    ("Id", (column("Id"),)),
    ("identifier with spaces", (column("identifier with spaces"),)),
    ("with-dashes,a - b", (column("with-dashes"), column("a-b"))),
    ("123,_,$,a$num$", (column("123"), column("_"), column("$"), column("a$num$"))),
    ("häuser,名前", (column("häuser"), column("名前"))),
    ('"  col  w  space  "', (column("  col  w  space  "),)),
    ('":arr->ow::cast","(inside,parens)"', (column(":arr->ow::cast"), column("(inside,parens)"))),
    (r'"a\"b\\c"', (column('a"b\\c'),)),
    ("n:views", (column("views", alias="n"),)),
    ('"my alias":views', (column("views", alias="my alias"),)),
    ("views::text", (column("views", cast="text"),)),
    ("n:views::text", (column("views", alias="n", cast="text"),)),
    ("at::TIMESTAMP  with time zone", (column("at", cast="timestamp with time zone"),)),
    ("meta->k", (column("meta", ("k", False)),)),
    ("meta->a->0->>b", (column("meta", ("a", False), (0, False), ("b", True)),)),
    ("k:meta->>k::int", (column("meta", ("k", True), alias="k", cast="int"),)),
    ("data->-1->>b", (column("data", (-1, False), ("b", True)),)),
    ("data->>-2::int", (column("data", (-2, True), cast="int"),)),
    (
        "data->0xy1->23-xy-45->xy-6->>0",
        (column("data", ("0xy1", False), ("23-xy-45", False), ("xy-6", False), (0, True)),),
    ),
    (
        "data->!@#$%^&*_d->>!@#$%^&*_e::integer",
        (column("data", ("!@#$%^&*_d", False), ("!@#$%^&*_e", True), cast="integer"),),
    ),
    ('data->"0"->>"a.b"', (column("data", ("0", False), ("a.b", True)),)),
    ('data->"x,y(z)"', (column("data", ("x,y(z)", False)),)),
    ("data->a:b", (column("data", ("a:b", False)),)),
    ("views.sum()", (column("views", aggregate="sum"),)),
    ("t:views::int.avg()::text", (column("views", alias="t", cast="int", aggregate="avg", aggregate_cast="text"),)),
    (
        "a.min(),b.max(),c.count()",
        (column("a", aggregate="min"), column("b", aggregate="max"), column("c", aggregate="count")),
    ),
    ("data->n.sum()", (column("data", ("n", False), aggregate="sum"),)),
    ("count()", (CountItem(),)),
    ("n:count()::int", (CountItem("n", "int"),)),
    ("count", (column("count"),)),
    ("n:count", (column("count", alias="n"),)),
    ("comments(count)", (EmbedItem("comments", (column("count"),)),)),
    ("comments(count())", (EmbedItem("comments", (CountItem(),)),)),
    ("comments()", (EmbedItem("comments", ()),)),
    ("comments ( id )", (EmbedItem("comments", (ID,)),)),
    ("author(*)", (EmbedItem("author", (Star(),)),)),
    ("who:profiles(id)", (EmbedItem("profiles", (ID,), alias="who"),)),
    ("profiles!posts_author_fkey(id)", (EmbedItem("profiles", (ID,), hint="posts_author_fkey"),)),
    ("profiles!inner(id)", (EmbedItem("profiles", (ID,), inner=True),)),
    ("profiles!left(id)", (EmbedItem("profiles", (ID,)),)),
    ("profiles!fk!inner(id)", (EmbedItem("profiles", (ID,), hint="fk", inner=True),)),
    ("profiles!inner!fk(id)", (EmbedItem("profiles", (ID,), hint="fk", inner=True),)),
    ("profiles!leftover(id)", (EmbedItem("profiles", (ID,), hint="leftover"),)),
    ('profiles!"inner"(id)', (EmbedItem("profiles", (ID,), hint="inner"),)),
    ("a(b(c(id)),id)", (EmbedItem("a", (EmbedItem("b", (EmbedItem("c", (ID,)),)), ID)),)),
    ("...post_stats(likes)", (EmbedItem("post_stats", (column("likes"),), spread=True),)),
    (
        "...a!fk!inner(id,...b(x))",
        (EmbedItem("a", (ID, EmbedItem("b", (column("x"),), spread=True)), hint="fk", inner=True, spread=True),),
    ),
    (
        "id,n:views::text,meta->k,who:profiles!posts_author_fkey!inner(username),...post_stats(likes),comments(count)",
        (
            ID,
            column("views", alias="n", cast="text"),
            column("meta", ("k", False)),
            EmbedItem("profiles", (column("username"),), alias="who", hint="posts_author_fkey", inner=True),
            EmbedItem("post_stats", (column("likes"),), spread=True),
            EmbedItem("comments", (column("count"),)),
        ),
    ),
]


@pytest.mark.parametrize(("text", "items"), ITEMS, ids=[text for text, _ in ITEMS])
def test_a_select_becomes_its_items(text: str, items: tuple[SelectItem, ...]) -> None:
    assert parse_select(text, LIMITS) == items


REFUSED = [
    (",", 1),
    ("id,", 4),
    ("id,,title", 4),
    ("id title(", 10),
    ("name!hint", 10),
    ("*!hint", 2),
    ("n:*", 3),
    ("name::", 7),
    ("name::::text", 7),
    ("rel->jsonpath(*)", 14),
    ("alias:...rel(*)", 7),
    ("...rel", 7),
    ("rel(id", 7),
    ("rel(id))", 8),
    ("rel(id)x", 8),
    ("id)", 3),
    ("clients(name[])", 13),
    ("rel!a!b(id)", 8),
    ("rel!inner!left!x(id)", 17),
    ("count(id)", 6),
    ("views.median()", 6),
    ("views.sum", 6),
    ("data->>--34", 9),
    ("data->-xy-4", 8),
    ("data->>-78xy", 9),
    ("data->(a", 7),
    ("data->", 7),
    ("data->>c->1", 9),
    ("data->99999999999", 7),
    ("data->9999999999", 7),
    ('"open', 6),
    ('""', 1),
    ("a:b:c", 4),
    ("id;drop table posts", 3),
    ("id--comment", 3),
    ("pg_sleep(1)::", 12),
    ("(select 1)", 1),
]


@pytest.mark.parametrize(("text", "at"), REFUSED, ids=[text for text, _ in REFUSED])
def test_what_is_not_in_the_grammar_is_named_with_its_place(text: str, at: int) -> None:
    with pytest.raises(QuerySyntax) as refused:
        parse_select(text, LIMITS)
    assert refused.value.message == f'"failed to parse select parameter ({text})" (line 1, column {at})'
    assert refused.value.details.startswith("unexpected ")


@pytest.mark.parametrize(
    ("text", "details"),
    [
        ("data->>--34", 'unexpected "-" expecting digit'),
        ("data->(!@#$", 'unexpected "(" expecting "-", digit or any non reserved character different from: .,>()'),
    ],
)
def test_the_texts_of_errors_are_those_that_clients_know(text: str, details: str) -> None:
    with pytest.raises(QuerySyntax) as refused:
        parse_select(text, LIMITS)
    assert refused.value.details == details


def test_embeds_stand_in_each_other_only_so_deep() -> None:
    deepest = "a(" * LIMITS.embed_depth + "id" + ")" * LIMITS.embed_depth
    assert parse_select(deepest, LIMITS)
    with pytest.raises(QueryTooComplex):
        parse_select(f"a({deepest})", LIMITS)


@pytest.mark.parametrize("depth", [10, 1_000, 100_000])
def test_a_pile_of_embeds_is_refused_and_not_a_crash(depth: int) -> None:
    with pytest.raises(QueryTooComplex):
        parse_select("a(" * depth, LIMITS)


@pytest.mark.parametrize(
    ("most", "one"), [(LIMITS.embeds, "a(id)"), (LIMITS.select_items, "id"), (LIMITS.select_items, "Id")]
)
def test_a_select_has_only_so_many_items(most: int, one: str) -> None:
    assert len(parse_select(",".join([one] * most), LIMITS)) == most
    with pytest.raises(QueryTooComplex):
        parse_select(",".join([one] * (most + 1)), LIMITS)
