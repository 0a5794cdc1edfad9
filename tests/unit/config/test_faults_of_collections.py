"""What a collection may not say, each with its key and a way to mend it."""

from __future__ import annotations

import pytest

from tests.unit.config.project import Project

HEAD = "[collections.posts.fields]\n"
AT = "mbaas.toml:2: collections.posts.fields.it"
NAMES = "small letters, digits and _, at most 63, not beginning with a digit"

FIELDS = {
    "no type": ("{}", ': needs a type | type = "text", or references = "..."'),
    "precision of text": (
        "{ type = 'text(20)' }",
        ".type: text takes no precision | use max_length for text, numeric(p,s) for decimals",
    ),
    "an enum without values": (
        "{ type = 'enum' }",
        '.values: an enum is one of its values | type = "enum", values = ["draft", "ready"]',
    ),
    "an enum with a value twice": (
        "{ type = 'enum', values = ['a', 'a'] }",
        ".values: a value stands twice | leave one out",
    ),
    "a default outside of the enum": (
        "{ type = 'enum', values = ['a', 'b'], default = 'c' }",
        ".default: is none of the values | one of a, b",
    ),
    "an element outside of the enum": (
        "{ type = 'enum[]', values = ['a', 'b'], default = ['a', 'c'] }",
        ".default: is none of the values | one of a, b",
    ),
    "values of a text": ("{ type = 'text', values = ['a'] }", '.values: belong to type enum | type = "enum"'),
    "a length of a number": (
        "{ type = 'int', max_length = 3 }",
        ".max_length: a length does not fit type int | min and max are for numbers and times",
    ),
    "a negative length": (
        "{ type = 'text', min_length = -1 }",
        ".min_length: a length is 0 or more | min_length = 0",
    ),
    "lengths crosswise": (
        "{ type = 'text', min_length = 3, max_length = 2 }",
        ".min_length: is more than max_length | exchange the two",
    ),
    "limits crosswise": ("{ type = 'int', min = 3, max = 2 }", ".min: is more than max | exchange the two"),
    "a limit of a text": (
        "{ type = 'text', min = 3 }",
        ".min: does not fit type text | min_length and max_length are for text and arrays",
    ),
    "a limit of an array": (
        "{ type = 'int[]', max = 3 }",
        ".max: does not fit type int[] | min_length and max_length are for text and arrays",
    ),
    "a limit of another type": (
        "{ type = 'int', min = 'x' }",
        ".min: 'x' is not of type int | digits without quotes: 0",
    ),
    "a pattern of a number": ("{ type = 'int', pattern = 'x' }", '.pattern: does not fit type int | type = "text"'),
    "text for an int": (
        "{ type = 'int', default = 'x' }",
        ".default: 'x' is not of type int | digits without quotes: 0",
    ),
    "half an int": ("{ type = 'int', default = 1.5 }", ".default: 1.5 is no whole number | digits without quotes: 0"),
    "text for a bool": (
        "{ type = 'bool', default = 'yes' }",
        ".default: 'yes' is not of type bool | true or false, without quotes",
    ),
    "a bool for a number": (
        "{ type = 'numeric', default = true }",
        '.default: true and false are not of type numeric | a number: 0.5, or "0.50"',
    ),
    "a number for a text": (
        "{ type = 'text', default = 1 }",
        '.default: a number is not of type text | text in quotes, or { sql = "..." } for an expression',
    ),
    "a list for a text": (
        "{ type = 'text', default = ['a'] }",
        '.default: a default of type text is no array | text in quotes, or { sql = "..." } for an expression',
    ),
    "a text for an array": (
        "{ type = 'text[]', default = 'a' }",
        '.default: an array\'s default is an array | ["...", "..."]',
    ),
    "a date for a number": (
        "{ type = 'int', default = 2026-01-31 }",
        ".default: a date or time is not of type int | digits without quotes: 0",
    ),
    "a default of what is generated": (
        "{ type = 'int', generated = '1', default = 1 }",
        ".generated: a generated field has no default | keep one of the two",
    ),
    "a default of what counts": (
        "{ type = 'int', identity = true, default = 1 }",
        ".identity: a field that counts has no default | keep one of the two",
    ),
    "a text that counts": (
        "{ type = 'text', identity = true }",
        '.identity: counts, so it needs whole numbers | type = "bigint"',
    ),
    "on_delete of no reference": (
        "{ type = 'text', on_delete = 'cascade' }",
        '.on_delete: belongs to a reference | references = "..."',
    ),
    "an on_delete that is none": (
        "{ references = 'posts', on_delete = 'casscade' }",
        ".on_delete: is none of its values | did you mean 'cascade'?",
    ),
    "null where it is forbidden": (
        "{ references = 'posts', required = true, on_delete = 'set null' }",
        '.on_delete: a required field cannot become null | on_delete = "cascade", or required = false',
    ),
    "a default that is not there": (
        "{ references = 'posts', on_delete = 'set default' }",
        ".on_delete: there is no default to set | default = ...",
    ),
    "a reference to nothing": (
        "{ references = 'post' }",
        ".references: 'post' is no collection | did you mean 'posts'?",
    ),
    "a reference to an unknown field": (
        "{ references = 'posts.itt' }",
        ".references: posts has no field 'itt' | did you mean 'it'?",
    ),
    "a reference to what is not unique": (
        "{ references = 'posts.it' }",
        ".references: posts.it is not unique | references need a unique field",
    ),
    "a reference to itself alone": (
        "{ references = 'posts.it', unique = true }",
        ": this reference leads back to itself | give one of the fields a type",
    ),
    "a reference of another type": (
        "{ references = 'posts', type = 'int' }",
        ".type: int does not fit what the field references | leave the type out: a reference has its own",
    ),
}


