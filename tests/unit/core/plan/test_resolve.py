"""Queries meet the catalog: what a plan holds, and what is refused before there is any SQL."""

from __future__ import annotations

from typing import Any

import pytest

from mbaas.core.errors import InvalidValue, MbaasError, UnknownCollection, UnknownField, UnknownPayloadField
from mbaas.core.expr.types import (
    TRUE,
    And,
    Binary,
    Call,
    Claim,
    Column,
    Is,
    Json,
    Not,
    Or,
    Quantified,
    TextSearch,
    Value,
)
from mbaas.core.plan.arrays import parse_array
from mbaas.core.plan.errors import NoUniqueTarget, UnknownType
from mbaas.core.plan.names import Names, column_type, known_type
from mbaas.core.plan.resolve import Resolver, resolve_list
from mbaas.core.plan.types import AggregateOutput, EmbedOutput, FieldOutput, ReadPlan, SpreadOutput, embed_test
from mbaas.core.plan.writes import resolve_delete, resolve_insert, resolve_update
from mbaas.core.query.errors import (
    EmbedFilterInvalid,
    NoRelationship,
    NotEmbedded,
    OrderNotToOne,
    Unsupported,
)
from mbaas.core.query.parse import parse_parameters, parse_read_parts
from mbaas.core.query.types import DeleteQuery, InsertQuery, Preferences, ReadQuery, UpdateQuery
from mbaas.core.rules.compile import compile_rules
from tests.sample import CATALOG

NAMES = Names(CATALOG, compile_rules(CATALOG).defaults)
NO_PREFERENCES = Preferences()


def resolver(*, privileged: bool = False, max_rows: int | None = 1000) -> Resolver:
    return Resolver(NAMES, privileged=privileged, max_rows=max_rows)


def read(query_string: str, collection: str = "posts", **more: Any) -> ReadPlan:
    query = ReadQuery(collection=collection, parts=parse_read_parts(query_string))
    return resolve_list(query, resolver(**more)).rows


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ("views=gte.5", Binary(">=", Column("views"), Value("5", "integer"))),
        ("rating=eq.1.5", Binary("=", Column("rating"), Value("1.5", "numeric"))),  # without (4,2): it must not round
        ("views=not.eq.5", Not(Binary("=", Column("views"), Value("5", "integer")))),
        ("views=in.(1,2)", Quantified("=", Column("views"), "any", Value(("1", "2"), "integer[]"))),
        ("views=eq(all).{1,2}", Quantified("=", Column("views"), "all", Value(("1", "2"), "integer[]"))),
        ("title=like.a*b", Binary("like", Column("title"), Value("a%b", "text"))),
        ("title=like(any).{a*,b}", Quantified("like", Column("title"), "any", Value(("a%", "b"), "text[]"))),
        ("title=match.a*", Binary("~", Column("title"), Value("a*", "text"))),
        ("editor=is.not_null", Is(Column("editor"), "null", negated=True)),
        ("published=not.is.unknown", Not(Is(Column("published"), "unknown"))),
        ("tags=cs.{a,b}", Binary("@>", Column("tags"), Value(("a", "b"), "text[]"))),
        ("tags=in.({a},{b})", Or((Binary("=", Column("tags"), Value(("a",), "text[]")),
                                  Binary("=", Column("tags"), Value(("b",), "text[]"))))),
        ("period=ov.[2024-01-01,]", Binary("&&", Column("period"), Value("[2024-01-01,]", "text::daterange"))),
        ("meta->a->>0=eq.x", Binary("=", Json(Json(Column("meta"), "a"), 0, True), Value("x", "text"))),
        ("meta->a=eq.1", Binary("=", Json(Column("meta"), "a"), Value("1", "jsonb"))),
        ("tags->>0=eq.x", Binary("=", Json(Call("to_jsonb", (Column("tags"),)), 0, True), Value("x", "text"))),
        ("title=fts(english).a", TextSearch(Column("title"), "to_tsquery", Value("a", "text"), "english", True)),
        ("or=(views.eq.1,not.and(views.eq.2,views.eq.3))", Or((
            Binary("=", Column("views"), Value("1", "integer")),
            Not(And((Binary("=", Column("views"), Value("2", "integer")), Binary("=", Column("views"), Value("3", "integer"))))),
        ))),
    ],
)  # fmt: skip
def test_a_filter_is_typed_by_the_column_it_meets(filters: str, expected: Any) -> None:
    assert read(filters).where == expected


def test_filters_are_all_of_them() -> None:
    both = (Binary(">", Column("views"), Value("1", "integer")), Binary("<", Column("views"), Value("9", "integer")))
    assert read("views=gt.1&views=lt.9").where == And(both)
    assert read("").where == TRUE


