"""A caller's text reaches PostgreSQL as a value or as a looked-up name, never as code."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mbaas.core.errors import MbaasError
from mbaas.core.identity import ANON, Identity
from mbaas.core.plan.authorize import authorize
from mbaas.core.plan.names import Names
from mbaas.core.plan.resolve import Resolver, resolve_list
from mbaas.core.plan.writes import resolve_insert, resolve_update
from mbaas.core.query.types import (
    ColumnItem,
    Condition,
    EmbedItem,
    InsertQuery,
    Logic,
    OrderTerm,
    Path,
    Preferences,
    ReadParts,
    ReadQuery,
    UpdateQuery,
)
from mbaas.core.sql.fragment import Statement
from mbaas.core.sql.read import render_list
from mbaas.core.sql.write import render_write
from tests.conftest import SOAK
from tests.sample import ANA, CATALOG
from tests.statements import RULES

NAMES = Names(CATALOG, {})
ME = Identity(role="authenticated", claims={"sub": ANA, "role": "authenticated"})
# A NUL cannot be in a request: the grammar refuses it.
texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=40)
some = settings(max_examples=2000 if SOAK else 150, deadline=None)

OPERATORS = ("eq", "neq", "gt", "like", "ilike", "match", "isdistinct", "fts", "wfts")


def listed(parts: ReadParts, identity: Identity = ME) -> Statement:
    resolver = Resolver(NAMES, privileged=False, max_rows=1000)
    return render_list(authorize(resolve_list(ReadQuery(collection="posts", parts=parts), resolver), identity, RULES))


def filtered(operator: str, value: str) -> Statement:
    condition = Condition(Path("title"), operator, value)
    logic = Logic("or", (condition, Condition(Path("tags"), "ov", "{a}")))
    return listed(ReadParts(filters=(((), condition), ((), logic), (("author",), Condition(Path("username"), "eq", value))),
                            select=(ColumnItem(Path("title")), EmbedItem("author", (ColumnItem(Path("id")),)))))  # fmt: skip


@pytest.mark.parametrize("operator", OPERATORS)
@given(value=texts)
@example(value="'; drop table posts; --")
@example(value="$1")
@some
def test_a_value_never_becomes_sql(operator: str, value: str) -> None:
    statement = filtered(operator, value)
    # Whether a pattern can fail decides about the fence, and nothing else does.
    assert statement.text in (filtered(operator, "x").text, filtered(operator, "x\\").text)
    assert (value.replace("*", "%") if operator.endswith("like") else value) in statement.args


@given(value=st.lists(texts, max_size=5).map(tuple))
@some
def test_a_list_of_values_is_one_value(value: tuple[str, ...]) -> None:
    def statement(values: tuple[str, ...]) -> Statement:
        return listed(ReadParts(filters=(((), Condition(Path("title"), "in", values)),)))

    assert statement(value).text == statement(("x",)).text
    assert value in statement(value).args


@given(text=texts)
@some
def test_a_body_never_becomes_sql(text: str) -> None:
    def statements(payload: str) -> tuple[Statement, ...]:
        resolver = Resolver(NAMES, privileged=False, max_rows=1000)
        insert = InsertQuery(collection="posts", payload=payload, columns=("title",))
        update = UpdateQuery(collection="posts", payload=payload, columns=("title",))
        return (
            render_write(authorize(resolve_insert(insert, resolver), ME, RULES)),
            render_write(authorize(resolve_update(update, resolver), ME, RULES)),
        )

    for found, usual in zip(statements(text), statements("x"), strict=True):
        assert found.text == usual.text
        assert text in found.args


@given(text=texts)
@example(text='a" from pg_authid --')
@example(text="share")  # a function of the row is a name, too
@some
def test_a_name_is_one_of_the_catalogs_or_an_error(text: str) -> None:
    known = {*CATALOG.collections, *(function.name for function in CATALOG.functions)}
    for one in CATALOG.collections.values():
        known |= {field.name for field in one.fields} | {key.name for key in one.foreign_keys}
    if text in known:
        return
    for parts in (
        ReadParts(select=(ColumnItem(Path(text)),)),
        ReadParts(filters=(((), Condition(Path(text), "eq", "x")),)),
        ReadParts(order={(): (OrderTerm(Path(text)),)}),
        ReadParts(select=(EmbedItem(text, ()),)),
        ReadParts(select=(EmbedItem("author", (), hint=text),)),
        ReadParts(select=(ColumnItem(Path("title"), cast=f"{text}!"),)),
    ):
        with pytest.raises(MbaasError):
            listed(parts)


@given(text=texts)
@example(text='a" from pg_authid --')
@example(text="'; drop table posts; --")
@some
def test_a_key_of_the_callers_own_is_quoted(text: str) -> None:
    """Aliases and steps into JSON are free; in the statement they stand between quotes that nothing in them ends."""
    alias = listed(ReadParts(select=(ColumnItem(Path("title"), alias=text),))).text
    assert f'r0."title" as "{text.replace(chr(34), chr(34) * 2)}"' in alias
    step = listed(ReadParts(select=(ColumnItem(Path("meta", ((text, True),)), alias="x"),))).text
    literal = text.replace("'", "''")
    literal = " E'" + literal.replace("\\", "\\\\") + "'" if "\\" in text else f"'{literal}'"
    assert f'(r0."meta" ->> {literal}) as "x"' in step


def test_claims_are_bound_too() -> None:
    texts = {
        listed(ReadParts(), who).text for who in (ME, ANON, Identity(role="authenticated", claims={"sub": "'; --"}))
    }
    assert len(texts) == 1


def test_equal_plans_give_equal_text() -> None:
    one = InsertQuery(collection="posts", payload="[]", columns=("title",), preferences=Preferences(count="exact"))
    resolver = Resolver(NAMES, privileged=False, max_rows=1000)
    found = {render_write(authorize(resolve_insert(one, resolver), who, RULES)).text for who in (ME, ANON)}
    assert len(found) == 1
