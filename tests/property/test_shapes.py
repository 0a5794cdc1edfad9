"""A statement taken from the cache of shapes is the one that the long way makes, value for value."""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import quote

import msgspec
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from mbaas.core.errors import MbaasError
from mbaas.core.identity import ANON, SERVICE, Identity
from mbaas.core.plan.authorize import Grants, authorize
from mbaas.core.plan.names import Names
from mbaas.core.plan.resolve import Resolver, resolve_list
from mbaas.core.plan.writes import resolve_insert, resolve_update
from mbaas.core.query.body import parse_insert, parse_update
from mbaas.core.query.cursor import Cursor, format_cursor
from mbaas.core.query.limits import Limits
from mbaas.core.query.parse import parse_parameters, split_query
from mbaas.core.query.shape import cut, shape_of
from mbaas.core.query.types import InsertQuery, Media, Preferences, ReadQuery, UpdateQuery
from mbaas.core.rules.compile import compile_rules
from mbaas.core.sql.fragment import Statement
from mbaas.core.sql.read import render_list
from mbaas.core.sql.write import render_write
from mbaas.modules.records.prepared import Found, Shapes
from tests.sample import ANA, BEN, CATALOG

SOAK = bool(os.environ.get("MBAAS_SOAK"))
few = settings(
    max_examples=5_000 if SOAK else 200,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=not SOAK,
)
RULES = compile_rules(CATALOG)
NAMES = Names(CATALOG, {})
LIMITS = Limits()
CALLERS = [
    ANON,
    SERVICE,
    Identity(role="authenticated", claims={"sub": ANA, "role": "authenticated", "email": "ana@example.com"}),
    Identity(role="authenticated", claims={"sub": BEN, "role": "authenticated", "aal": "aal2", "org": ["a", {"b": 1}]}),
    Identity(role="authenticated", claims={"sub": "no uuid", "role": "authenticated"}),
]

texts = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=8)
literals = st.one_of(
    st.sampled_from(["", "1", "-0", "null", "(1,2)", "{a,b}", '"q"', "a\\", "%", "*", "1.2", "eq.1", "list0", ANA]),
    texts,
)
columns = st.sampled_from(
    "id title views published tags period meta->>k meta->a->0 body rating author.username comments.body nothing "
    'loud created_at "title"'.split()
)
operators = st.sampled_from(
    "eq neq gt gte lt lte isdistinct in is like cs not.eq not.in not.is fts eq(any)".split()
)  # fmt: skip


def resolver(identity: Identity) -> Resolver:
    return Resolver(NAMES, privileged=identity.bypasses_rules, max_rows=1000)


def cursor(order: str, *values: str | None) -> str:
    parts = parse_parameters(f"cursor=*&order={order}").parts
    keyset = resolve_list(ReadQuery(collection="posts", parts=parts), resolver(ANON)).rows.keyset
    assert keyset is not None
    return format_cursor(Cursor(keyset.digest, values))


CURSOR = cursor("created_at.desc", "2026-01-01", ANA)
CURSOR_OF_NULL = cursor("views", None, BEN)

fixed = st.sampled_from(
    [
        ("select", "*"),
        ("select", "id,title"),
        ("select", "id,author:profiles!posts_author_fkey(username)"),
        ("select", "title,comments(body)"),
        ("select", "count()"),
        ("select", "views.sum()"),
        ("order", "created_at.desc"),
        ("order", "views"),
        ("limit", "5"),
        ("limit", "0"),
        ("offset", "3"),
        ("offset", "x"),
        ("or", "(views.gt.1,title.eq.a)"),
        ("cursor", "*"),
        ("cursor", CURSOR),
        ("cursor", CURSOR_OF_NULL),
        ("cursor", "x"),
        ("search", "fat cats"),
        ("search", "eq.x"),
        ("distance", "lt.5"),
        ("near", "embedding.[1,2]"),
        ("within", "place.(1,2,3m)"),
        ("having", "sum.gt.1"),
        ('"search"', "eq.x"),
    ]
)


