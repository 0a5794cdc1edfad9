"""The description of the API: valid, typed per collection, and only what the role may reach."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from mbaas.core.identity import Role
from mbaas.core.schema.catalog import Argument, Catalog, Collection, Field, Function, Reference, Rules
from mbaas.core.schema.types import SCALARS, parse_type
from mbaas.modules.records.json_schema import type_schema
from mbaas.modules.records.openapi import Info, openapi_bytes, openapi_document

GOLDEN = Path(__file__).parents[3] / "golden" / "openapi"
INFO = Info(title="Fieldnotes", description="Notes of the field")


def field(name: str, kind: str, **more: Any) -> Field:
    return Field(name=name, type=parse_type(kind), **more)


POSTS = Collection(
    name="posts",
    key=("id",),
    description="What people wrote",
    fields=(
        field("id", "uuid", required=True, default="mbaas.uuidv7()"),
        field(
            "author",
            "uuid",
            required=True,
            references=Reference(table="profiles", columns=("id",)),
            default="auth.uid()",
        ),
        field("title", "text", required=True, max_length=200, min_length=1, description="Its head line"),
        field("slug", "text", unique=True, pattern="^[a-z0-9-]+$"),
        field("posix", "text", pattern="[[:alpha:]]+"),
        field("mail", "email"),
        field("site", "url"),
        field("state", "enum", values=("draft", "public"), required=True),
        field("maybe", "enum", values=("a", "b")),
        field("views", "int", required=True, minimum="0", maximum="100", default="0"),
        field("rating", "numeric(3,1)", minimum="0.5", maximum="now()"),
        field("tags", "text[]", required=True, max_length=5, default="'{}'"),
        field("meta", "json", default="'{}'"),
        field("during", "tstzrange"),
        field("phone", "text", required=True, read="author = auth.uid()", default="''"),
        field("secret_score", "int", hidden=True),
        field("words", "int", generated="length(title)"),
        field("number", "bigint", required=True, identity=True),
        field("created_at", "timestamptz", required=True, managed=True, default="now()"),
    ),
    rules=Rules(select="published", insert="author = auth.uid()", update="author = auth.uid()"),
)
PROFILES = Collection(
    name="profiles", key=("id",), fields=(field("id", "uuid", required=True),), rules=Rules(select="true")
)
AUDIT = Collection(name="audit_trail", key=("id",), fields=(field("id", "uuid", required=True),))
ODD = Collection(
    name="odd name/ä", key=("ä b",), fields=(field("ä b", "int", required=True),), rules=Rules(insert="true")
)
EVERY_TYPE = Collection(
    name="every_type",
    key=("text",),
    fields=(
        *(
            field(name + suffix.strip("[]") + "s" * bool(suffix), name + suffix)
            for name in SCALARS
            if name != "vector"
            for suffix in ("", "[]")
        ),
        field("vector", "vector(3)"),
    ),
    rules=Rules(select="true", delete="true"),
)

FUNCTIONS = (
    Function(
        name="add",
        arguments=(Argument(name="a", type="integer"), Argument(name="b", type="integer", optional=True)),
        returns="integer",
        volatility="immutable",
        execute=("anon", "authenticated"),
    ),
    Function(
        name="published_posts",
        returns="posts",
        returns_set=True,
        collection="posts",
        composite=True,
        volatility="stable",
        execute=("anon",),
    ),
    Function(
        name="stats",
        returns="record",
        returns_set=True,
        composite=True,
        columns=(("day", "date"), ("n", "bigint")),
        execute=("authenticated",),
    ),
    Function(
        name="sum_list",
        arguments=(Argument(name="nums", type="integer", variadic=True),),
        returns="bigint",
        execute=("anon",),
    ),
    Function(name="over", arguments=(Argument(name="a", type="text"),), returns="text", execute=("anon",)),
    Function(name="over", arguments=(Argument(name="b", type="jsonb"),), execute=("anon",)),
    Function(name="reset_everything"),
)
CATALOG = Catalog(
    collections={item.name: item for item in (POSTS, PROFILES, AUDIT, ODD, EVERY_TYPE)}, functions=FUNCTIONS
)
ROLES: list[Role] = ["anon", "authenticated", "service_role"]


def document(role: Role, catalog: Catalog = CATALOG) -> dict[str, Any]:
    return openapi_document(catalog, info=INFO, role=role)


@pytest.mark.parametrize("role", ROLES)
def test_the_document_is_valid(role: Role) -> None:
    OpenAPIV31SpecValidator(document(role)).validate()
    assert json.loads(openapi_bytes(CATALOG, info=INFO, role=role)) == document(role)


def test_the_document_of_an_empty_catalog_is_valid() -> None:
    OpenAPIV31SpecValidator(document("anon", Catalog())).validate()


def test_the_document_stays_as_it_was(request: pytest.FixtureRequest) -> None:
    small = Catalog(collections={"posts": POSTS, "profiles": PROFILES}, functions=FUNCTIONS[:2])
    found = document("anon", small)
    file = GOLDEN / "anon.json"
    if request.config.getoption("--rewrite-golden"):
        file.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    assert json.loads(file.read_text()) == found


@pytest.mark.parametrize("role", ["anon", "authenticated"])
def test_what_a_role_may_not_reach_is_not_even_named(role: Role) -> None:
    text = json.dumps(document(role))
    for unseen in ("secret_score", "audit_trail", "reset_everything", "auth.uid", "mbaas.uuidv7", "author = "):
        assert unseen not in text


def test_the_service_key_sees_all_of_it() -> None:
    text = json.dumps(document("service_role"))
    for seen in ("secret_score", "audit_trail", "reset_everything"):
        assert seen in text


def test_a_function_is_listed_for_those_who_may_execute_it() -> None:
    assert "/rpc/stats" not in document("anon")["paths"]
    assert "/rpc/stats" in document("authenticated")["paths"]
    assert "/rpc/published_posts" not in document("authenticated")["paths"]


def test_an_operation_is_listed_when_it_has_a_rule() -> None:
    paths = document("anon")["paths"]
    assert set(paths["/posts"]) == {"get", "post", "put", "patch"}
    assert set(paths["/profiles"]) == {"get"}
    assert set(paths["/odd%20name%2F%C3%A4"]) == {"post"}
    assert set(document("service_role")["paths"]["/audit_trail"]) == {"get", "post", "put", "patch", "delete"}


def test_fields_carry_their_constraints() -> None:
    found = document("anon")["components"]["schemas"]["posts"]["properties"]
    assert found["title"] == {"type": "string", "minLength": 1, "maxLength": 200, "description": "Its head line"}
    assert found["slug"] == {"type": ["string", "null"], "pattern": "^[a-z0-9-]+$"}
    assert found["posix"] == {"type": ["string", "null"]}
    assert found["mail"]["format"] == "email"
    assert found["site"]["format"] == "uri"
    assert found["state"] == {"type": "string", "enum": ["draft", "public"]}
    assert found["maybe"] == {"type": ["string", "null"], "enum": ["a", "b", None]}
    assert found["views"] == {"type": "integer", "format": "int32", "minimum": 0, "maximum": 100}
    assert found["rating"] == {
        "anyOf": [{"type": "number"}, {"enum": ["NaN", "Infinity", "-Infinity"]}, {"type": "null"}],
        "minimum": 0.5,
    }
    assert found["tags"] == {"type": "array", "items": {"type": ["string", "null"]}, "maxItems": 5}
    assert found["meta"] == {}
    assert found["phone"] == {"type": ["string", "null"], "description": "Null for those who may not read it."}
    assert found["author"]["description"] == "The key of a record of profiles."
    assert found["words"] == {"type": ["integer", "null"], "format": "int32", "readOnly": True}
    assert found["created_at"] == {"type": "string", "format": "date-time", "readOnly": True}


@pytest.mark.parametrize(
    ("row", "valid"),
    [
        ({"title": "x", "state": "draft"}, True),
        ({"title": "x", "state": "draft", "slug": None, "tags": [], "meta": {"a": [1]}, "views": 3}, True),
        ({"state": "draft"}, False),
        ({"title": None, "state": "draft"}, False),
        ({"title": "", "state": "draft"}, False),
        ({"title": "x", "state": "gone"}, False),
        ({"title": "x", "state": "draft", "views": -1}, False),
        ({"title": "x", "state": "draft", "tags": ["a"] * 6}, False),
        ({"title": "x", "state": "draft", "created_at": "2024-01-01T00:00:00Z"}, False),
        ({"title": "x", "state": "draft", "words": 1}, False),
        ({"title": "x", "state": "draft", "secret_score": 1}, False),
        ({"title": "x", "state": "draft", "nope": 1}, False),
    ],
)
def test_the_schema_of_an_insert_takes_what_an_insert_takes(row: dict[str, Any], valid: bool) -> None:
    schema = document("anon")["components"]["schemas"]["posts.insert"]
    assert Draft202012Validator(schema).is_valid(row) == valid


def test_the_schema_of_an_update_requires_nothing() -> None:
    assert Draft202012Validator(document("anon")["components"]["schemas"]["posts.update"]).is_valid({})


@pytest.mark.parametrize("name", sorted(SCALARS.keys() - {"vector"}))
def test_every_field_type_has_a_schema(name: str) -> None:
    Draft202012Validator.check_schema(type_schema(parse_type(name).sql))
    assert type_schema(parse_type(name + "[]").sql)["type"] == "array"


def test_every_operation_has_a_name_of_its_own_and_both_ways_to_sign_in() -> None:
    found = document("service_role")
    names = [operation["operationId"] for path in found["paths"].values() for operation in path.values()]
    assert len(names) == len(set(names))
    assert found["security"] == [{"apikey": []}, {"apikey": [], "bearer": []}]
    assert set(found["components"]["securitySchemes"]) == {"apikey", "bearer"}


def test_calls_are_typed_by_their_function() -> None:
    paths = document("anon")["paths"]
    body = paths["/rpc/add"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert body["required"] == ["a"]
    assert body["properties"]["b"] == {"type": "integer", "format": "int32"}
    assert [p["name"] for p in paths["/rpc/add"]["get"]["parameters"] if "name" in p] == ["a", "b"]
    assert "get" not in paths["/rpc/sum_list"]
    answer = paths["/rpc/published_posts"]["post"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert answer == {"type": "array", "items": {"$ref": "#/components/schemas/posts"}}
    assert parameters(paths["/rpc/published_posts"]["get"]) == {"select", "order", "limit", "offset", "prefer_read"}
    assert len(paths["/rpc/over"]["post"]["requestBody"]["content"]["application/json"]["schema"]["anyOf"]) == 2
    assert set(paths["/rpc/over"]["post"]["responses"]) >= {"200", "204", "300"}


def test_what_a_function_gives_may_be_nothing() -> None:
    paths = document("authenticated")["paths"]
    assert result_of(document("anon")["paths"]["/rpc/add"])["type"] == ["integer", "null"]
    day = result_of(paths["/rpc/stats"])["items"]["properties"]["day"]
    assert day == {"type": ["string", "null"], "format": "date"}
    one = Function(name="newest", returns="posts", collection="posts", composite=True, execute=("anon",))
    found = document("anon", Catalog(collections={"posts": POSTS}, functions=(one,)))
    answer = result_of(found["paths"]["/rpc/newest"])
    assert answer == {"anyOf": [{"$ref": "#/components/schemas/posts"}, {"type": "null"}]}


def test_a_function_that_raises_answers_as_it_likes() -> None:
    assert {"default", "416"} <= set(document("anon")["paths"]["/rpc/add"]["post"]["responses"])


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("json", {"application/json": {"schema": {}}}),
        ("text", {"text/plain": {"schema": {"type": "string"}}}),
        ("bytea", {"application/octet-stream": {"schema": {}}}),
    ],
)
def test_the_one_argument_without_a_name_is_the_body(kind: str, content: dict[str, Any]) -> None:
    raw = Function(name="raw", arguments=(Argument(name="", type=kind),), volatility="stable", execute=("anon",))
    path = document("anon", Catalog(functions=(raw,)))["paths"]["/rpc/raw"]
    assert path["post"]["requestBody"]["content"] == content
    assert "get" not in path


def test_a_put_names_its_record_and_needs_both_rules() -> None:
    both = document("service_role")["paths"]["/posts"]["put"]
    assert both["parameters"][0] == {
        "name": "id",
        "in": "query",
        "description": "eq. and the value",
        "schema": {"type": "string", "pattern": r"^eq\."},
        "required": True,
    }
    assert {"200", "201", "204", "405"} <= set(both["responses"])
    assert "put" not in document("anon")["paths"]["/odd%20name%2F%C3%A4"]  # an update has no rule


def test_a_field_with_the_name_of_a_word_is_filtered_in_quotes() -> None:
    fields = (field("id", "int", required=True), field("order", "int"), field("a b", "int"))
    one = Collection(name="t", key=("id",), fields=fields, rules=Rules(select="true"))
    found = document("anon", Catalog(collections={"t": one}))
    OpenAPIV31SpecValidator(found).validate()
    names = [found["components"]["parameters"][f"filter.t.{name}"]["name"] for name in ("id", "order", "a_b")]
    assert names == ["id", '"order"', '"a b"']


@pytest.mark.parametrize(
    ("value", "valid"),
    [("eq.1", True), ("not.in.(1,2)", True), ("fts(english).cat", True), ("like(any).{a,b}", True), ("1", False)],
)
def test_a_filter_is_an_operator_and_a_value(value: str, valid: bool) -> None:
    schema = document("anon")["components"]["parameters"]["filter.posts.title"]["schema"]
    assert Draft202012Validator(schema).is_valid(value) == valid


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_a_write_says_how_it_can_be_sent_again_and_what_can_be_preferred(method: str) -> None:
    operation = document("service_role")["paths"]["/posts"][method]
    assert "once" in parameters(operation)
    (name,) = (one for one in parameters(operation) if one.startswith("prefer_"))
    prefer = document("anon")["components"]["parameters"][name]["schema"]
    assert Draft202012Validator(prefer).is_valid(["return=representation", "tx=rollback", "handling=strict"])
    assert Draft202012Validator(prefer).is_valid(["max-affected=1"]) == (method in ("patch", "delete"))
    assert not Draft202012Validator(prefer).is_valid(["return=everything"])


def test_every_operation_says_how_it_is_refused() -> None:
    found = document("service_role")
    answers = found["components"]["responses"]
    for path in found["paths"].values():
        for operation in path.values():
            refusals = {status for status in operation["responses"] if status[0] in "345"}
            assert {"400", "401", "403", "406", "416", "429", "500", "503"} <= refusals <= set(answers)
    assert all("Retry-After" in answers[status]["headers"] for status in ("429", "503"))
    error = found["components"]["schemas"]["error"]
    assert set(error["required"]) == {"code", "message", "details", "hint"}


def parameters(operation: dict[str, Any]) -> set[str]:
    """The keys of those that are shared."""
    return {one["$ref"].rpartition("/")[2] for one in operation["parameters"] if "$ref" in one}


def result_of(path: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = path["post"]["responses"]["200"]["content"]["application/json"]["schema"]
    return found
