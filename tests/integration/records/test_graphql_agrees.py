"""A random selection gives the rows that the same selection gives in REST, at every level, to every caller."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import SOAK
from tests.integration.records.conftest import Api

AS_TEXT = {"rating", "meta", "period", "comment_id"}
FIELDS = {
    "profiles": ["username", "phone", "plan", "boss"],
    "posts": ["title", "views", "rating", "tags", "meta", "period", "published", "created_at"],
    "comments": ["body", "private", "post"],
    "posts_tags": ["post", "tag"],
    "tags": ["name", "id"],
    "post_stats": ["likes", "post"],
}
KEYS = {"posts_tags": ["post", "tag"], "post_stats": ["post"]}
# By collection: field in GraphQL, the same in REST, where it leads, whether to one.
LINKS = {
    "profiles": [
        ("profiles", "boss", "profiles", True),
        ("postsCollectionBy_author", "posts!posts_author_fkey", "posts", False),
        ("postsCollectionBy_editor", "posts!posts_editor_fkey", "posts", False),
        ("commentsCollection", "comments", "comments", False),
    ],
    "posts": [
        ("profilesBy_author", "profiles!posts_author_fkey", "profiles", True),
        ("profilesBy_editor", "profiles!posts_editor_fkey", "profiles", True),
        ("commentsCollection", "comments", "comments", False),
        ("posts_tagsCollection", "posts_tags", "posts_tags", False),
        ("post_stats", "post_stats", "post_stats", True),
    ],
    "comments": [("posts", "posts", "posts", True), ("profiles", "profiles", "profiles", True)],
    "posts_tags": [("posts", "posts", "posts", True), ("tags", "tags", "tags", True)],
    "tags": [("posts_tagsCollection", "posts_tags", "posts_tags", False)],
    "post_stats": [("posts", "posts", "posts", True)],
}
FILTERS = {
    "posts": [("{views: {gte: 20}}", "views=gte.20"), ("{rating: {is: NULL}}", "rating=is.null"),
              ('{tags: {contains: ["red"]}}', "tags=cs.{red}")],
    "profiles": [('{phone: {like: "+%"}}', "phone=like.+*"), ('{username: {neq: "ben"}}', "username=neq.ben")],
    "comments": [("{private: {eq: true}}", "private=eq.true")],
}  # fmt: skip


class Level(msgspec.Struct, frozen=True):
    """What is selected of a collection, and of which rows."""

    collection: str
    fields: tuple[str, ...]
    links: tuple[tuple[int, Any], ...]
    first: int
    order: tuple[str, bool, bool] | None
    filter: int | None
    to_one: bool = False


def levels(collection: str, depth: int, *, to_one: bool = False) -> st.SearchStrategy[Level]:
    links: st.SearchStrategy[Any] = st.just(())
    if depth > 1:
        links = st.lists(
            st.sampled_from(range(len(LINKS[collection]))), max_size=2, unique=True
        ).flatmap(
            lambda chosen: st.tuples(
                *(
                    st.tuples(st.just(n), levels(LINKS[collection][n][2], depth - 1, to_one=LINKS[collection][n][3]))
                    for n in chosen
                )
            )
        )  # fmt: skip
    orderable = [name for name in FIELDS[collection] if name not in ("tags", "meta", "period")]
    filters = st.none() | st.sampled_from(range(len(FILTERS[collection]))) if collection in FILTERS else st.none()
    return st.builds(
        Level,
        collection=st.just(collection),
        fields=st.lists(st.sampled_from(FIELDS[collection]), min_size=1, max_size=4, unique=True).map(tuple),
        links=links,
        first=st.integers(0, 4),
        order=st.none() | st.tuples(st.sampled_from(orderable), st.booleans(), st.booleans()),
        filter=filters,
        to_one=st.just(to_one),
    )


def arguments(level: Level) -> str:
    said = [f"first: {level.first}"]
    if level.order is not None:
        name, descending, first = level.order
        said.append(f"orderBy: [{{{name}: {'Desc' if descending else 'Asc'}Nulls{'First' if first else 'Last'}}}]")
    if level.filter is not None:
        said.append(f"filter: {FILTERS[level.collection][level.filter][0]}")
    return f"({', '.join(said)})"


def as_graphql(level: Level) -> str:
    inner = [*level.fields]
    for number, below in level.links:
        name = LINKS[level.collection][number][0]
        inner.append(f"l{number}: {name}{'' if below.to_one else arguments(below)} {as_graphql(below)}")
    node = "{ " + " ".join(inner) + " }"
    return node if level.to_one else f"{{ totalCount edges {{ node {node} }} }}"


def as_rest(level: Level, path: str = "") -> tuple[str, list[str]]:
    """The items of ``select``, and the other parameters."""
    items = [f"{name}:{name}::text" if name in AS_TEXT else name for name in level.fields]
    more: list[str] = []
    if not level.to_one:
        terms = [] if level.order is None else [
            f"{level.order[0]}.{'desc' if level.order[1] else 'asc'}.nulls{'first' if level.order[2] else 'last'}"
        ]  # fmt: skip
        more.append(f"{path}order={','.join([*terms, *KEYS.get(level.collection, ['id'])])}")
        more.append(f"{path}limit={level.first}")
        if level.filter is not None:
            more.append(path + FILTERS[level.collection][level.filter][1].replace("+", "%2B"))
    for number, below in level.links:
        inner, further = as_rest(below, f"{path}l{number}.")
        items.append(f"l{number}:{LINKS[level.collection][number][1]}({inner})")
        more += further
    return ",".join(items), more


def plain(level: Level, found: Any) -> Any:
    """An answer of GraphQL in the form of REST."""
    if found is None:
        return None
    if not level.to_one:
        return [record(level, edge["node"]) for edge in found["edges"]]
    return record(level, found)


def record(level: Level, found: dict[str, Any]) -> dict[str, Any]:
    links = dict(level.links)
    return {
        key: plain(links[int(key[1:])], value) if key[0] == "l" and key[1:].isdigit() else value
        for key, value in found.items()
    }


@settings(
    max_examples=400 if SOAK else 40, deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
@given(
    level=st.sampled_from(["posts", "profiles", "comments", "tags"]).flatmap(lambda name: levels(name, 4)),
    by=st.sampled_from(["anon", "ana", "ben", "service"]),
)
async def test_a_selection_gives_the_rows_it_gives_in_rest(reading: Api, level: Level, by: str) -> None:
    name = level.collection
    found = await reading.data(f"{{ {name}Collection{arguments(level)} {as_graphql(level)} }}", by)
    select, more = as_rest(level)
    answer = await reading("GET", f"/{name}?select={select}&{'&'.join(more)}", by, prefer="count=exact")
    assert answer.status_code in (200, 206), answer.text
    assert plain(level, found[f"{name}Collection"]) == answer.json()
    assert found[f"{name}Collection"]["totalCount"] == int(answer.headers["content-range"].partition("/")[2])
