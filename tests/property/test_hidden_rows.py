"""What the rules hide changes no answer: not the rows, not the count, not an error.

Each example is run twice by one statement: on everything, and after what is hidden was taken out for real.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from mbaas.adapters.postgres.connection import connect
from mbaas.adapters.postgres.database import Database
from mbaas.adapters.postgres.embedded import EmbeddedPostgres
from mbaas.adapters.postgres.extensions import ensure_extensions
from mbaas.adapters.postgres.system_schema import apply_system_schema
from mbaas.core.identity import Identity
from mbaas.core.plan.authorize import authorize
from mbaas.core.plan.names import Names
from mbaas.core.plan.resolve import Resolver, resolve_list
from mbaas.core.plan.types import ReadPlan
from mbaas.core.query.types import (
    ColumnItem,
    Condition,
    CountItem,
    EmbedItem,
    Filter,
    Logic,
    OrderTerm,
    Path,
    Preferences,
    ReadParts,
    ReadQuery,
    Window,
)
from mbaas.core.rules.compile import compile_rules
from mbaas.core.rules.ruleset import RuleSet
from mbaas.core.schema.catalog import Argument, Catalog, Collection, Function, Rules, Search
from mbaas.core.sql.fragment import Statement
from mbaas.core.sql.read import render_list
from tests.conftest import SOAK
from tests.sample import field

ME = "00000000-0000-4000-8000-00000000000a"
OTHER = "00000000-0000-4000-8000-00000000000b"
CALLER = Identity(role="authenticated", claims={"sub": ME, "role": "authenticated"})

# No foreign keys: taking out a hidden row must not take its visible children along.
DDL = """
set search_path to public;
create table members (thing integer, who uuid);
create table parents (
    id integer primary key, owner uuid, n integer, t text, pub boolean, masked text, tags text[], place point,
    meaning vector(2), _search tsvector generated always as (to_tsvector('simple', coalesce(t, ''))) stored
);
create table children (id integer primary key, parent integer, owner uuid, n integer, t text, pub boolean, masked text);
create table links (parent integer, label integer, pub boolean, primary key (parent, label));
create table labels (id integer primary key, t text, pub boolean);
create function peek(parents) returns text language sql stable return concat($1.t, ':', $1.masked);
create function part(parents) returns integer language sql stable return 6 / $1.n;
"""
ROW = ("id", "owner", "n", "t", "pub", "masked", "tags", "place", "meaning", "_search")
FUNCTIONS = tuple(
    Function(
        name=name, arguments=(Argument(name="", type="parents"),), returns=returns, volatility="stable",
        execute=("authenticated",), of="parents", row=ROW,
    )
    for name, returns in (("peek", "text"), ("part", "integer"))
)  # fmt: skip

# PostgreSQL asks the cheapest condition first: the dear ones would be asked after a caller's, were there no fence.
MEMBERS = "exists (select 1 from members m where m.thing = id and m.who = auth.uid())"
DEAR = "upper(lower(upper(lower(upper(t))))) <> 'A' and n > 0"
RULES = (
    "pub",
    "owner = auth.uid()",
    "pub or owner = auth.uid()",
    "n > 1",
    "true",
    "false",
    MEMBERS,
    MEMBERS,
    DEAR,
    DEAR,
)
MASKS = (None, "pub", "owner = auth.uid()", "false")
TABLES = ("parents", "children", "links", "labels")


def catalog(rules: dict[str, str], masks: dict[str, str | None]) -> Catalog:
    def collection(name: str, key: tuple[str, ...], *fields: Any, **more: Any) -> Collection:
        return Collection(name=name, key=key, fields=fields, rules=Rules(select=rules[name]), **more)

    return Catalog(
        collections={
            made.name: made
            for made in (
                collection(
                    "parents", ("id",), field("id", "int"), field("owner", "uuid"), field("n", "int"),
                    field("t", "text"), field("pub", "bool"), field("masked", "text", read=masks["parents"]),
                    field("tags", "text[]"), field("place", "point"), field("meaning", "vector(2)"),
                    field("_search", "tsvector", hidden=True, managed=True),
                    search=Search(field="_search", language="simple"),
                ),
                collection(
                    "children", ("id",), field("id", "int"), field("parent", "int", references="parents"),
                    field("owner", "uuid"), field("n", "int"), field("t", "text"), field("pub", "bool"),
                    field("masked", "text", read=masks["children"]),
                ),
                collection(
                    "links", ("parent", "label"), field("parent", "int", references="parents"),
                    field("label", "int", references="labels"), field("pub", "bool"),
                ),
                collection("labels", ("id",), field("id", "int"), field("t", "text"), field("pub", "bool")),
                Collection(name="members", key=(), fields=(field("thing", "int"), field("who", "uuid"))),
            )
        },
        functions=FUNCTIONS,
    )  # fmt: skip


# --- what is there ---------------------------------------------------------------------------------------------------

owners = st.sampled_from([ME, OTHER, None])
texts = st.sampled_from(["a", "ab", "a b", "b%", "a\\", "", "(", None])
small = st.integers(0, 3)
PLACES = ["(0,0)", "(0,1)", "(90,0)", "(0,180)", "(Infinity,0)", "(NaN,1)", "(-91,200)", None]
WORDS = {
    "search": ["a", "ab", "a or b", "", '"a b"', "-a", "(", ":*"],
    "near": ["meaning.[1,0]", "meaning.[0,0]", "meaning.[3e38,3e38]"],
    "within": [
        "place.(0,0,200km)",
        "place.(0,0,20037km)",
        "place.(89,10,400km)",
        "place.(-1,-1,1,1)",
        "place.(-1,179,1,1)",
    ],
}


@st.composite
def data(draw: st.DrawFn) -> list[str]:
    """Inserts."""

    def literal(value: Any) -> str:
        if value is None:
            return "null"
        return "'" + value.replace("'", "''") + "'" if isinstance(value, str) else str(value).lower()

    def insert(table: str, *values: Any) -> str:
        return f"insert into public.{table} values ({', '.join(map(literal, values))})"

    found = []
    for number in range(draw(st.integers(1, 5))):
        row = (draw(owners), draw(small), draw(texts), draw(st.booleans()), draw(texts))
        place, meaning = draw(st.sampled_from(PLACES)), draw(st.sampled_from(["[1,0]", "[0,1]", "[0,0]", None]))
        found.append(
            insert("parents", number, *row, draw(st.sampled_from(["{}", "{a}", "{a,b}", None])), place, meaning)
        )
        if draw(st.booleans()):
            found.append(insert("members", number, draw(owners)))
    for number in range(draw(st.integers(1, 6))):
        row = (draw(small), draw(owners), draw(small), draw(texts), draw(st.booleans()), draw(texts))
        found.append(insert("children", number, *row))
    for number in range(draw(st.integers(2, 3))):
        row = (draw(texts), draw(st.booleans()))
        found.append(insert("labels", number, *row))
    pairs = draw(st.sets(st.tuples(small, st.integers(0, 2)), min_size=3, max_size=9))
    found.extend(insert("links", *pair, draw(st.booleans())) for pair in sorted(pairs))
    return found


# --- what is asked ---------------------------------------------------------------------------------------------------

COLUMNS = {
    "parents": ("id", "n", "t", "pub", "masked", "owner", "peek"),
    "children": ("id", "n", "t", "pub", "masked", "parent"),
    "labels": ("id", "t", "pub"),
}
EMBEDS = {"parents": ("children", "labels"), "children": ("parents",), "labels": ("parents",)}
TEXT_COLUMNS = ("t", "masked", "peek")


def conditions(collection: str) -> st.SearchStrategy[Condition]:
    patterns = st.sampled_from(["a*", "*", "a\\", "\\", "(", "[", "a", "*b%"])
    negated = st.booleans()
    of_text = st.builds(
        Condition,
        path=st.sampled_from([Path(name) for name in COLUMNS[collection] if name in TEXT_COLUMNS]),
        operator=st.sampled_from(["eq", "neq", "gt", "like", "ilike", "match", "imatch", "fts", "wfts", "isdistinct"]),
        value=patterns,
        negated=negated,
    )
    of_number = st.builds(
        Condition,
        path=st.sampled_from(
            [Path(name) for name in COLUMNS[collection] if name in ("id", "n", "parent")]
            + [Path("part")] * (collection == "parents")  # which fails for an n of 0
        ),
        operator=st.sampled_from(["eq", "gt", "lte", "neq"]),
        value=small.map(str),
        negated=negated,
    )
    of_null = st.builds(
        Condition,
        path=st.sampled_from([Path(name) for name in COLUMNS[collection]]),
        operator=st.just("is"),
        value=st.sampled_from(["null", "not_null"]),
        negated=negated,
    )
    return of_text | of_number | of_null


def filters(collection: str, embeds: tuple[str, ...]) -> st.SearchStrategy[Filter]:
    leaves: st.SearchStrategy[Filter] = conditions(collection)
    if embeds:
        tests = st.builds(
            Condition,
            path=st.sampled_from([Path(name) for name in embeds]),
            operator=st.just("is"),
            value=st.sampled_from(["null", "not_null"]),
            negated=st.booleans(),
        )
        leaves = leaves | tests
    return st.recursive(
        leaves,
        lambda inner: st.builds(
            Logic,
            operator=st.sampled_from(["and", "or"]),
            items=st.lists(inner, min_size=1, max_size=3).map(tuple),
            negated=st.booleans(),
        ),
        max_leaves=4,
    )


@st.composite
def queries(draw: st.DrawFn) -> ReadQuery:
    collection = draw(st.sampled_from(["parents", "parents", "children", "labels"]))
    said: dict[str, Any] = {"filters": [], "order": {}, "windows": {}}

    def level(name: str, path: tuple[str, ...], depth: int) -> list[Any]:
        columns = draw(st.lists(st.sampled_from(COLUMNS[name]), min_size=1, max_size=3, unique=True))
        items: list[Any] = [ColumnItem(Path(column)) for column in columns]
        embedded = []
        if depth < 2:
            for target in draw(st.lists(st.sampled_from(EMBEDS[name]), max_size=2, unique=True)):
                kind = draw(st.sampled_from(["rows", "rows", "rows", "spread", "empty", "count"]))
                if kind in ("rows", "spread"):
                    inside = tuple(level(target, (*path, target), depth + 1))
                else:
                    inside = (CountItem(),) if kind == "count" and target != "parents" else ()
                    said["filters"] += [
                        ((*path, target), one) for one in draw(st.lists(filters(target, ()), max_size=1))
                    ]
                items.append(EmbedItem(target, inside, inner=draw(st.booleans()), spread=kind == "spread"))
                embedded.append(target)
        if draw(st.integers(0, 2)) == 0:
            said["filters"].append((path, draw(filters(name, tuple(embedded)))))
        terms = [
            OrderTerm(Path(column), descending=draw(st.booleans()))
            for column in draw(st.lists(st.sampled_from(COLUMNS[name]), max_size=2, unique=True))
        ]
        if "parents" in embedded and draw(st.booleans()) and name == "children":
            terms.insert(0, OrderTerm(Path(draw(st.sampled_from(["t", "masked", "n"]))), relation="parents"))
        said["order"][path] = (*terms, OrderTerm(Path("id")))
        if draw(st.integers(0, 3)) == 0:
            said["windows"][path] = Window(draw(st.integers(1, 3)), draw(st.integers(0, 1)))
        return items

    items = tuple(level(collection, (), 0))
    if draw(st.integers(0, 5)) == 0:
        items = (CountItem(), ColumnItem(Path("n" if collection != "labels" else "id"), aggregate="max"))
        if collection == "children":
            lifted = (ColumnItem(Path("masked"), aggregate="max"), ColumnItem(Path("peek"), aggregate="count"))
            items += (EmbedItem("parents", lifted, spread=True), ColumnItem(Path("pub")))
        said["filters"] = [(path, one) for path, one in said["filters"] if not path and _plain(one)]
        said["order"] = {}
        said["windows"] = {}
    said["filters"] = tuple(said["filters"])
    words: list[tuple[str, str]] = []
    if any(isinstance(one, CountItem) for one in items):
        words += [
            ("having", text)
            for text in draw(st.lists(st.sampled_from(["count.gt.1", "max.lt.2,count.lt.9"]), max_size=1))
        ]
    if collection == "parents":
        least = draw(st.integers(0, 1))
        asked = draw(st.lists(st.sampled_from(sorted(WORDS)), min_size=least, max_size=2, unique=True))
        words += [(word, draw(st.sampled_from(WORDS[word]))) for word in asked]
        measured = "near" in asked or any(word == "within" and text.count(",") == 2 for word, text in words)
        if measured and draw(st.booleans()):
            words.append(("distance", draw(st.sampled_from(["lt.0.5", "gte.1000", "is.null", "not.eq.NaN"]))))
        if measured and () in said["order"] and draw(st.booleans()):
            said["order"][()] = (OrderTerm(Path("distance"), descending=draw(st.booleans())), OrderTerm(Path("id")))
    if () in said["order"] and said["windows"].get((), Window()).offset == 0 and draw(st.integers(0, 2)) == 0:
        words.append(("cursor", "*"))
    return ReadQuery(
        collection=collection,
        parts=ReadParts(select=items, words=tuple(words), **said),
        preferences=Preferences(count=draw(st.sampled_from([None, "exact", "planned", "estimated"]))),
    )


def place(plan: ReadPlan, numbers: list[int]) -> tuple[str | None, ...]:
    """What a caller may make up for a cursor: a value of each term's type, or null."""
    forms = {"integer": "{}", "uuid": OTHER[:-1] + "{}", "boolean": "{}", "text": "a{}", "real": "0.{}"}
    numbers = [*numbers, *numbers, *numbers]
    return tuple(
        None if not number else forms.get(term.type, "{}.5").format(number if term.type != "boolean" else number % 2)
        for term, number in zip(plan.order, numbers, strict=False)
    )


