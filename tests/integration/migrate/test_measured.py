"""What is found by words, by meaning and by place: its columns and indexes are made, left alone, and used."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mbaas.adapters.postgres.database import Database
from mbaas.adapters.postgres.embedded import EmbeddedPostgres
from mbaas.adapters.postgres.extensions import ensure_extensions
from mbaas.adapters.postgres.migrate import down, migrate, plan
from mbaas.config.load import load
from mbaas.core.errors import ConfigError
from mbaas.core.identity import Identity
from mbaas.core.plan.authorize import authorize
from mbaas.core.plan.names import Names
from mbaas.core.plan.resolve import Resolver, resolve_list
from mbaas.core.query.parse import parse_parameters
from mbaas.core.query.types import ReadQuery
from mbaas.core.rules.compile import compile_rules
from mbaas.core.schema.catalog import Catalog
from mbaas.core.sql.fragment import Statement
from mbaas.core.sql.policy import render_policies
from mbaas.core.sql.read import render_list

SPOTS = """
[collections.spots.fields]
title = { type = "text", required = true }
owner = { type = "uuid" }
place = { type = "point" }
meaning = { type = "vector(3)", metric = "l2" }
long = { type = "vector(2001)" }
[collections.spots.search]
fields = ["title^A"]
language = "english"
[collections.spots.rules]
select = "owner = auth.uid()"
"""
ME = "00000000-0000-4000-8000-00000000000a"
CALLER = Identity(role="authenticated", claims={"sub": ME, "role": "authenticated"})
ROWS = f"""
insert into public.spots (title, owner, place, meaning)
    select 'cat ' || md5(i::text), '{ME}', point(i % 180 - 90, i % 360 - 180),
        array[random(), random(), random()]::vector(3)
    from generate_series(1, 3000) i;
