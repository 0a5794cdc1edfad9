"""What a collection becomes: fields, keys, references, relations, indexes and what comes by itself."""

from __future__ import annotations

import pytest

from mbaas.core.schema.catalog import Check, Index, IndexField, Reference, Rules
from mbaas.core.schema.types import SCALARS
from tests.unit.config.project import Project

HEAD = "[collections.posts.fields]\n"
TWO = "[collections.users.fields]\nname = { type = 'text', unique = true }\n"


@pytest.mark.parametrize("name", sorted(SCALARS.keys() - {"vector"}))
def test_every_type_is_a_column_alone_and_in_an_array(project: Project, name: str) -> None:
    values = ", values = ['a']" if name == "enum" else ""
    assert project.field(f"{{ type = '{name}'{values} }}").type.sql == SCALARS[name]
    assert project.field(f"{{ type = '{name}[]'{values} }}").type.sql == SCALARS[name] + "[]"


def test_a_numeric_has_digits(project: Project) -> None:
    assert project.field("{ type = 'numeric(10,2)' }").type.sql == "numeric(10,2)"
    assert project.field("{ type = 'numeric(5)[]' }").type.sql == "numeric(5,0)[]"


def test_id_and_stamps_come_by_themselves(project: Project) -> None:
    posts = project.collection(HEAD + "title = { type = 'text' }\n")
    assert [field.name for field in posts.fields] == ["id", "title", "created_at", "updated_at"]
    assert posts.key == ("id",)
    key, _, created, updated = posts.fields
    assert (key.type.sql, key.default, key.required, key.managed) == ("uuid", "mbaas.uuidv7()", True, False)
    for stamp in (created, updated):
        assert (stamp.default, stamp.required, stamp.managed) == ("now()", True, True)


def test_an_empty_collection_is_one_of_ids(project: Project) -> None:
    assert [field.name for field in project.collection("[collections.posts]\n").fields] == [
        "id",
        "created_at",
        "updated_at",
    ]


def test_stamps_can_be_left_out_or_declared(project: Project) -> None:
    none = project.collection("[collections.posts]\ntimestamps = false\n")
    assert [field.name for field in none.fields] == ["id"]
    own = project.collection(HEAD + "created_at = { type = 'date' }\n").field("created_at")
    assert own is not None
    assert (own.type.sql, own.managed) == ("date", False)


def test_sync_adds_its_two_fields(project: Project) -> None:
    posts = project.collection("[collections.posts]\nsync = true\ntimestamps = false\n")
    assert posts.sync
    modified, deleted = posts.fields[1:]
    assert (modified.name, modified.type.sql, modified.managed) == ("_modified", "timestamp with time zone", True)
    assert (deleted.name, deleted.type.sql, deleted.default, deleted.managed) == ("_deleted", "boolean", "false", False)


def test_a_natural_key_replaces_id(project: Project) -> None:
    tags = project.collection("[collections.tags.fields]\nname = { type = 'text', key = true }\n", "tags")
    assert tags.key == ("name",)
    assert tags.field("id") is None
    assert tags.fields[0].required


def test_a_key_may_have_several_fields(project: Project) -> None:
    seats = project.collection(
        "[collections.seats.fields]\nrow = { type = 'int', key = true }\nnumber = { type = 'int', key = true }\n",
        "seats",
    )
    assert seats.key == ("row", "number")


def test_a_key_may_count(project: Project) -> None:
    posts = project.collection(HEAD + "id = { type = 'bigint', key = true, identity = true }\n")
    key = posts.field("id")
    assert key is not None
    assert (posts.key, key.identity, key.default, key.required) == (("id",), True, None, True)


def test_a_generated_field_is_managed(project: Project) -> None:
    field = project.field("{ type = 'text', generated = \"lower('A')\" }")
    assert (field.generated, field.managed, field.default) == ("lower('A')", True, None)


