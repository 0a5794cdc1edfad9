"""A view meets what the database says of it: related by the columns it shows, and never laxer than their fields."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from mbaas.core.errors import ConfigError, RuleError
from mbaas.core.identity import ANON
from mbaas.core.plan.authorize import authorize
from mbaas.core.plan.names import Names
from mbaas.core.plan.resolve import Resolver, resolve_list
from mbaas.core.query.errors import NoRelationship
from mbaas.core.query.types import Preferences, ReadParts, ReadQuery
from mbaas.core.rules.compile import compile_rules
from mbaas.core.schema.catalog import Catalog, Collection, Rules
from mbaas.core.schema.views import with_views
from tests.sample import CATALOG, field

SHOWN = {"id": ("posts", "id"), "writer": ("posts", "author"), "phone": ("profiles", "phone")}
COLUMNS = ("id", "writer", "phone", "score")


def view(*fields: Any, rules: Rules = Rules(select="true")) -> Collection:  # noqa: B008 - frozen
    return Collection(name="popular", key=("id",), fields=fields, rules=rules, view=True)


def catalog(made: Collection, collections: dict[str, Collection] | None = None) -> Catalog:
    known = CATALOG.collections if collections is None else collections
    return replace(CATALOG, collections={**known, "popular": made})


POPULAR = view(field("id", "uuid"), field("writer", "uuid"), field("score", "int"))


def names(made: Catalog) -> Names:
    return Names(with_views(made, {"popular": (COLUMNS, SHOWN)}), {})


@pytest.mark.parametrize("privileged", [True, False])
@pytest.mark.parametrize(
    ("source", "target", "cardinality"),
    [
        ("popular", "writer", "many-to-one"),
        ("popular", "profiles", "many-to-one"),
        ("popular", "comments", "one-to-many"),
        ("popular", "post_stats", "one-to-one"),
        ("popular", "tags", "many-to-many"),
        ("comments", "popular", "many-to-one"),
        ("profiles", "popular", "one-to-many"),
        ("tags", "popular", "many-to-many"),
    ],
)
def test_a_view_is_related_as_its_tables_are(source: str, target: str, cardinality: str, privileged: bool) -> None:
    assert names(catalog(POPULAR)).relation(source, target, None, privileged=privileged).cardinality == cardinality


def test_what_it_does_not_show_relates_nothing() -> None:
    without_key = names(catalog(view(field("writer", "uuid"))))
    assert without_key.relation("popular", "profiles", None, privileged=True).columns == (("writer", "id"),)
    for target in ("comments", "tags", "post_stats"):
        with pytest.raises(NoRelationship):
            without_key.relation("popular", target, None, privileged=True)
    hidden = names(catalog(view(field("id", "uuid"), field("writer", "uuid", hidden=True))))
    assert hidden.relation("popular", "profiles", None, privileged=True)
    with pytest.raises(NoRelationship):
        hidden.relation("popular", "profiles", None, privileged=False)


def test_a_view_of_a_table_that_nobody_may_see_is_related_all_the_same() -> None:
    closed = replace(CATALOG.collections["posts"], rules=Rules())
    made = names(catalog(POPULAR, {**CATALOG.collections, "posts": closed}))
    assert made.relation("popular", "comments", None, privileged=False).cardinality == "one-to-many"
    with pytest.raises(NoRelationship):
        made.relation("comments", "posts", None, privileged=False)


def fault(made: Collection, found: dict[str, Any]) -> str:
    with pytest.raises(ConfigError) as raised:
        with_views(catalog(made), found)
    return f"{raised.value.message} | {raised.value.hint}"


def test_a_view_has_to_be_there_with_its_columns() -> None:
    assert fault(POPULAR, {}).startswith("collections.popular: there is no view of that name | make it in a script")
    assert fault(view(field("id", "uuid"), field("stars", "int")), {"popular": (COLUMNS, SHOWN)}) == (
        "collections.popular.fields.stars: the view has no such column | it has id, writer, phone, score"
    )


def test_a_guarded_field_needs_a_guard_in_the_view_as_well() -> None:
    open_phone = view(field("phone", "text"))
    assert fault(open_phone, {"popular": (COLUMNS, SHOWN)}) == (
        "collections.popular.fields.phone: shows profiles.phone, which has a rule of its own"
        ' | say who may read it here: read = "...", or hidden = true'
    )
    for guard in ({"read": "auth.aal() = 'aal2'"}, {"hidden": True}):
        with_views(catalog(view(field("phone", "text", **guard))), {"popular": (COLUMNS, SHOWN)})
    secret = {"popular": (("secret",), {"secret": ("profiles", "secret")})}
    assert "shows profiles.secret" in fault(view(field("secret", "text")), secret)


def test_a_rule_does_not_ask_a_view() -> None:
    """Its policy would be needed before the script that makes the view has run."""
    tags = replace(CATALOG.collections["tags"], rules=Rules(select="exists (select 1 from popular)"))
    with pytest.raises(RuleError, match="'popular' is a view"):
        compile_rules(catalog(POPULAR, {**CATALOG.collections, "tags": tags}))


@pytest.mark.parametrize("kind", ["planned", "estimated"])
def test_a_total_of_a_view_is_counted_for_it_leaves_rows_out(kind: Any) -> None:
    rules = compile_rules(catalog(POPULAR))
    resolver = Resolver(Names(rules.catalog, rules.defaults), privileged=False, max_rows=10)
    query = ReadQuery(collection="popular", parts=ReadParts(), preferences=Preferences(count=kind))
    assert authorize(resolve_list(query, resolver), ANON, rules).answer.total == "exact"
    tags = ReadQuery(collection="tags", parts=ReadParts(), preferences=Preferences(count=kind))
    assert authorize(resolve_list(tags, resolver), ANON, rules).answer.total == kind
