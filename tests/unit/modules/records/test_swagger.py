"""The OpenAPI 2.0 description: valid, marked as the tools for PostgREST know it, and only what the role may reach."""

from __future__ import annotations

from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV2SpecValidator

from mbaas.core.identity import Role
from mbaas.core.schema.catalog import Catalog, Collection
from mbaas.modules.records.openapi import Info
from mbaas.modules.records.swagger import swagger_document
from tests.sample import CATALOG as SAMPLE
from tests.unit.modules.records.test_openapi import CATALOG, POSTS


def document(role: Role, catalog: Catalog = CATALOG, server: str = "https://x.example/rest/v1") -> dict[str, Any]:
    return swagger_document(catalog, info=Info(title="Fieldnotes", server=server), role=role)


@pytest.mark.parametrize("role", ["anon", "authenticated", "service_role"])
@pytest.mark.parametrize("catalog", [CATALOG, SAMPLE], ids=["every type", "sample"])
def test_the_document_is_valid(catalog: Catalog, role: Role) -> None:
    OpenAPIV2SpecValidator(document(role, catalog)).validate()  # type: ignore[arg-type]


def test_it_says_where_the_api_is() -> None:
    made = document("anon")
    assert (made["swagger"], made["host"], made["basePath"], made["schemes"]) == (
        "2.0",
        "x.example",
        "/rest/v1",
        ["https"],
    )
    assert "host" not in document("anon", server="/rest/v1")


def test_keys_and_references_are_marked_and_formats_are_postgresqls() -> None:
    fields = document("anon")["definitions"]["posts"]["properties"]
    assert fields["id"] == {
        "type": "string",
        "format": "uuid",
        "description": "Note:\nThis is a Primary Key.<pk/>",
    }
    assert (
        "This is a Foreign Key to `profiles.id`.<fk table='profiles' column='id'/>" in fields["author"]["description"]
    )
    assert fields["created_at"]["format"] == "timestamp with time zone"
    assert fields["state"]["enum"] == ["draft", "public"]
    assert (fields["tags"]["type"], fields["tags"]["items"]) == ("array", {"type": "string"})
    assert "secret_score" not in fields
    assert "secret_score" in document("service_role")["definitions"]["posts"]["properties"]


def test_only_what_the_role_may_reach_is_told() -> None:
    made = document("anon")
    assert set(made["paths"]["/posts"]) == {"get", "post", "patch"}
    assert set(document("service_role")["paths"]["/posts"]) == {"get", "post", "patch", "delete"}
    assert "/audit_trail" not in made["paths"]
    assert "audit_trail" not in made["definitions"]
    assert not any("audit_trail" in name for name in made["parameters"])


def test_every_parameter_is_there() -> None:
    made = document("anon")
    parameters = [one["$ref"] for one in made["paths"]["/posts"]["get"]["parameters"]]
    shown = [field.name for field in POSTS.fields if not field.hidden]
    assert parameters[: len(shown)] == [f"#/parameters/rowFilter.posts.{name}" for name in shown]
    assert "#/parameters/body.posts" in [one["$ref"] for one in made["paths"]["/posts"]["post"]["parameters"]]


def test_functions_have_their_arguments_and_those_of_a_row_are_none() -> None:
    made = document("anon", SAMPLE)
    (body,) = made["paths"]["/rpc/add"]["post"]["parameters"]
    assert body["schema"] == {
        "type": "object",
        "properties": {
            "a": {"type": "integer", "format": "integer"},
            "b": {"type": "integer", "format": "integer"},
        },
        "required": ["a"],
    }
    assert [one["name"] for one in made["paths"]["/rpc/add"]["get"]["parameters"]] == ["a", "b"]
    assert "/rpc/shout" not in made["paths"]
    assert "/rpc/bump" not in made["paths"]


def test_a_collection_without_a_rule_for_it_is_not_told_of() -> None:
    closed = Collection(name="closed", key=("id",), fields=POSTS.fields[:1])
    assert list(document("anon", Catalog(collections={"closed": closed}))["paths"]) == ["/"]