DEFAULTS = {
    "text": ("text", '"it\'s"', "'it''s'"),
    "text that looks like a call": ("text", '"now()"', "'now()'"),
    "empty text": ("text", '""', "''"),
    "an expression": ("text", "{ sql = \"upper('a')\" }", "upper('a')"),
    "an enum": ("enum", '"a"', "'a'"),
    "a url": ("url", '"https://a.example"', "'https://a.example'"),
    "an int": ("int", "-3", "-3"),
    "an int in quotes": ("bigint", '"3"', "'3'::bigint"),
    "a float": ("float", "0.5", "0.5"),
    "a whole float": ("float", "2", "2"),
    "no number": ("float", "nan", "'nan'::double precision"),
    "a number without end": ("float", "-inf", "'-inf'::double precision"),
    "an exact decimal": ("numeric(10,2)", '"10.00"', "'10.00'::numeric(10,2)"),
    "an array of an enum": ("enum[]", "['a']", "'{\"a\"}'::text[]"),
    "true": ("bool", "true", "true"),
    "a call of no arguments": ("timestamptz", '"now()"', "now()"),
    "a call in a schema": ("uuid", '"auth.uid()"', "auth.uid()"),
    "a word of SQL": ("date", '"current_date"', "current_date"),
    "a uuid": (
        "uuid",
        '"00000000-0000-4000-8000-000000000000"',
        "'00000000-0000-4000-8000-000000000000'::uuid",
    ),
    "a moment": (
        "timestamptz",
        "2026-01-31T12:00:00Z",
        "'2026-01-31T12:00:00+00:00'::timestamp with time zone",
    ),
    "a day": ("date", "2026-01-31", "'2026-01-31'::date"),
    "a day as a moment": ("timestamptz", "2026-01-31", "'2026-01-31'::timestamp with time zone"),
    "a time": ("time", "07:32:00", "'07:32:00'::time without time zone"),
    "an interval": ("interval", '"1 day"', "'1 day'::interval"),
    "a range": ("int4range", '"[1,5)"', "'[1,5)'::int4range"),
    "an empty array": ("text[]", "[]", "'{}'::text[]"),
    "an array of texts": (
        "text[]",
        r"""['a "b"', 'c\d', "it's"]""",
        r""" E'{"a \\"b\\"","c\\\\d","it''s"}'::text[]""",
    ),
    "an array of numbers": ("int[]", "[1, 2]", '\'{"1","2"}\'::integer[]'),
    "an array of bools": ("bool[]", "[true, false]", '\'{"true","false"}\'::boolean[]'),
    "an array of days": ("date[]", "[2026-01-31]", "'{\"2026-01-31\"}'::date[]"),
    "an array of arrays": ("int[]", "[[1, 2], [3, 4]]", '\'{{"1","2"},{"3","4"}}\'::integer[]'),
    "an empty object": ("json", "{}", "'{}'::jsonb"),
    "nested json": (
        "json",
        """{ a = [1, { b = "it's" }] }""",
        """'{"a":[1,{"b":"it''s"}]}'::jsonb""",
    ),
    "a json list": ("json", "[1, 'a']", "'[1,\"a\"]'::jsonb"),
    "a json text": ("json", "'now()'", "'\"now()\"'::jsonb"),
}


@pytest.mark.parametrize(("type", "given", "sql"), DEFAULTS.values(), ids=DEFAULTS)
def test_a_default_becomes_sql(project: Project, type: str, given: str, sql: str) -> None:
    values = ", values = ['a']" if type.startswith("enum") else ""
    assert project.field(f"{{ type = '{type}', default = {given}{values} }}").default == sql


def test_limits_are_kept_as_text(project: Project) -> None:
    field = project.field("{ type = 'int', min = 0, max = 5 }")
    assert (field.minimum, field.maximum) == ("0", "5")
    field = project.field("{ type = 'date', min = 2026-01-31 }")
    assert (field.minimum, field.maximum) == ("2026-01-31", None)