@pytest.mark.parametrize(("inline", "told"), FIELDS.values(), ids=FIELDS)
def test_a_fault_of_a_field(project: Project, inline: str, told: str) -> None:
    assert project.fault(f"{HEAD}it = {inline}\n") == AT + told


def test_an_unknown_type_names_those_there_are(project: Project) -> None:
    told = project.fault(f"{HEAD}it = {{ type = 'string' }}\n")
    assert told.startswith(f"{AT}.type: unknown field type 'string' | one of bigint, bool, bytes, date, ")
    assert told.endswith("; [] for an array")


@pytest.mark.parametrize("name", ["Title", "1st", "my-field", "größe", "a b", "a" * 64, "", "a\\n"])
def test_a_name_that_needs_quotes_is_no_name(project: Project, name: str) -> None:
    given = name.replace("\\n", "\n")
    assert project.fault(f'{HEAD}"{name}" = {{ type = "text" }}\n').endswith(f"{given!r} cannot be a name | {NAMES}")
    assert project.fault(f'[collections."{name}"]\n').endswith(f"{given!r} cannot be a name | {NAMES}")
    assert project.fault(f'[functions."{name}"]\nsql = "mbaas.toml"\n').endswith(
        f"{given!r} cannot be a name | {NAMES}"
    )


@pytest.mark.parametrize("name", ["select", "order", "limit", "offset", "and", "or", "not", "on_conflict", "columns"])
def test_a_field_may_not_be_a_word_of_the_query_string(project: Project, name: str) -> None:
    told = project.fault(f"{HEAD}{name} = {{ type = 'text' }}\n")
    assert told.endswith(f"fields.{name}: {name!r} is a word of the query string | choose another name")


@pytest.mark.parametrize("name", ["ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"])
def test_a_field_may_not_have_the_name_of_a_system_column(project: Project, name: str) -> None:
    told = project.fault(f"{HEAD}{name} = {{ type = 'text' }}\n")
    assert told.endswith(f"fields.{name}: PostgreSQL keeps {name!r} for itself | choose another name")