def test_a_star_is_every_field_that_exists_for_the_caller() -> None:
    def fields(**more: Any) -> list[str]:
        return [output.key for output in read("", "profiles", **more).outputs if isinstance(output, FieldOutput)]

    assert fields() == ["id", "username", "phone", "plan", "boss"]
    assert fields(privileged=True) == ["id", "username", "phone", "plan", "secret", "boss"]


@pytest.mark.parametrize(
    ("select", "key"),
    [("title", "title"), ("a:title", "a"), ("meta->a->>b", "b"), ("meta->a->0", "a"), ("meta->0->>1", "meta")],
)
def test_a_value_is_named_by_its_alias_its_last_key_or_its_column(select: str, key: str) -> None:
    (output,) = read(f"select={select}").outputs
    assert isinstance(output, FieldOutput)
    assert output.key == key


def test_embeds_are_numbered_through_the_tree() -> None:
    plan = read("select=id,author(username,boss(id)),c:comments(id),...post_stats(likes)")
    assert [embed.alias for embed in plan.embeds] == ["e1", "e3", "e4"]
    assert plan.embeds[0].plan.embeds[0].alias == "e2"
    assert plan.outputs[1:] == (EmbedOutput("author", "e1"), EmbedOutput("c", "e3"), SpreadOutput("e4"))
    assert plan.embeds[0].plan.limit == 1
    assert plan.embeds[1].plan.limit == 1000


def test_an_empty_embed_shows_nothing() -> None:
    plan = read("select=id,comments()&comments=not.is.null")
    assert plan.outputs == (FieldOutput("id", Column("id")),)
    assert plan.where == embed_test("e1")
    assert read("select=id,comments()&comments=is.null").where == Not(embed_test("e1"))


def test_what_is_said_of_an_embed_goes_to_the_one_of_that_name() -> None:
    plan = read("select=a:comments(id),b:comments(id)&a.body=eq.x&b.limit=3&b.order=id.desc")
    first, second = plan.embeds
    assert first.plan.where == Binary("=", Column("body"), Value("x", "text"))
    assert (second.plan.where, second.plan.limit) == (TRUE, 3)
    assert second.plan.order[0].descending
    by_target = read("select=a:comments(id)&comments.body=eq.x")
    assert by_target.embeds[0].plan.where == first.plan.where


def test_a_name_that_is_field_and_embed_is_a_field_but_for_is_null() -> None:
    assert read("select=author(id)&author=eq.00000000-0000-4000-8000-00000000000a").where == Binary(
        "=", Column("author"), Value("00000000-0000-4000-8000-00000000000a", "uuid")
    )
    assert read("select=author(id)&author=not.is.null").where == embed_test("e1")


def test_the_legacy_count_is_a_lone_name_that_no_field_has() -> None:
    plan = read("select=comments(count)")
    assert plan.embeds[0].plan.outputs == (AggregateOutput("count", "count"),)
    assert plan.embeds[0].plan.grouped
    with pytest.raises(UnknownField):
        read("select=comments(count,id)")


def test_a_list_is_cut_to_the_cap_at_every_level() -> None:
    plan = read("select=id,comments(id)&limit=500&comments.limit=700", max_rows=100)
    assert (plan.limit, plan.embeds[0].plan.limit) == (100, 100)
    assert read("limit=500", max_rows=None).limit == 500
    assert read("limit=5", max_rows=100).limit == 5


@pytest.mark.parametrize(
    ("query_string", "error"),
    [
        ("nope=eq.1", UnknownField),
        ("select=nope", UnknownField),
        ("order=nope", UnknownField),
        ("or=(nope.eq.1,views.eq.1)", UnknownField),
        ("select=title->x", InvalidValue),
        ("tags=cs.x", InvalidValue),
        ("select=title::nope", UnknownType),
        ("select=title::regproc", UnknownType),
        ("select=nope(*)", NoRelationship),
        ("select=author!nope(*)", NoRelationship),
        ("comments.id=eq.1", NotEmbedded),
        ("comments.order=id", NotEmbedded),
        ("order=comments(id)", NotEmbedded),
        ("select=comments(id)&order=comments(id)", OrderNotToOne),
        ("select=comments(id)&comments=eq.1", EmbedFilterInvalid),
        ("select=...comments(count())", Unsupported),
        ("tags=eq(any).{a}", Unsupported),
        ("select=author(secret)", UnknownField),
    ],
)
def test_what_does_not_exist_is_refused(query_string: str, error: type[MbaasError]) -> None:
    with pytest.raises(error):
        read(query_string)