update public.spots set title = 'zebra' where title like 'cat c4%';
analyze public.spots;
"""


def read(tmp_path: Path, toml: str = SPOTS) -> Catalog:
    (tmp_path / "mbaas.toml").write_text('[app]\nname = "Spots"\n' + toml)
    return load(tmp_path / "mbaas.toml", {}).catalog


@pytest.fixture
async def wanted(cluster: EmbeddedPostgres, database: Database, tmp_path: Path) -> Catalog:
    """The catalog, once the database has its extension."""
    catalog = read(tmp_path)
    name = database.url.partition("?")[0].rpartition("/")[2]
    await ensure_extensions(catalog, cluster.admin_url(name))
    return catalog


def policies_of(catalog: Catalog) -> Any:
    rules = compile_rules(catalog)
    return lambda name: render_policies(rules, name)


async def indexes(database: Database) -> dict[str, str]:
    text = "select indexname::text, indexdef from pg_indexes where tablename = 'spots' and schemaname = 'public'"
    return {row[0] or "": row[1] or "" for row in await database.fetch_rows(Statement(text))}


async def test_columns_and_indexes_come_stay_and_go(database: Database, wanted: Catalog, tmp_path: Path) -> None:
    await migrate(database, wanted, policies_of(wanted))
    made = await indexes(database)
    assert "USING hnsw (meaning vector_l2_ops)" in made["spots_meaning_idx"]
    assert "USING gist (place)" in made["spots_place_idx"]
    assert "USING gin (_search)" in made["spots__search_idx"]
    assert "spots_long_idx" not in made
    assert (await plan(database, wanted, policies_of(wanted))).steps == ()
    other = read(tmp_path, SPOTS.replace('metric = "l2"', 'metric = "cosine"').replace('"english"', '"german"'))
    assert [step.title for step in (await plan(database, other, policies_of(other))).steps]
    await migrate(database, other, policies_of(other))
    assert "vector_cosine_ops" in (await indexes(database))["spots_meaning_idx"]
    assert (await plan(database, other, policies_of(other))).steps == ()
    await down(database)
    assert await indexes(database) == made
    without = read(
        tmp_path, SPOTS.replace('[collections.spots.search]\nfields = ["title^A"]\nlanguage = "english"\n', "")
    )
    await migrate(database, without, policies_of(without))  # what PostgreSQL generates is no data that would be lost
    assert "spots__search_idx" not in await indexes(database)


def nodes(tree: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield tree
    for inner in tree.get("Plans", ()):
        yield from nodes(inner)


async def test_each_is_found_by_its_index_with_the_rule_around_it(database: Database, wanted: Catalog) -> None:
    await migrate(database, wanted, policies_of(wanted))
    await database.execute(ROWS)
    rules = compile_rules(wanted)
    names = Names(wanted, rules.defaults)
    asked = {
        "search=zebra": "spots__search_idx",
        "near=meaning.[1,0,0]&limit=5": "spots_meaning_idx",
        "within=place.(10,20,50km)": "spots_place_idx",
        "within=place.(10,180,50km)&order=distance": "spots_place_idx",
    }
    for query, index in asked.items():
        parts = parse_parameters(query).parts
        resolver = Resolver(names, privileged=False, max_rows=1000)
        read = resolve_list(ReadQuery(collection="spots", parts=parts), resolver)
        statement = render_list(authorize(read, CALLER, rules))
        row = await database.fetch_row(Statement(f"explain (format json) {statement.text}", statement.args))
        assert row is not None
        found = {node.get("Index Name") for node in nodes(json.loads(row[0] or "")[0]["Plan"])}
        assert index in found, (query, row[0])


async def test_a_filter_over_the_nearest_still_fills_the_page(database: Database, wanted: Catalog) -> None:
    """The index gives forty at a time: without looking further a rare row would not be among them."""
    await migrate(database, wanted, policies_of(wanted))
    await database.execute(
        ROWS
        + f"""
        update public.spots set owner = gen_random_uuid();
        update public.spots set owner = '{ME}', meaning = '[-9,-9,-9]' where title = 'zebra'; analyze public.spots"""
    )
    nearest = f"select from public.spots where owner = '{ME}' order by meaning <-> '[1,1,1]' limit 2"
    async with database.transaction() as transaction:
        await transaction.execute("set local enable_seqscan = off; set local enable_sort = off")
        row = await transaction.fetch_row(Statement(f"select count(*)::text from ({nearest}) x"))
    assert row == ("2",)


async def test_a_server_without_pgvector_is_told_so(database: Database, tmp_path: Path) -> None:
    """The user of the embedded server owns the database and may install nothing that is not trusted."""
    with pytest.raises(ConfigError, match=r"spots\.meaning is a vector, which needs the extension pgvector") as caught:
        await ensure_extensions(read(tmp_path), database.url)
    assert "create extension vector schema public" in (caught.value.hint or "")
    await ensure_extensions(read(tmp_path, '[collections.plain.fields]\ntitle = { type = "text" }\n'), database.url)


@pytest.mark.parametrize(("change", "said"), [
    (('"title^A"', '"title^E"'), "has no weight"), (('"title^A"', '"titel"'), "no field 'titel'"),
    (('"title^A"', '"owner"'), "owner is no text"), (('"title^A"', '"title", "title"'), "stands twice"),
    (('["title^A"]', "[]"), "needs fields"), (('"english"', '"klingon"'), "no language 'klingon'"),
    (('required = true', 'read = "owner = auth.uid()"'), "not everybody may read title"),
    (('required = true', 'hidden = true'), "not everybody may read title"),
    (('language = "english"', 'language_field = "title"'), "no enum of languages"),
    (('"vector(3)"', '"vector"'), "number of dimensions"), (('"vector(3)"', '"vector(16001)"'), "number of dimensions"),
    (('"l2"', '"manhattan"'), "metric"), (('{ type = "point" }', '{ type = "point", metric = "l2" }'), "does not fit type point"),
    (('place =', '_search ='), "_search is the server's own"),
])  # fmt: skip
def test_what_cannot_be_is_said_with_its_line(tmp_path: Path, change: tuple[str, str], said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        read(tmp_path, SPOTS.replace(*change, 1))
    assert "mbaas.toml" in str(caught.value)