VIEW = "[collections.popular]\nview = true\n[collections.popular.fields]\nid = { type = 'uuid', key = true }\n"
COLLECTIONS = {
    "an index of a view": (
        VIEW + "[[collections.popular.indexes]]\nfields = ['id']\n",
        "mbaas.toml:5: collections.popular.indexes: a view is only read | take indexes out, or view = true",
    ),
    "a view that is followed": (
        VIEW.replace("view = true", "view = true\nrealtime = true"),
        "mbaas.toml:3: collections.popular.realtime: a view is only read | take realtime out, or view = true",
    ),
    "a write rule of a view": (
        VIEW + "[collections.popular.rules]\nupdate = 'true'\n",
        "mbaas.toml:6: collections.popular.rules.update: a view is only read | it has a select rule alone",
    ),
    "a reference to a view": (
        VIEW + "[collections.stars.fields]\nof = { references = 'popular' }\n",
        "mbaas.toml:6: collections.stars.fields.of.references: popular is a view | a foreign key needs a table",
    ),
    "a collection named as the functions": (
        "[collections.rpc]\n",
        "mbaas.toml:1: collections.rpc: `rpc` is where functions are | choose another name",
    ),
    "an id that is no key": (
        "[collections.posts.fields]\nid = { type = 'int' }\n",
        "mbaas.toml:2: collections.posts.fields.id: `id` is the key that comes by itself"
        " | write key = true, or leave `id` out",
    ),
    "a reference to one of two keys": (
        "[collections.a.fields]\nx = { type = 'int', key = true }\ny = { type = 'int', key = true }\n"
        "[collections.b.fields]\na = { references = 'a' }\n",
        'mbaas.toml:5: collections.b.fields.a.references: a has a key of several fields | references = "a.<unique field>"',
    ),
    "references in a circle": (
        "[collections.a.fields]\nid = { key = true, references = 'b' }\n"
        "[collections.b.fields]\nid = { key = true, references = 'a' }\n",
        "2 faults in the configuration\n"
        "  mbaas.toml:2: collections.a.fields.id: this reference leads back to itself (give one of the fields a type)\n"
        "  mbaas.toml:4: collections.b.fields.id: this reference leads back to itself (give one of the fields a type) | None",
    ),
    "an index of an unknown field": (
        "[collections.posts.fields]\ntitle = { type = 'text' }\n[[collections.posts.indexes]]\nfields = ['-titel']\n",
        "mbaas.toml:3: collections.posts.indexes.0: posts has no field 'titel' | did you mean 'title'?",
    ),
    "an index of nothing": (
        "[collections.posts]\nindexes = [\n  { fields = ['created_at'] },\n  { fields = [] },\n]\n",
        'mbaas.toml:4: collections.posts.indexes.1.fields: an index needs fields | fields = ["...", "-..."]',
    ),
    "an index of no method": (
        "[collections.posts]\nindexes = [{ fields = ['created_at'], method = 'rtree' }]\n",
        "mbaas.toml:2: collections.posts.indexes.0.method: there is no index method 'rtree'"
        " | one of brin, btree, gin, gist, hash, hnsw, spgist",
    ),
    "a relation to nothing": (
        "[collections.posts.relations.tags]\nto = 'tag'\n[collections.tags]\n",
        "mbaas.toml:2: collections.posts.relations.tags.to: 'tag' is no collection | did you mean 'tags'?",
    ),
    "a relation through nothing": (
        "[collections.posts.relations.tags]\nto = 'tags'\nthrough = 'tagging'\n[collections.tags]\n[collections.taggings]\n",
        "mbaas.toml:3: collections.posts.relations.tags.through: 'tagging' is no collection | did you mean 'taggings'?",
    ),
    "a junction that joins nothing": (
        "[collections.posts.relations.tags]\nto = 'tags'\nthrough = 'taggings'\n[collections.tags]\n[collections.taggings]\n",
        "mbaas.toml:3: collections.posts.relations.tags.through: taggings does not reference both posts and tags"
        " | it needs a field that references each",
    ),
    "a junction that joins one to itself once": (
        "[collections.users.relations.friends]\nto = 'users'\nthrough = 'friends'\n"
        "[collections.friends.fields]\nfrom_id = { references = 'users' }\n",
        "mbaas.toml:3: collections.users.relations.friends.through: friends does not reference both users and users"
        " | it needs a field that references each",
    ),
    "rules of a junction that has its own": (
        "[collections.posts.relations.tags]\nto = 'tags'\nthrough = 'taggings'\nrules = { select = 'true' }\n"
        "[collections.tags]\n[collections.taggings.fields]\npost = { references = 'posts' }\ntag = { references = 'tags' }\n",
        "mbaas.toml:4: collections.posts.relations.tags.rules: the rules of taggings stand there"
        " | [collections.taggings.rules]",
    ),
    "a junction whose name is taken": (
        "[collections.posts.relations.tags]\nto = 'tags'\n[collections.tags]\n[collections.posts_tags]\n",
        'mbaas.toml:1: collections.posts.relations.tags: posts_tags exists already | through = "posts_tags"',
    ),
    "a junction to a key of two fields": (
        "[collections.posts.relations.tags]\nto = 'tags'\n[collections.tags.fields]\n"
        "a = { type = 'int', key = true }\nb = { type = 'int', key = true }\n",
        "mbaas.toml:1: collections.posts.relations.tags: tags has a key of several fields | declare the junction yourself",
    ),
    "a check of a name that is none": (
        "[collections.posts.checks]\n'No!' = 'true'\n",
        f"mbaas.toml:2: collections.posts.checks.No!: 'No!' cannot be a name | {NAMES}",
    ),
    "a check without words": (
        "[collections.posts.checks]\npositive = ''\n",
        'mbaas.toml:2: collections.posts.checks.positive: needs an expression | positive = "starts < ends"',
    ),
}


@pytest.mark.parametrize(("text", "told"), COLLECTIONS.values(), ids=COLLECTIONS)
def test_a_fault_of_a_collection(project: Project, text: str, told: str) -> None:
    assert project.fault(text) == told


def test_a_reference_to_a_faulty_collection_is_no_second_fault(project: Project) -> None:
    told = project.fault(
        "[collections.a.fields]\nx = { typ = 'int' }\n[collections.b.fields]\na = { references = 'a' }\n"
    )
    assert told.startswith("mbaas.toml:2: collections.a.fields.x.typ: unknown key")


def test_two_faults_of_collections_are_told_at_once(project: Project) -> None:
    told = project.fault("[collections.a.fields]\nx = {}\n[collections.b.fields]\ny = { references = 'c' }\n")
    assert told.startswith("2 faults in the configuration")
    assert "mbaas.toml:2: collections.a.fields.x: needs a type" in told
    assert "mbaas.toml:4: collections.b.fields.y.references: 'c' is no collection" in told