def test_what_else_a_field_says_is_kept(project: Project) -> None:
    field = project.field(
        "{ type = 'text', required = true, unique = true, min_length = 1, max_length = 9, pattern = '^a', hidden = true,"
        " read = 'true', write = 'false', renamed_from = 'old', description = 'words' }"
    )
    assert (field.required, field.unique, field.hidden) == (True, True, True)
    assert (field.min_length, field.max_length, field.pattern) == (1, 9, "^a")
    assert (field.read, field.write, field.renamed_from, field.description) == ("true", "false", "old", "words")


def test_what_else_a_collection_says_is_kept(project: Project) -> None:
    posts = project.collection(
        "[collections.posts]\nrealtime = true\naudit = true\nrenamed_from = 'articles'\ndescription = 'words'\n"
        "[collections.posts.rules]\nselect = 'true'\n[collections.posts.checks]\norder_of = 'created_at <= updated_at'\n"
    )
    assert (posts.realtime, posts.audit, posts.renamed_from, posts.description) == (True, True, "articles", "words")
    assert posts.rules == Rules(select="true")
    assert posts.checks == (Check("posts_order_of_check", "created_at <= updated_at"),)


# --- references ----------------------------------------------------------------------------------------------------------

REFERENCES = {
    "a collection": ("references = 'users'", Reference(table="users", columns=("id",)), "uuid"),
    "the accounts": ("references = 'auth.users'", Reference(table="auth.users", columns=("id",)), "uuid"),
    "the accounts' id": ("references = 'auth.users.id'", Reference(table="auth.users", columns=("id",)), "uuid"),
    "a unique field": ("references = 'users.name'", Reference(table="users", columns=("name",)), "text"),
    "itself": (
        "references = 'posts', on_delete = 'cascade'",
        Reference(table="posts", columns=("id",), on_delete="cascade"),
        "uuid",
    ),
    "with its type written": ("references = 'users', type = 'uuid'", Reference(table="users", columns=("id",)), "uuid"),
}


@pytest.mark.parametrize(("inline", "reference", "sql"), REFERENCES.values(), ids=REFERENCES)
def test_a_reference_has_the_type_of_its_target(project: Project, inline: str, reference: Reference, sql: str) -> None:
    posts = project.collection(f"{TWO}{HEAD}it = {{ {inline} }}\n")
    field = posts.field("it")
    assert field is not None
    assert (field.references, field.type.sql) == (reference, sql)
    assert posts.indexes == (Index(name="posts_it_idx", fields=(IndexField("it"),)),)


def test_a_reference_to_a_reference_has_the_type_at_the_end(project: Project) -> None:
    text = (
        "[collections.a.fields]\ncode = { type = 'email', key = true }\n"
        "[collections.b.fields]\na = { key = true, references = 'a' }\n[collections.c.fields]\nb = { references = 'b' }\n"
    )
    field = project.collection(text, "c").field("b")
    assert field is not None
    assert field.type.name == "text"


def test_two_references_to_one_collection_stand_side_by_side(project: Project) -> None:
    posts = project.collection(TWO + HEAD + "author = { references = 'users' }\neditor = { references = 'users' }\n")
    assert [key.name for key in posts.foreign_keys] == ["posts_author_fkey", "posts_editor_fkey"]
    assert [index.name for index in posts.indexes] == ["posts_author_idx", "posts_editor_idx"]


@pytest.mark.parametrize(
    "more",
    [
        "author = { references = 'users', unique = true }",
        "author = { references = 'users', key = true }",
        "author = { references = 'users' }\n[[collections.posts.indexes]]\nname = 'own'\nfields = ['author', '-created_at']",
    ],
    ids=["unique", "key", "an index of its own"],
)
def test_a_reference_that_is_led_by_another_index_gets_none(project: Project, more: str) -> None:
    names = [index.name for index in project.collection(f"{TWO}{HEAD}{more}\n").indexes]
    assert names in ([], ["own"])


