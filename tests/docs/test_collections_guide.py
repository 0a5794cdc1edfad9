"""Every TOML block of the guide loads, its rules compile, and PostgreSQL takes the tables."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from mbaas.adapters.postgres.database import Database
from mbaas.adapters.postgres.embedded import EmbeddedPostgres
from mbaas.adapters.postgres.extensions import ensure_extensions
from mbaas.adapters.postgres.migrate import migrate, plan
from mbaas.adapters.postgres.system_schema import apply_system_schema
from mbaas.config.collections import RESERVED
from mbaas.config.load import load
from mbaas.config.settings import Config
from mbaas.core.rules.compile import compile_rules
from mbaas.core.schema.catalog import Catalog, Collection
from mbaas.core.schema.types import SCALARS
from mbaas.core.sql.fragment import Statement
from mbaas.core.sql.policy import render_policies

REPOSITORY = Path(__file__).parents[2]
GUIDE = (REPOSITORY / "docs" / "guides" / "collections.md").read_text()
BLOCKS = {
    (re.findall(r"^##? (.+)$", GUIDE[: block.start()], re.MULTILINE))[-1]: block[1]
    for block in re.finditer(r"^```toml\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)
}
ENVIRON = {"PORT": "9000", "SMTP_PASSWORD": "12345"}


def loaded(tmp_path: Path, block: str) -> Config:
    shutil.copytree(REPOSITORY / "sql", tmp_path / "sql", dirs_exist_ok=True)
    (tmp_path / "mbaas.toml").write_text(block)
    return load(tmp_path / "mbaas.toml", ENVIRON)


@pytest.mark.parametrize("block", BLOCKS.values(), ids=BLOCKS)
def test_a_block_of_the_guide_loads_and_its_rules_compile(tmp_path: Path, block: str) -> None:
    config = loaded(tmp_path, block)
    assert compile_rules(config.catalog).catalog is config.catalog


def test_what_the_guide_says_of_the_environment_is_so(tmp_path: Path) -> None:
    config = loaded(tmp_path, BLOCKS["The environment"])
    assert (config.server.port, config.mail.password) == (9000, "12345")


def test_the_guide_shows_every_type(tmp_path: Path) -> None:
    fields = loaded(tmp_path, BLOCKS["Types"]).catalog.collections["samples"].fields
    ranges = {name for name in SCALARS if name.endswith("range")}
    assert {field.type.name for field in fields} | ranges | {"tsvector"} == set(SCALARS)
    assert all(name in GUIDE for name in ranges)


def test_the_guide_names_every_reserved_word() -> None:
    assert [word for word in sorted(RESERVED) if f"`{word}`" not in GUIDE] == []


async def test_postgresql_takes_every_table_of_the_guide(
    tmp_path: Path, cluster: EmbeddedPostgres, database: Database
) -> None:
    collections: dict[str, Collection] = {}
    for block in BLOCKS.values():
        found = loaded(tmp_path, block).catalog.collections
        assert not found.keys() & collections.keys(), "a collection stands in the guide twice"
        collections |= found
    catalog = Catalog(collections=collections)
    rules = compile_rules(catalog)

    def policies(name: str) -> tuple[str, ...]:
        return render_policies(rules, name)

    await apply_system_schema(database)
    await ensure_extensions(catalog, cluster.admin_url(database.url.partition("?")[0].rpartition("/")[2]))
    await migrate(database, catalog, policies)
    assert (await plan(database, catalog, policies)).steps == ()
    found_names = await database.fetch_rows(
        Statement("select tablename::text from pg_tables where schemaname = 'public'")
    )
    assert {name for (name,) in found_names} == {name for name, made in collections.items() if not made.view}


async def test_every_default_of_the_guide_can_be_inserted(tmp_path: Path, database: Database) -> None:
    catalog = loaded(tmp_path, BLOCKS["Defaults"]).catalog
    await apply_system_schema(database)
    await migrate(database, catalog, lambda _: ())
    row = await database.fetch_row(
        Statement(
            "insert into tasks default values returning title, count::text, due::text, grid::text, settings->>'theme'"
        )
    )
    assert row == ("Untitled", "0", "2026-12-31", "{{0,0},{0,0}}", "dark")
