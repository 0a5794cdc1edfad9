"""PostgreSQL judges what the request parsers let through, and writes the texts that errors rely on."""

from __future__ import annotations

import json
import os
import re
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from mbaas.adapters.postgres.database import Database
from mbaas.core.errors import DatabaseError, QueryError
from mbaas.core.query.body import parse_insert
from mbaas.core.query.filters import parse_array
from mbaas.core.schema.catalog import Collection, Field, Index, IndexField, Reference
from mbaas.core.schema.types import parse_type
from mbaas.core.sql.fragment import Statement
from mbaas.modules.records.errors import fields_at_fault, refuse
from tests.strategies_query import texts

SOAK = bool(os.environ.get("MBAAS_SOAK"))


def collected(strategy: st.SearchStrategy[Any], count: int) -> list[Any]:
    """Examples of a strategy, to be asked about in one go: hypothesis itself does not await."""
    found: list[Any] = []

    @settings(
        max_examples=count * 10 if SOAK else count,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def collect(example: Any) -> None:
        found.append(example)

    collect()
    return found


array_texts = st.lists(
    st.one_of(st.sampled_from(["{", "}", ",", '"', "\\", " ", "NULL", "null", "{}", '""', "a", "\t", "é"]), texts),
    max_size=10,
).map("".join)


async def test_arrays_are_taken_apart_as_postgresql_does(database: Database) -> None:
    taken = 0
    for text in [*collected(array_texts, 150), *(f"{{{text}}}" for text in collected(array_texts, 300))]:
        try:
            ours: Any = list(parse_array(text))
        except QueryError:
            ours = None
        try:
            row = await database.fetch_row(
                Statement("select $1::text::text[]::text, to_json($1::text::text[])", (text,))
            )
            theirs = json.loads(str(row and row[1]))
        except DatabaseError:
            theirs = None
        bare = re.sub(r'"(?:[^"\\]|\\.)*"|\\.', "", text, flags=re.DOTALL)
        if theirs is None or bare.count("{") > 1:  # several dimensions are not for a list of alternatives
            assert ours is None, text
        else:
            assert ours == theirs, text
            taken += 1
    assert taken > 50


strings = st.one_of(
    texts, st.sampled_from(["\\", "\\u0000", "\\\\ud800", "😀", "\x7f", "\x1f", "\u2028", '"', "{", "[[["])
)
rows = st.lists(st.fixed_dictionaries({"a": strings, "é": strings}), max_size=3)


async def test_what_a_body_says_is_what_postgresql_reads(database: Database) -> None:
    reading = Statement('select r.a, r."é" from json_to_recordset($1::text::json) as r(a text, "é" text)')
    for sent in collected(rows, 150):
        for ascii_only in (True, False):
            payload = parse_insert(json.dumps(sent, ensure_ascii=ascii_only).encode())
            found = await database.fetch_rows(Statement(reading.text, (payload.text,)))
            assert [list(row) for row in found] == [[row["a"], row["é"]] for row in sent]


@pytest.mark.parametrize(
    ("text", "type_", "read"),
    [
        ("9223372036854775807", "bigint", "9223372036854775807"),
        ("-0", "numeric", "0"),
        ("1e400", "numeric", "1" + "0" * 400),
        ("0.1000000000000000055511151231257827", "numeric", "0.1000000000000000055511151231257827"),
        ("1E+2", "numeric", "100"),
    ],
)
async def test_a_number_is_stored_as_it_was_written(database: Database, text: str, type_: str, read: str) -> None:
    payload = parse_insert(f'{{"n":{text}}}'.encode())
    row = await database.fetch_row(
        Statement(f"select r.n::text from json_to_recordset($1::text::json) as r(n {type_})", (payload.text,))
    )
    assert row == (read,)


@pytest.mark.parametrize(
    ("text", "type_"), [("1e400", "double precision"), ("9223372036854775808", "bigint"), ("1.5", "integer")]
)
async def test_a_number_that_does_not_fit_is_the_callers_mistake(database: Database, text: str, type_: str) -> None:
    payload = parse_insert(f'{{"n":{text}}}'.encode())
    with pytest.raises(DatabaseError) as caught:
        await database.fetch_row(
            Statement(f"select r.n::text from json_to_recordset($1::text::json) as r(n {type_})", (payload.text,))
        )
    assert refuse(caught.value, role="authenticated").status == 400


TABLES = """
create table profiles (id int primary key);
create table posts (
    id int primary key,
    slug text constraint posts_slug_key unique,
    title text not null constraint posts_title_check check (length(title) < 5),
    author int constraint posts_author_fkey references profiles
);
create unique index posts_two on posts (slug, title);
insert into profiles values (1);
insert into posts values (1, 'taken', 'x', 1);
"""
POSTS = Collection(
    name="posts",
    key=("id",),
    fields=(
        Field(name="id", type=parse_type("int")),
        Field(name="slug", type=parse_type("text"), unique=True),
        Field(name="title", type=parse_type("text"), required=True, max_length=4),
        Field(name="author", type=parse_type("int"), references=Reference(table="profiles", columns=("id",))),
    ),
    indexes=(Index(name="posts_two", fields=(IndexField("slug"), IndexField("title")), unique=True),),
)
BREAKS = [
    ("insert into posts values (1, 'b', 'x', 1)", "23505", 409, ("id",)),
    ("insert into posts values (2, 'taken', 'x', 1)", "23505", 409, ("slug",)),
    ("insert into posts values (2, 'b', null, 1)", "23502", 400, ("title",)),
    ("insert into posts values (2, 'b', 'long enough', 1)", "23514", 400, ("title",)),
    ("insert into posts values (2, 'b', 'x', 9)", "23503", 409, ("author",)),
    ("delete from profiles", "23503", 409, ("author",)),
]


async def test_a_broken_constraint_is_known_and_told_to_those_who_may_know(database: Database) -> None:
    await database.execute(TABLES)
    for breaking, state, status, fields in BREAKS:
        with pytest.raises(DatabaseError) as caught:
            await database.fetch_row(Statement(breaking))
        error = caught.value
        assert (error.sqlstate, fields_at_fault(POSTS, error)) == (state, fields), breaking
        told, kept = (refuse(error, role="authenticated", readable=readable) for readable in (True, False))
        assert told.status == kept.status == status
        assert told.message == error.message
        assert (told.details == error.details) == (state in ("23503", "23505"))
        assert kept.details is None
        for name in (*fields, "taken", "9"):
            assert f"_{name}_" not in kept.message
            assert f'"{name}"' not in kept.message


RAISES = [
    (
        "raise sqlstate 'PT402' using message = 'Pay', detail = 'Quota', hint = 'Upgrade'",
        402,
        "PT402",
        "Pay",
        "Quota",
        "Upgrade",
    ),
    ("raise sqlstate 'PT099' using message = 'Pay'", 500, "PT099", "Pay", None, None),
    ("raise exception 'No % today', 'cake'", 400, "P0001", "No cake today", None, None),
    (
        """raise sqlstate 'PGRST' using message = '{"code":"123","message":"ABC","details":"DEF","hint":"XYZ"}',
           detail = '{"status":418,"headers":{"X-Tea":"pot"}}'""",
        418,
        "123",
        "ABC",
        "DEF",
        "XYZ",
    ),
]


@pytest.mark.parametrize(("raising", "status", "code", "message", "details", "hint"), RAISES)
async def test_what_an_author_raises_is_what_the_caller_gets(
    database: Database, raising: str, status: int, code: str, message: str, details: str | None, hint: str | None
) -> None:
    with pytest.raises(DatabaseError) as caught:
        await database.execute(f"do $body$ begin {raising}; end $body$")
    found = refuse(caught.value, role="anon")
    assert (found.status, found.code, found.message) == (status, code, message)
    assert (found.details or None, found.hint or None) == (details, hint)
    assert code != "123" or found.headers == (("x-tea", "pot"),)
