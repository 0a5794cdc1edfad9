"""Pairing and comparing schemas: pure."""

from __future__ import annotations

import pytest

from mbaas.core.errors import ConfigError
from mbaas.core.schema import changes as c
from mbaas.core.schema.catalog import Catalog, Check, Index, IndexField
from mbaas.core.schema.changes import Change
from mbaas.core.schema.diff import diff
from mbaas.core.schema.naming import object_name
from mbaas.core.schema.pairing import pair
from mbaas.core.schema.table import objects
from mbaas.core.sql.tables import tables
from tests.schemas import catalog, collection, field


def changes(before: Catalog, after: Catalog, *, owned: bool = True) -> list[Change]:
    current = tables(before)
    known = frozenset(item for table in current.values() for item in objects(table))
    return [change for _, change in diff(pair(current, tables(after), owned=known if owned else frozenset()))]


POSTS = collection("posts", field("title", required=True, max_length=200), field("n", "int"))


def test_equal_schemas_differ_in_nothing() -> None:
    assert changes(catalog(POSTS), catalog(POSTS)) == []


def test_rules_and_descriptions_are_no_change_of_schema() -> None:
    described = collection("posts", *POSTS.fields, description="what people write")
    assert changes(catalog(POSTS), catalog(described)) == []


def test_a_declared_rename_keeps_the_table_and_renames_what_is_called_after_it() -> None:
    articles = collection("articles", *POSTS.fields, renamed_from="posts")
    assert changes(catalog(POSTS), catalog(articles)) == [
        c.RenameTable("posts", "articles"),
        c.RenameConstraint("articles", "posts_pkey", "articles_pkey"),
        c.RenameConstraint("articles", "posts_title_check", "articles_title_check"),
    ]


def test_a_rename_is_not_used_when_the_new_name_exists() -> None:
    both = catalog(POSTS, collection("articles", field("title")))
    after = catalog(collection("articles", field("title"), renamed_from="posts"))
    assert changes(both, after) == [c.DropTable("posts")]


def test_who_keeps_the_name_keeps_the_rows() -> None:
    after = catalog(POSTS, collection("articles", field("title"), renamed_from="posts"))
    assert [type(change) for change in changes(catalog(POSTS), after)] == [c.CreateTable]


def test_two_collections_cannot_have_been_the_same_one() -> None:
    after = catalog(collection("a", renamed_from="posts"), collection("b", renamed_from="posts"))
    with pytest.raises(ConfigError, match="two collections say they were 'posts'"):
        changes(catalog(POSTS), after)


def test_a_renamed_field_keeps_its_column() -> None:
    headline = collection("posts", field("headline", required=True, renamed_from="title"), field("n", "int"))
    assert changes(catalog(POSTS), catalog(headline)) == [
        c.RenameColumn("posts", "title", "headline"),
        c.DropConstraint("posts", "posts_title_check"),
    ]


def test_nothing_that_is_not_owned_is_dropped() -> None:
    full = collection(
        "posts",
        *POSTS.fields,
        field("extra", unique=True),
        indexes=(Index(name="by_hand", fields=(IndexField("extra"),)),),
        checks=(Check("positive", "n > 0"),),
    )
    assert changes(catalog(full, collection("other")), catalog(POSTS), owned=False) == []
    kinds = {type(change) for change in changes(catalog(full, collection("other")), catalog(POSTS))}
    assert kinds == {c.DropColumn, c.DropConstraint, c.DropIndex, c.DropTable}


def test_what_stands_on_a_retyped_column_is_made_anew() -> None:
    before = catalog(
        collection("users", field("id", "int"), field("age", "int", minimum="0")),
        collection("posts", field("author", "int", references="users")),
    )
    after = catalog(
        collection("users", field("id", "bigint"), field("age", "int", minimum="0")),
        collection("posts", field("author", "bigint", references="users")),
    )
    assert [type(change) for change in changes(before, after)] == [
        c.DropConstraint,  # the foreign key, before either side changes
        c.ChangeType,
        c.ChangeType,
        c.AddForeign,
    ]


def test_a_check_that_says_something_else_is_replaced_not_dropped_first() -> None:
    longer = collection("posts", field("title", required=True, max_length=300), field("n", "int"))
    (change,) = changes(catalog(POSTS), catalog(longer))
    assert isinstance(change, c.AddCheck)
    assert change.replaces


def test_an_index_renamed_is_not_built_again() -> None:
    def indexed(name: str) -> Catalog:
        index = Index(name=name, fields=(IndexField("n", descending=True),))
        return catalog(collection("posts", *POSTS.fields, indexes=(index,)))

    assert changes(indexed("old"), indexed("new")) == [c.RenameIndex("posts", "old", "new")]


def test_a_dropped_table_makes_room_first_when_a_new_one_takes_a_name_of_its_own() -> None:
    def indexed(name: str) -> Catalog:
        return catalog(collection(name, field("n"), indexes=(Index(name="by_n", fields=(IndexField("n"),)),)))

    assert [type(change) for change in changes(indexed("a"), indexed("b"))] == [c.DropTable, c.CreateTable]


@pytest.mark.parametrize(
    ("table", "column", "label", "expected"),
    [
        ("posts", "slug", "key", "posts_slug_key"),
        ("posts", None, "pkey", "posts_pkey"),
        ("t" * 63, "c" * 63, "fkey", "t" * 29 + "_" + "c" * 28 + "_fkey"),
        ("t" * 63, "c", "check", "t" * 55 + "_c_check"),
        ("ü" * 31, "c", "key", "ü" * 28 + "_c_key"),
    ],
)
def test_names_are_those_postgresql_would_choose(table: str, column: str | None, label: str, expected: str) -> None:
    assert object_name(table, column, label) == expected


def test_two_indexes_of_one_name_are_refused_with_both_tables_named() -> None:
    clash = catalog(collection("post", field("tag_id", unique=True)), collection("post_tag", field("id_", unique=True)))
    assert tables(clash)
    clash = catalog(collection("a_b", field("c", unique=True)), collection("a", field("b_c", unique=True)))
    with pytest.raises(ConfigError, match=r"a_b and a both need .*'a_b_c_key'"):
        tables(clash)


@pytest.mark.parametrize("name", ["", "x" * 64, "a.b", "nul\0"])
def test_a_name_postgresql_cannot_hold_is_refused(name: str) -> None:
    with pytest.raises(ConfigError):
        tables(catalog(collection(name)))


def test_an_index_of_a_field_that_is_not_there_is_refused() -> None:
    with pytest.raises(ConfigError, match="index by_m needs the field 'm'"):
        tables(catalog(collection("posts", indexes=(Index(name="by_m", fields=(IndexField("m"),)),))))
