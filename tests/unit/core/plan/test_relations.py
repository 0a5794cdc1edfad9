"""Relations: each cardinality, each way to name one, what is ambiguous, and what leads nowhere."""

from __future__ import annotations

import pytest

from mbaas.core.plan.relations import Relation, find_relations, index_relations
from mbaas.core.plan.visible import visible
from mbaas.core.query.errors import AmbiguousRelationship, NoRelationship
from mbaas.core.schema.catalog import Catalog, Collection, Field, Function, Index, IndexField, Reference, Rules
from mbaas.core.schema.types import parse_type

UUID = parse_type("uuid")
OPEN = Rules(select="true")


def link(
    name: str, to: str, *, unique: bool = False, hidden: bool = False, columns: tuple[str, ...] = ("id",)
) -> Field:
    return Field(name=name, type=UUID, unique=unique, hidden=hidden, references=Reference(table=to, columns=columns))


def collection(
    name: str, *fields: Field, key: tuple[str, ...] = ("id",), indexes: tuple[Index, ...] = ()
) -> Collection:
    own = () if any(field.name == "id" for field in fields) else (Field(name="id", type=UUID),)
    return Collection(name=name, key=key, fields=(*own, *fields), indexes=indexes, rules=OPEN)


def unique(name: str, *columns: str, where: str | None = None) -> Index:
    return Index(name=name, fields=tuple(map(IndexField, columns)), unique=True, where=where)


CATALOG = Catalog(
    collections={
        item.name: item
        for item in (
            collection("profiles", link("id", "auth.users")),
            collection("posts", link("author", "profiles"), link("secret_owner", "profiles", hidden=True)),
            collection("comments", link("post", "posts"), link("writer", "profiles", columns=())),
            collection("post_stats", link("post", "posts", unique=True)),
            collection("tags"),
            collection("posts_tags", link("post", "posts"), link("tag", "tags"), key=("post", "tag")),
            collection("messages", link("sender", "profiles"), link("receiver", "profiles")),
            collection("nodes", link("parent", "nodes")),
            collection("people"),
            collection("follows", link("follower", "people"), link("followed", "people"), key=("follower", "followed")),
            collection("teams"),
            collection(
                "members", link("team", "teams"), link("person", "people"), indexes=(unique("m", "team", "person"),)
            ),
            collection(
                "halves", link("team", "teams"), link("tag", "tags"), indexes=(unique("h", "team", "tag", where="x"),)
            ),
            collection("reviews", link("post", "posts"), link("tag", "tags"), indexes=(unique("r", "post", "tag"),)),
        )
    }
)
RELATIONS = index_relations(CATALOG)

FOUND = [
    ("posts", "profiles", "posts_author_fkey", "many-to-one", (("author", "id"),)),
    ("posts", "profiles", "author", "many-to-one", (("author", "id"),)),
    ("posts", "author", None, "many-to-one", (("author", "id"),)),
    ("posts", "posts_author_fkey", None, "many-to-one", (("author", "id"),)),
    ("profiles", "posts", "author", "one-to-many", (("id", "author"),)),
    ("profiles", "posts_author_fkey", None, "one-to-many", (("id", "author"),)),
    ("comments", "posts", None, "many-to-one", (("post", "id"),)),
    ("comments", "post", None, "many-to-one", (("post", "id"),)),
    ("comments", "posts", "id", "many-to-one", (("post", "id"),)),
    ("comments", "profiles", None, "many-to-one", (("writer", "id"),)),
    ("posts", "comments", None, "one-to-many", (("id", "post"),)),
    ("posts", "post_stats", None, "one-to-one", (("id", "post"),)),
    ("post_stats", "posts", None, "one-to-one", (("post", "id"),)),
    ("posts", "tags", "posts_tags", "many-to-many", ()),
    ("tags", "posts", "posts_tags", "many-to-many", ()),
    ("tags", "posts", "posts_tags_tag_fkey", "many-to-many", ()),
    ("posts", "posts_tags", None, "one-to-many", (("id", "post"),)),
    ("messages", "profiles", "messages_sender_fkey", "many-to-one", (("sender", "id"),)),
    ("messages", "sender", None, "many-to-one", (("sender", "id"),)),
    ("messages", "receiver", None, "many-to-one", (("receiver", "id"),)),
    ("profiles", "messages", "receiver", "one-to-many", (("id", "receiver"),)),
    ("nodes", "parent", None, "many-to-one", (("parent", "id"),)),
    ("nodes", "nodes", None, "one-to-many", (("id", "parent"),)),
    ("nodes", "nodes", "parent", "one-to-many", (("id", "parent"),)),
    ("nodes", "nodes", "nodes_parent_fkey", "one-to-many", (("id", "parent"),)),
    ("teams", "people", None, "many-to-many", ()),
    ("people", "teams", "members", "many-to-many", ()),
    ("people", "people", "follows_followed_fkey", "many-to-many", ()),
    ("people", "people", "follower", "many-to-many", ()),
]


