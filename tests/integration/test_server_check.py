"""What a server must be and allow, with a clear word when it does not."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from mbaas.adapters.postgres import server_check
from mbaas.adapters.postgres.database import Database
from mbaas.adapters.postgres.embedded import EmbeddedPostgres
from mbaas.adapters.postgres.system_schema import apply_system_schema
from mbaas.core.errors import ConfigError, MbaasError
from mbaas.core.identity import ANON
from mbaas.core.sql.fragment import Statement
from tests.adversity.proxy import FaultProxy


@pytest.fixture
async def admin(cluster: EmbeddedPostgres, database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """The superuser on this test's database; what it gives to the user ``tenant`` ends with the test."""
    connection = await asyncpg.connect(cluster.admin_url(_name(database_url)))
    await connection.execute("create role tenant login")
    yield connection
    await connection.execute("drop owned by tenant; reassign owned by tenant to postgres; drop role tenant")
    await connection.close()


def _name(url: str) -> str:
    return url.partition("@/")[2].partition("?")[0]


async def _refusal(url: str, **options: bool) -> MbaasError:
    database = Database(url, connections=1, **options)
    with pytest.raises(ConfigError) as caught:
        await database.open()
    return caught.value


async def test_a_server_that_may_lose_writes_is_refused_unless_it_says_so(
    database_url: str, admin: asyncpg.Connection
) -> None:
    name = _name(database_url)
    await admin.execute(f"alter database {name} set mbaas.unsafe_dev = off")
    assert "fsync = off" in (await _refusal(database_url)).message
    asked_for = Database(database_url, connections=1, unsafe_dev=True)
    await asked_for.open()
    await asked_for.close()
    await admin.execute(f"alter database {name} reset all")
    says_so = Database(database_url, connections=1)
    await says_so.open()
    await says_so.close()


async def test_a_server_that_is_too_old_is_refused(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_check, "_OLDEST", 99)
    refusal = await _refusal(database_url)
    assert "99 is the oldest that works" in refusal.message


async def test_a_database_that_is_not_in_utf8_is_refused(
    database_url: str, cluster: EmbeddedPostgres, admin: asyncpg.Connection
) -> None:
    name = f"{_name(database_url)}_ascii"
    await admin.execute(f"create database {name} template template0 encoding 'SQL_ASCII' locale 'C' owner mbaas_owner")
    assert "SQL_ASCII" in (await _refusal(cluster.url(name))).message
    await admin.execute(f"drop database {name}")


async def test_a_user_who_does_not_own_the_database_is_told_how_to(
    database_url: str, admin: asyncpg.Connection
) -> None:
    refusal = await _refusal(database_url.replace("mbaas_owner@", "tenant@"))
    assert refusal.hint == f'alter database "{_name(database_url)}" owner to "tenant"'


async def test_a_user_who_may_not_act_as_the_roles_is_told_how_to(database_url: str, admin: asyncpg.Connection) -> None:
    owner = await asyncpg.connect(database_url)  # as it would by itself: other tests share these roles
    await owner.execute(
        """
        do $$
        declare wanted text;
        begin
            foreach wanted in array array['anon', 'authenticated', 'service_role'] loop
                if not exists (select from pg_roles where rolname = wanted) then
                    execute format('create role %I nologin noinherit', wanted);
                end if;
            end loop;
        end $$
        """
    )
    await owner.close()
    await admin.execute(f"alter database {_name(database_url)} owner to tenant")
    refusal = await _refusal(database_url.replace("mbaas_owner@", "tenant@"))
    assert refusal.hint == 'grant anon, authenticated, service_role to "tenant"'


async def test_an_ordinary_owner_with_the_roles_granted_can_run_us(
    database_url: str, admin: asyncpg.Connection
) -> None:
    """As a managed PostgreSQL hands it out: neither superuser nor able to create roles."""
    await test_a_user_who_may_not_act_as_the_roles_is_told_how_to(database_url, admin)
    await admin.execute("grant anon, authenticated, service_role to tenant")
    database = Database(database_url.replace("mbaas_owner@", "tenant@"), connections=1)
    await database.open()
    await apply_system_schema(database)
    async with database.transaction(caller=ANON) as transaction:
        assert await transaction.fetch_row(Statement("select auth.role()")) == ("anon",)
    await database.close()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("mbaas_owner@", "nobody_here@"), "refuses the connection"),
        (("@/t", "@/there_is_no_t"), "refuses the connection"),
        (("port=5432", "port=many"), "database.url"),
        (("postgresql://", "mysql://"), "database.url"),
    ],
)
async def test_a_url_that_can_never_work_is_said_at_once(database_url: str, change: tuple[str, str], said: str) -> None:
    assert said in (await _refusal(database_url.replace(*change))).message


async def test_tls_that_the_server_does_not_offer_is_said(cluster: EmbeddedPostgres, database_url: str) -> None:
    async with FaultProxy(cluster.directory / "run" / ".s.PGSQL.5432") as proxy:
        url = f"postgresql://mbaas_owner@127.0.0.1:{proxy.port}/{_name(database_url)}?sslmode=require"
        assert "TLS" in (await _refusal(url)).message
