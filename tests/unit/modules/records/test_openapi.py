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
    assert set(paths["/posts"]) == {"get", "post", "patch"}
    assert set(paths["/profiles"]) == {"get"}
    assert set(paths["/odd%20name%2F%C3%A4"]) == {"post"}
    assert set(document("service_role")["paths"]["/audit_trail"]) == {"get", "post", "patch", "delete"}


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
    assert found["rating"] == {"type": ["number", "null"], "minimum": 0.5}
    assert found["tags"] == {"type": "array", "items": {"type": "string"}, "maxItems": 5}
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
    assert [p["name"] for p in paths["/rpc/add"]["get"]["parameters"]] == ["a", "b"]
    assert "get" not in paths["/rpc/sum_list"]
    answer = paths["/rpc/published_posts"]["post"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert answer == {"type": "array", "items": {"$ref": "#/components/schemas/posts"}}
    assert len(paths["/rpc/over"]["post"]["requestBody"]["content"]["application/json"]["schema"]["anyOf"]) == 2
    assert set(paths["/rpc/over"]["post"]["responses"]) >= {"200", "204"}