@pytest.mark.parametrize(("source", "target", "hint", "cardinality", "columns"), FOUND)
def test_a_relation_is_found(
    source: str, target: str, hint: str | None, cardinality: str, columns: tuple[tuple[str, str], ...]
) -> None:
    found = RELATIONS.find(source, target, hint)
    assert (found.source, found.cardinality, found.columns) == (source, cardinality, columns)
    assert found.to_one == (cardinality in ("many-to-one", "one-to-one"))
    assert find_relations(CATALOG, source, target, hint) == found


def test_a_junction_says_how_to_get_across() -> None:
    junction = RELATIONS.find("posts", "tags", "posts_tags").junction
    assert junction is not None
    assert (junction.collection, junction.key) == ("posts_tags", True)
    assert (junction.source_key, junction.source_columns) == ("posts_tags_post_fkey", (("id", "post"),))
    assert (junction.target_key, junction.target_columns) == ("posts_tags_tag_fkey", (("tag", "id"),))


def test_the_key_of_a_junction_to_itself_says_which_end_is_meant() -> None:
    followed = RELATIONS.find("people", "people", "follows_followed_fkey").junction
    follower = RELATIONS.find("people", "people", "follows_follower_fkey").junction
    assert followed is not None
    assert follower is not None
    assert (followed.source_columns, followed.target_columns) == ((("id", "follower"),), (("followed", "id"),))
    assert (follower.source_columns, follower.target_columns) == ((("id", "followed"),), (("follower", "id"),))


def test_a_junction_by_a_unique_set_gives_way_to_one_by_its_key() -> None:
    found = RELATIONS.find("posts", "tags")
    assert found.constraint == "posts_tags"
    assert RELATIONS.find("posts", "tags", "reviews").constraint == "reviews"


@pytest.mark.parametrize(
    ("source", "target", "hint"),
    [
        ("posts", "nope", None),
        ("posts", "profiles", "nope"),
        ("posts", "teams", None),
        ("nope", "posts", None),
        ("posts", "auth.users", None),
        ("posts", "users", None),
        ("profiles", "auth.users", "id"),
        ("profiles", "id", None),
        ("profiles", "profiles_id_fkey", None),
        ("teams", "tags", None),
        ("nodes", "nodes", "id"),
        ("nodes", "nodes_parent_fkey", None),
        ("posts", "Profiles", None),
        ("posts", "profiles; drop table posts", "--"),
        ("posts", "x" * 100_000, None),
    ],
)
def test_what_leads_nowhere_is_said_so(source: str, target: str, hint: str | None) -> None:
    with pytest.raises(NoRelationship) as refused:
        RELATIONS.find(source, target, hint)
    assert (
        refused.value.message == f"Could not find a relationship between '{source}' and '{target}' in the schema cache"
    )
    using = f" using the hint '{hint}'" if hint else ""
    assert refused.value.details == (
        f"Searched for a foreign key relationship between '{source}' and '{target}'{using} in the schema 'public', "
        "but no matches were found."
    )