@st.composite
def requests(draw: st.DrawFn) -> tuple[list[tuple[str, str, str]], list[tuple[str, str]]]:
    """Conditions as column, operator and literal, and what else is asked for."""
    conditions = draw(st.lists(st.tuples(columns, operators, literals), max_size=4))
    return conditions, draw(st.lists(fixed, max_size=3))


def text_of(conditions: list[tuple[str, str, str]], others: list[tuple[str, str]]) -> bytes:
    pairs = [(column, f"{operator}.{_form(operator, literal)}") for column, operator, literal in conditions]
    return "&".join(f"{quote(key)}={quote(value, safe='')}" for key, value in [*others, *pairs]).encode()


def _form(operator: str, literal: str) -> str:
    if operator.endswith("in"):
        return f"({literal},{literal}x)"
    return "null" if operator.endswith("is") else literal


def shapes() -> Shapes:
    return Shapes(RULES, resolver, grants=Grants(), hooked=lambda _: False)


def long_way(make: Any) -> Statement | None:
    """The statement, ``None`` when the request is refused."""
    try:
        statement: Statement = make()
    except MbaasError:
        return None
    return statement


def quick_way(ask: Any) -> Statement | None:
    """The statement from the cache, ``None`` when the long way has to be gone."""
    try:
        found: Found | None = ask()
    except MbaasError:
        return None
    return None if found is None else Statement(found[0].template.text, found[1])


@given(request=requests(), others=st.lists(literals, min_size=4, max_size=4), callers=st.permutations(CALLERS))
@example(request=([("period", "in", "[1,2)")], []), others=["a"] * 4, callers=CALLERS)
@example(request=([("tags", "eq", "{a}")], []), others=["{b}"] * 4, callers=CALLERS)
@example(request=([("tags", "in", "{a}")], []), others=["x"] * 4, callers=CALLERS)
@few
def test_reads_agree(request: Any, others: list[str], callers: list[Identity]) -> None:
    """First one request that fills the cache, then others of its shape, by other callers."""
    conditions, more = request
    kept = shapes()
    changed = [(column, operator, other) for (column, operator, _), other in zip(conditions, others, strict=False)]
    for identity in callers:
        for query in (text_of(conditions, more), text_of(changed, more)):

            def read(query: bytes = query, identity: Identity = identity) -> Statement:
                asked = ReadQuery(collection="posts", parts=parse_parameters(query, LIMITS).parts)
                return render_list(authorize(resolve_list(asked, resolver(identity)), identity, RULES))

            quick = quick_way(
                lambda query=query, identity=identity: kept.read(
                    "posts", query, identity, preferences=Preferences(), media=Media(), limits=LIMITS
                )
            )
            if quick is not None:
                assert quick == long_way(read)


def test_what_is_asked_most_is_prepared() -> None:
    """The agreement above would also hold if nothing was ever prepared."""
    kept = shapes()
    for query in (
        b"id=eq.1",
        b"id=in.(1,2)&select=id",
        b"published=is.true&order=created_at.desc&limit=30&views=gte.5",
        b"order=created_at.desc&limit=30&cursor=*",
        b"order=created_at.desc&limit=30&cursor=" + CURSOR.encode(),
    ):
        assert kept.read("posts", query, ANON, preferences=Preferences(), media=Media(), limits=LIMITS) is not None
    payload = parse_insert(b'{"title":"a"}')
    query = InsertQuery(collection="posts", payload=payload.text, columns=payload.columns)
    assert kept.insert(query, payload, b"", CALLERS[2]) is not None
    changed = parse_update(b'{"title":"a"}')
    assert kept.update(
        "posts", b"id=eq.1", changed, CALLERS[2], preferences=Preferences(), media=Media(), limits=LIMITS
    ) is not None  # fmt: skip


keys = st.lists(st.sampled_from(["title", "body", "views", "tags", "meta", "author", "id", "loud", "x"]), unique=True)