def test_an_unknown_collection_may_have_been_another() -> None:
    with pytest.raises(UnknownCollection) as caught:
        read("", "post")
    assert caught.value.hint == "Perhaps you meant the table 'public.posts'"


# --- writes ----------------------------------------------------------------------------------------------------------


def insert(
    columns: tuple[str, ...], prefer: Preferences = NO_PREFERENCES, collection: str = "posts", **more: Any
) -> Any:
    on_conflict = more.pop("on_conflict", None)
    query = InsertQuery(
        collection=collection, payload="[]", columns=columns, on_conflict=on_conflict, preferences=prefer
    )
    return resolve_insert(query, resolver(**more))


def test_a_payload_sets_what_exists_and_is_not_the_servers() -> None:
    assert [field.name for field in insert(("title", "created_at", "loud")).fields] == ["title"]
    assert [f.name for f in insert(("title", "created_at"), privileged=True).fields] == ["title", "created_at"]
    with pytest.raises(UnknownPayloadField):
        insert(("nope",))
    with pytest.raises(UnknownPayloadField):
        insert(("secret",), collection="profiles")


def test_a_default_that_asks_for_the_caller_is_an_expression() -> None:
    assert insert(("title",)).defaults == {"author": Claim("uid")}


def test_a_conflict_has_a_unique_target_and_overwrites_the_rest() -> None:
    merge = Preferences(resolution="merge-duplicates")
    assert insert(("id", "title"), merge).conflict.target == ("id",)
    assert insert(("id", "title"), merge).conflict.update == ("title",)
    assert insert(("id", "slug", "title"), merge, on_conflict=("slug",)).conflict.update == ("title",)
    assert insert(("slug",), Preferences(resolution="ignore-duplicates"), on_conflict=("slug",)).conflict.update is None
    assert insert(("id",)).conflict is None
    with pytest.raises(NoUniqueTarget):
        insert(("title",), merge, on_conflict=("title",))
    with pytest.raises(NoUniqueTarget):
        insert(("title",), merge, on_conflict=("slug", "title"))
    with pytest.raises(UnknownField):
        insert(("title",), merge, on_conflict=("nope",))


def test_an_update_keeps_the_key_and_drops_what_the_server_fills() -> None:
    query = UpdateQuery(collection="posts", payload="{}", columns=("id", "title", "updated_at"))
    plan = resolve_update(query, resolver())
    assert ([f.name for f in plan.fields], [f.name for f in plan.fixed]) == (["title"], ["id"])
    plan = resolve_update(query, resolver(privileged=True))
    assert ([f.name for f in plan.fields], plan.fixed) == (["id", "title", "updated_at"], ())


def test_what_comes_back_of_a_write_is_not_filtered_again_nor_cut() -> None:
    parameters = parse_parameters("title=eq.x&select=id,comments(id)&comments.body=eq.y")
    query = DeleteQuery(
        collection="posts", parts=parameters.parts, preferences=Preferences(representation="representation")
    )
    plan = resolve_delete(query, resolver(max_rows=10))
    assert plan.where == Binary("=", Column("title"), Value("x", "text"))
    assert plan.answer.rows is not None
    assert (plan.answer.rows.where, plan.answer.rows.limit) == (TRUE, None)
    assert plan.answer.rows.embeds[0].plan.where == Binary("=", Column("body"), Value("y", "text"))


# --- literals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{}", ()),
        (" { a , b } ", ("a", "b")),
        ('{"a,b","c\\"d","\\\\",""}', ("a,b", 'c"d', "\\", "")),
        ("{NULL,null,\"NULL\"}", (None, None, "NULL")),
        ("{a\\,b}", ("a,b",)),
    ],
)  # fmt: skip
def test_an_array_literal_is_taken_apart(text: str, expected: tuple[str | None, ...]) -> None:
    assert parse_array(text) == expected


@pytest.mark.parametrize("text", ["", "a", "{", "{a", "{a}}", "{a}b", "{a,}", "{,a}", '{"a}', '{"a"b}', "{{a},{b}}"])
def test_what_is_no_array_literal_is_refused(text: str) -> None:
    with pytest.raises(InvalidValue):
        parse_array(text)


def test_a_cast_is_one_of_a_list() -> None:
    for name in ("text", "int4", "numeric(10,2)", "timestamptz", "jsonb", "uuid[]", "varchar(20)", "double precision"):
        assert known_type(name), name
    for name in ("regclass", "oidvector", "pg_catalog.text", "text;", "int)", "numeric(1", "numeric(a)", "", "user"):
        assert not known_type(name), name


def test_a_type_is_known_without_its_modifier() -> None:
    assert column_type("numeric(10,2)").bind == "numeric"
    assert column_type("int4range").bind == "text::int4range"
    assert column_type("text[]").element == "text"