def _plain(one: Filter) -> bool:
    if isinstance(one, Logic):
        return all(map(_plain, one.items))
    return one.path.name not in TABLES


# --- the two runs ----------------------------------------------------------------------------------------------------


class Bench:
    """A database with empty tables; every example is rolled back."""

    def __init__(self, url: str) -> None:
        self.loop = asyncio.new_event_loop()
        self.connection: Any = self.loop.run_until_complete(connect(url, statement_timeout_s=10))

    def compare(self, rows: list[str], rules: RuleSet, statement: Statement, plan_mode: str) -> tuple[Any, Any]:
        return self.loop.run_until_complete(self._compare(rows, rules, statement, plan_mode))

    async def _compare(self, rows: list[str], rules: RuleSet, statement: Statement, plan_mode: str) -> tuple[Any, Any]:
        transaction = self.connection.transaction()
        await transaction.start()
        try:
            await self.connection.execute(f"set local plan_cache_mode = {plan_mode}")
            await self.connection.execute("; ".join(rows) or "select 1")
            everything = await self._answer(statement)
            await self.connection.execute(_taking_out(rules))
            return everything, await self._answer(statement)
        finally:
            await transaction.rollback()

    async def _answer(self, statement: Statement) -> Any:
        savepoint = self.connection.transaction()
        await savepoint.start()
        try:
            args = [list(arg) if isinstance(arg, tuple) else arg for arg in statement.args]
            row = tuple(await self.connection.fetchrow(statement.text, *args))
        except asyncpg.PostgresError as error:
            await savepoint.rollback()
            return error.sqlstate
        await savepoint.rollback()
        return row


