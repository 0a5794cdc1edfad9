"""Hypothesis strategies for requests: parts that a caller may ask for, and texts that a hostile one may send."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from mbaas.core.query.filters import IS_VALUES, PLAIN, QUANTIFIED, TEXT_SEARCH
from mbaas.core.query.types import (
    ColumnItem,
    Condition,
    CountItem,
    EmbedItem,
    EmbedPath,
    Filter,
    Logic,
    OrderTerm,
    Path,
    ReadParts,
    SelectItem,
    Star,
    Window,
)

# What PostgreSQL can hold: no NUL, no half of a surrogate pair.
texts = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=12)
special = st.sampled_from(
    'a.b|a b| a|a"b|a\\|a-b|->|::|()|...|é|x:y|a,b|1|null|--|/*|pg_sleep(9)|*'.split("|")
    + "select order or and not limit count inner left".split()
)
names = st.one_of(st.sampled_from(["id", "title", "author", "views"]), special, texts.filter(bool))
values = st.one_of(st.sampled_from(["", "1", "a,b", "(x)", '"q"', "{a,b}", "null", "not.eq.1", " a "]), special, texts)
types = st.sampled_from(["text", "int", "timestamp with time zone", "numeric"])

steps = st.lists(
    st.one_of(st.integers(-(2**31) + 1, 2**31 - 1), st.sampled_from(["a", "0", "-1", "a.b", ""]), texts), max_size=3
)


@st.composite
def paths(draw: st.DrawFn) -> Path:
    keys = draw(steps)
    last = draw(st.booleans())
    return Path(draw(names), tuple((key, last and at == len(keys) - 1) for at, key in enumerate(keys)))


@st.composite
def conditions(draw: st.DrawFn) -> Condition:
    operator = draw(st.sampled_from(sorted(PLAIN | TEXT_SEARCH | {"in", "is"})))
    more: dict[str, Any] = {}
    value: str | tuple[str | None, ...] = draw(values)
    if operator == "in":
        value = tuple(draw(st.lists(values, max_size=3)))
    elif operator == "is":
        value = draw(st.sampled_from(sorted(IS_VALUES)))
    elif operator in TEXT_SEARCH:
        more["config"] = draw(st.sampled_from([None, "english", "simple"]))
    elif operator in QUANTIFIED and draw(st.booleans()):
        more["quantifier"] = draw(st.sampled_from(["any", "all"]))
        value = tuple(draw(st.lists(st.one_of(st.none(), values), max_size=3)))
    return Condition(draw(paths()), operator, value, draw(st.booleans()), **more)


filters: st.SearchStrategy[Filter] = st.recursive(
    conditions(),
    lambda inner: st.builds(
        Logic, st.sampled_from(["and", "or"]), st.lists(inner, min_size=1, max_size=3).map(tuple), st.booleans()
    ),
    max_leaves=6,
)


@st.composite
def columns(draw: st.DrawFn) -> ColumnItem:
    aggregate = draw(st.sampled_from([None, None, "sum", "avg", "min", "max", "count"]))
    return ColumnItem(
        draw(paths()),
        draw(st.none() | names),
        draw(st.none() | types),
        aggregate,  # type: ignore[arg-type]
        draw(types) if aggregate and draw(st.booleans()) else None,
    )


@st.composite
def embeds(draw: st.DrawFn, inner: st.SearchStrategy[SelectItem]) -> EmbedItem:
    spread = draw(st.booleans())
    return EmbedItem(
        draw(names),
        tuple(draw(st.lists(inner, max_size=3))),
        alias=None if spread else draw(st.none() | names),
        hint=draw(st.none() | names),
        inner=draw(st.booleans()),
        spread=spread,
    )


select_items: st.SearchStrategy[SelectItem] = st.recursive(
    st.one_of(st.just(Star()), columns(), st.builds(CountItem, st.none() | names, st.none() | types)),
    embeds,
    max_leaves=6,
)
order_terms = st.builds(OrderTerm, paths(), st.none() | names, st.booleans(), st.sampled_from([None, "first", "last"]))
embed_paths: st.SearchStrategy[EmbedPath] = st.lists(names, max_size=2).map(tuple)
windows = st.builds(Window, st.none() | st.integers(0, 2**63 - 1), st.integers(0, 2**63 - 1))

read_parts = st.builds(
    ReadParts,
    select=st.lists(select_items, max_size=4).map(tuple),
    filters=st.lists(st.tuples(embed_paths, filters), max_size=3).map(tuple),
    order=st.dictionaries(embed_paths, st.lists(order_terms, min_size=1, max_size=3).map(tuple), max_size=2),
    windows=st.dictionaries(embed_paths, windows, max_size=2),
)

# Pieces of the grammar in any order: deeper into the parsers than plain random text comes.
pieces = st.sampled_from(
    list("()[]{}\"',.:;!*&=%+-> \t\n\\/#@|\0\x7f٣\ud800")
    + "-> ->> :: ... () in.( eq. not. or=( and( select= order= limit= %00 %ff is.null (any) wfts(english).".split()
    + "!inner count() .sum() -- /* null 1e400 NaN".split()
)
hostile = st.lists(st.one_of(pieces, st.text(max_size=4)), max_size=30).map("".join)