@given(names=keys, many=st.booleans(), value=texts, representation=st.booleans(), callers=st.permutations(CALLERS))
@few
def test_inserts_agree(names: list[str], many: bool, value: str, representation: bool, callers: list[Identity]) -> None:
    kept = shapes()
    preferences = Preferences(representation="representation" if representation else None)
    for identity in callers:
        for text in (value, value + "'); drop table posts; --"):
            record = dict.fromkeys(names, text)
            payload = parse_insert(msgspec.json.encode([record, record] if many else record))
            query = InsertQuery(
                collection="posts", payload=payload.text, columns=payload.columns, preferences=preferences
            )
            quick = quick_way(
                lambda query=query, payload=payload, identity=identity: kept.insert(query, payload, b"", identity)
            )
            if quick is not None:
                assert quick == long_way(
                    lambda query=query, identity=identity: render_write(
                        authorize(resolve_insert(query, resolver(identity)), identity, RULES)
                    )
                )


@given(request=requests(), names=keys, value=texts, callers=st.permutations(CALLERS))
@few
def test_updates_agree(request: Any, names: list[str], value: str, callers: list[Identity]) -> None:
    kept = shapes()
    query_string = text_of(*request)
    for identity in callers:
        for text in (value, value + "!"):
            payload = parse_update(msgspec.json.encode(dict.fromkeys(names, text)))

            def update(payload: Any = payload, identity: Identity = identity) -> Statement:
                asked = UpdateQuery(
                    collection="posts", payload=payload.text, columns=payload.columns,
                    parts=parse_parameters(query_string, LIMITS).parts,
                )  # fmt: skip
                return render_write(authorize(resolve_update(asked, resolver(identity)), identity, RULES))

            quick = quick_way(
                lambda payload=payload, identity=identity: kept.update(
                    "posts", query_string, payload, identity, preferences=Preferences(), media=Media(), limits=LIMITS
                )
            )
            if quick is not None:
                assert quick == long_way(update)


# --- by the bytes of a query string ----------------------------------------------------------------------------------

plain_literals = st.text(alphabet="ab1.,:;=()*!?/@\"'~-_{}", max_size=5)
pieces = st.sampled_from(
    "id title select order search cursor in not is or and & & & = = . eq. neq. gt. gte. lt. lte. isdistinct. like. "
    "=eq. =gte. =lt. in.( is.null not.eq. ) , % %61 + 1 a b posts.x ( * = eq views".split(" ")
)
query_strings = st.lists(pieces, max_size=10).map("".join)


def shape_by_text(query: bytes) -> Any:
    try:
        return shape_of(split_query(query, LIMITS), LIMITS)
    except MbaasError:
        return None


@given(query=query_strings, others=st.lists(plain_literals, min_size=10, max_size=10))
@example(query="id=eq.1&title=neq.a&select=id", others=["=eq.2", "&", "", "x"] + ["a"] * 6)
@example(query="select=eq.1&id=eq.2", others=["a"] * 10)
@example(query="search=a&id=eq.2", others=["a"] * 10)
@example(query="id=eq.a%62", others=["a"] * 10)
@few
def test_what_is_left_by_a_cut_decides_the_shape(query: str, others: list[str]) -> None:
    """As ``cut`` promises: where its literals are those of the shape once, they are for all that leave the same."""
    left, literals = cut(query.encode())
    shaped = shape_by_text(query.encode())
    if shaped is None or list(shaped[1]) != [literal.decode() for literal in literals]:
        return
    text, changed = "", iter(others)
    for index, part in enumerate(left):
        text += part.decode() + (next(changed).replace("&", "") if index % 2 else "")
    again, found = cut(text.encode())
    if again == left:
        assert shape_by_text(text.encode()) == (shaped[0], tuple(literal.decode() for literal in found))


def test_what_is_asked_most_is_cut_to_its_shape() -> None:
    for query in (b"id=eq.3f2504e0-4f89-11d3-9a0c-0305e82c3301", b"select=*&views=gte.5&title=neq.a&limit=3"):
        shaped = shape_by_text(query)
        assert shaped is not None
        assert list(shaped[1]) == [literal.decode() for literal in cut(query)[1]] != []