def test_a_slip_of_the_pen_gets_a_suggestion() -> None:
    with pytest.raises(NoRelationship) as refused:
        RELATIONS.find("posts", "comment")
    assert refused.value.hint == "Perhaps you meant 'comments' instead of 'comment'."


def test_two_ways_are_described_and_spelled_out() -> None:
    with pytest.raises(AmbiguousRelationship) as refused:
        RELATIONS.find("messages", "profiles")
    assert refused.value.message == (
        "Could not embed because more than one relationship was found for 'messages' and 'profiles'"
    )
    assert refused.value.details == [
        {
            "cardinality": "many-to-one",
            "embedding": "messages with profiles",
            "relationship": f"messages_{column}_fkey using messages({column}) and profiles(id)",
        }
        for column in ("sender", "receiver")
    ]
    assert refused.value.hint == (
        "Try changing 'profiles' to one of the following: 'profiles!messages_sender_fkey', "
        "'profiles!messages_receiver_fkey'. Find the desired relationship in the 'details' key."
    )


def test_two_ways_through_one_junction_are_told_apart_by_its_keys() -> None:
    for hint in (None, "follows"):
        with pytest.raises(AmbiguousRelationship) as refused:
            RELATIONS.find("people", "people", hint)
        assert refused.value.details[0] == {
            "cardinality": "many-to-many",
            "embedding": "people with people",
            "relationship": "follows using follows_follower_fkey(follower) and follows_followed_fkey(followed)",
        }
        assert "'people!follows_followed_fkey', 'people!follows_follower_fkey'" in str(refused.value.hint)


@pytest.mark.parametrize("source", CATALOG.collections)
def test_every_spelling_that_is_suggested_is_understood(source: str) -> None:
    for target in CATALOG.collections:
        try:
            RELATIONS.find(source, target)
        except AmbiguousRelationship as refused:
            for spelling in str(refused.hint).split("'")[3::2]:
                if "!" in spelling:
                    assert RELATIONS.find(source, *spelling.split("!")).source == source
        except NoRelationship:
            continue


def test_nothing_leads_out_of_the_catalog() -> None:
    every = [relation for source in CATALOG.collections for relation in RELATIONS.of(source)]
    assert {relation.source for relation in every} | {relation.target for relation in every} <= set(CATALOG.collections)
    assert all(isinstance(relation, Relation) for relation in every)


def test_a_key_of_several_columns_is_one_way() -> None:
    wide = collection("wide", Field(name="a", type=UUID), Field(name="b", type=UUID), key=("a", "b"))
    catalog = Catalog(collections={"wide": wide, "other": collection("other", link("w", "wide", columns=("a",)))})
    assert index_relations(catalog).find("other", "wide").columns == (("w", "a"),)


def test_a_hidden_key_leads_nowhere_for_those_who_do_not_see_it() -> None:
    seen = index_relations(visible(CATALOG, "authenticated"))
    assert RELATIONS.find("posts", "secret_owner").target == "profiles"
    with pytest.raises(NoRelationship):
        seen.find("posts", "secret_owner")
    assert seen.find("posts", "profiles").constraint == "posts_author_fkey"
    with pytest.raises(AmbiguousRelationship):
        RELATIONS.find("posts", "profiles")


def test_a_role_knows_what_it_may_reach() -> None:
    closed = Collection(name="closed", key=("id",), fields=(Field(name="id", type=UUID),))
    catalog = Catalog(
        collections={**CATALOG.collections, "closed": closed},
        functions=(Function(name="f", execute=("anon",)), Function(name="g")),
    )
    anon = visible(catalog, "anon")
    assert "closed" not in anon.collections
    assert [function.name for function in anon.functions] == ["f"]
    assert visible(catalog, "service_role") == catalog