def _taking_out(rules: RuleSet) -> str:
    """What the rules hide, by an independent reading of their text: PostgreSQL's own."""
    script = f'set local request.jwt.claims = \'{{"sub": "{ME}"}}\'; set local search_path to public'
    deletes, masks = [], []
    for name in TABLES:
        collection = rules.catalog.collections[name]
        deletes.append(f"delete from {name} where ({collection.rules.select}) is not true")
        masks += [
            f"update {name} set {one.name} = null where ({one.read}) is not true"
            for one in collection.fields
            if one.read is not None
        ]
    return "; ".join([script, *masks, *deletes, "reset search_path"])


@pytest.fixture(scope="module")
def bench(cluster: EmbeddedPostgres) -> Iterator[Bench]:
    name = f"hidden_rows_{os.getpid()}"

    async def make() -> None:
        admin = await asyncpg.connect(cluster.url("postgres"))
        await admin.execute(f"create database {name}")
        await admin.close()
        database = Database(cluster.url(name), connections=1, unsafe_dev=True)
        await database.open()
        await apply_system_schema(database)
        await ensure_extensions(catalog(dict.fromkeys(TABLES, "true"), dict.fromkeys(TABLES)), cluster.admin_url(name))
        await database.execute(DDL)
        await database.close()

    asyncio.run(make())
    made = Bench(cluster.url(name))
    yield made
    made.loop.run_until_complete(made.connection.close())
    made.loop.close()