def test_a_partial_index_does_not_serve_a_reference(project: Project) -> None:
    more = "[[collections.posts.indexes]]\nname = 'own'\nfields = ['author']\nwhere = 'author is not null'\n"
    posts = project.collection(TWO + HEAD + "author = { references = 'users' }\n" + more)
    assert [index.name for index in posts.indexes] == ["own", "posts_author_idx"]


def test_an_index_is_named_by_its_fields(project: Project) -> None:
    posts = project.collection(
        HEAD + "title = { type = 'text' }\n[[collections.posts.indexes]]\nfields = ['title', '-created_at']\n"
        "[[collections.posts.indexes]]\nfields = ['title']\nunique = true\nmethod = 'btree'\nwhere = 'true'\n"
    )
    assert posts.indexes == (
        Index(name="posts_title_created_at_idx", fields=(IndexField("title"), IndexField("created_at", True))),
        Index(name="posts_title_key", fields=(IndexField("title"),), unique=True, where="true"),
    )


def test_names_of_indexes_and_checks_stay_within_63_bytes(project: Project) -> None:
    long, other = "a" * 63, "b" * 63
    made = project.collection(
        f"[collections.{long}.fields]\n{other} = {{ references = '{long}' }}\n"
        f"[collections.{long}.checks]\n{other} = 'true'\n[[collections.{long}.indexes]]\nfields = ['id', '{other}']\n",
        long,
    )
    names = [*(index.name for index in made.indexes), *(check.name for check in made.checks)]
    assert [len(name) for name in names] == [63, 63, 63]
    assert len(set(names)) == 3


# --- many to many --------------------------------------------------------------------------------------------------------


def test_a_relation_makes_its_junction(project: Project) -> None:
    text = (
        "[collections.tags.fields]\nname = { type = 'text', key = true }\n"
        "[collections.posts.relations.tags]\nto = 'tags'\nrules = { select = 'true' }\n"
    )
    junction = project.collection(text, "posts_tags")
    assert junction.key == ("posts_id", "tags_name")
    assert [(field.name, field.type.sql, field.required) for field in junction.fields] == [
        ("posts_id", "uuid", True),
        ("tags_name", "text", True),
    ]
    assert [key.reference.on_delete for key in junction.foreign_keys] == ["cascade", "cascade"]
    assert junction.rules == Rules(select="true")
    assert [index.name for index in junction.indexes] == ["posts_tags_tags_name_idx"]


def test_a_relation_to_itself_has_two_ends(project: Project) -> None:
    junction = project.collection("[collections.users.relations.friends]\nto = 'users'\n", "users_friends")
    assert junction.key == ("users_id", "users_to_id")


def test_a_relation_through_a_collection_makes_none(project: Project) -> None:
    text = (
        "[collections.tags]\n[collections.posts.relations.tags]\nto = 'tags'\nthrough = 'taggings'\n"
        "[collections.taggings.fields]\npost = { references = 'posts', key = true }\ntag = { references = 'tags', key = true }\n"
    )
    assert set(project.load(text).catalog.collections) == {"tags", "posts", "taggings"}


# --- functions -----------------------------------------------------------------------------------------------------------


def test_a_function_is_its_file(project: Project) -> None:
    (project.root / "f.sql").write_text("create function f() ...")
    config = project.load("[functions.f]\nsql = 'f.sql'\nexecute = ['anon']\n")
    assert config.functions_sql == {"f": "create function f() ..."}
    assert [(function.name, function.execute) for function in config.catalog.functions] == [("f", ("anon",))]


def test_places_tell_where_rules_stand(project: Project) -> None:
    config = project.load("[collections.posts]\n\nrules = { select = 'true' }\n")
    assert config.places["collections.posts.rules.select"] == "mbaas.toml:3"
    assert "server" not in config.places