@settings(
    max_examples=3000 if SOAK else 200,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)
@given(
    rows=data(),
    rules=st.fixed_dictionaries({name: st.sampled_from(RULES) for name in ("parents", "children")}),
    junction=st.sampled_from(["pub", "true"]),
    label=st.sampled_from(["pub", "true", "true"]),
    masks=st.fixed_dictionaries({name: st.sampled_from(MASKS) for name in ("parents", "children")}),
    query=queries(),
    plan_mode=st.sampled_from(["force_custom_plan", "force_generic_plan"]),
    after=st.lists(st.integers(0, 3), min_size=4, max_size=4),
)
def test_a_hidden_row_changes_no_answer(
    bench: Bench,
    rows: list[str],
    rules: dict[str, str],
    junction: str,
    label: str,
    masks: dict[str, str | None],
    query: ReadQuery,
    plan_mode: str,
    after: list[int],
) -> None:
    compiled = compile_rules(catalog({**rules, "links": junction, "labels": label}, masks))
    resolver = Resolver(Names(compiled.catalog, compiled.defaults), privileged=False, max_rows=50)
    plan = resolve_list(query, resolver)
    if plan.rows.keyset is not None and any(after):
        plan = replace(plan, rows=replace(plan.rows, keyset=replace(plan.rows.keyset, after=place(plan.rows, after))))
    statement = render_list(authorize(plan, CALLER, compiled))
    everything, without = bench.compare(rows, compiled, statement, plan_mode)
    assert everything == without
