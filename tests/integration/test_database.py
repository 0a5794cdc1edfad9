"""The one door to PostgreSQL."""

import asyncio

import asyncpg
import pytest

from mbaas.adapters.postgres.database import Database
from mbaas.adapters.postgres.embedded import EmbeddedPostgres
from mbaas.adapters.postgres.errors import translated
from mbaas.adapters.postgres.system_schema import apply_system_schema
from mbaas.core.errors import DatabaseError, MbaasError, Overloaded, Timeout, TransactionConflict, Unavailable
from mbaas.core.identity import ANON, Identity
from mbaas.core.sql.fragment import Statement, concat, statement, value

USER = "7f1b2c5e-0000-4000-8000-000000000001"


async def test_values_travel_as_text(database: Database) -> None:
    row = await database.fetch_row(
        statement(concat("select ", value("7", "integer"), ", ", value(("1", "2"), "integer[]")))
    )
    assert row == ("7", ["1", "2"])


async def test_a_bad_literal_is_refused_before_any_row_is_seen(database: Database) -> None:
    with pytest.raises(DatabaseError) as caught:
        await database.fetch_row(Statement("select 1 where false and $1::integer = 1", ("abc",)))
    assert caught.value.sqlstate == "22P02"


@pytest.mark.parametrize("text", ["half of a pair: \ud800", "nul: \0"])
async def test_a_text_that_cannot_be_stored_is_refused_as_such(database: Database, text: str) -> None:
    with pytest.raises(DatabaseError) as caught:
        await database.fetch_row(Statement("select $1::text", (text,)))
    assert caught.value.sqlstate == "22021"
    assert await database.fetch_row(Statement("select 1")) == ("1",)


async def test_claims_and_role_end_with_the_transaction(database: Database) -> None:
    await apply_system_schema(database)
    seen = Statement("select current_user::text, current_setting('request.jwt.claims', true)")
    async with database.transaction(caller=Identity(role="anon", claims={"sub": "u"})) as transaction:
        assert await transaction.fetch_row(seen) == ("anon", '{"sub":"u"}')
    assert await database.fetch_row(seen) in {("mbaas_owner", ""), ("mbaas_owner", None)}


async def test_a_block_that_raises_leaves_nothing_behind(database: Database) -> None:
    await database.execute("create table notes (id integer)")
    with pytest.raises(ZeroDivisionError):
        async with database.transaction() as transaction:
            await transaction.execute("insert into notes values (1)")
            raise ZeroDivisionError
    with pytest.raises(TimeoutError):  # its own, no statement's: passed on as it is
        async with database.transaction() as transaction:
            await transaction.execute("insert into notes values (2)")
            raise TimeoutError
    assert await database.fetch_rows(Statement("select id from notes")) == []


async def test_a_block_that_hides_a_failed_statement_does_not_commit_and_says_so(database: Database) -> None:
    await database.execute("create table notes (id integer primary key)")
    with pytest.raises(DatabaseError) as caught:
        async with database.transaction() as transaction:
            await transaction.execute("insert into notes values (1)")
            with pytest.raises(DatabaseError):
                await transaction.execute("insert into notes values (1)")
    assert caught.value.sqlstate == "25P02"
    assert await database.fetch_rows(Statement("select id from notes")) == []


async def test_a_transaction_cannot_be_used_once_it_is_over(database: Database) -> None:
    async with database.transaction() as transaction:
        await transaction.fetch_row(Statement("select 1"))
    with pytest.raises(RuntimeError):
        await transaction.fetch_row(Statement("select 1"))


async def test_a_read_only_transaction_refuses_writes(database: Database) -> None:
    await database.execute("create table notes (id integer)")
    with pytest.raises(DatabaseError) as caught:
        async with database.transaction(read_only=True) as transaction:
            await transaction.execute("insert into notes values (1)")
    assert caught.value.sqlstate == "25006"


async def test_deferred_triggers_still_run_as_the_caller(database: Database) -> None:
    await apply_system_schema(database)
    await database.execute(
        """
        create table notes (id integer);
        create table seen (role text, uid uuid);
        grant all on notes, seen to authenticated;
        grant usage on schema public to authenticated;
        create function see() returns trigger language plpgsql as
            $$ begin insert into seen values (current_user, auth.uid()); return null; end $$;
        grant execute on function see() to authenticated;
        create constraint trigger see after insert on notes deferrable initially deferred
            for each row execute function see();
        """
    )
    caller = Identity(role="authenticated", claims={"sub": USER, "role": "authenticated"})
    async with database.transaction(caller=caller) as transaction:
        await transaction.execute("insert into notes values (1)")
    assert await database.fetch_rows(Statement("select * from seen")) == [("authenticated", USER)]


async def test_a_broken_deferred_constraint_fails_the_transaction(database: Database) -> None:
    await database.execute(
        """
        create table a (id integer primary key);
        create table b (a integer references a deferrable initially deferred);
        """
    )
    with pytest.raises(DatabaseError) as caught:
        async with database.transaction() as transaction:
            await transaction.execute("insert into b values (1)")
    assert (caught.value.sqlstate, caught.value.table, caught.value.constraint) == ("23503", "b", "b_a_fkey")
    assert caught.value.details == 'Key (a)=(1) is not present in table "a".'


async def test_what_a_script_sets_ends_with_it(database: Database) -> None:
    await database.execute("set search_path = pg_catalog; set role = none")
    rows = await asyncio.gather(*(database.fetch_row(Statement("show search_path")) for _ in range(4)))
    assert set(rows) == {("public",)}


@pytest.mark.parametrize(
    ("sqlstate", "expected"),
    [
        ("08006", Unavailable),
        ("53100", Unavailable),  # the disk is full
        ("53300", Overloaded),
        ("53400", DatabaseError),
        ("57014", Timeout),
        ("57P01", Unavailable),
        ("58030", DatabaseError),  # the disk does not read: no use to try again
        ("55P03", TransactionConflict),
        ("21000", DatabaseError),
        ("22P02", DatabaseError),
        ("23505", DatabaseError),
        ("42501", DatabaseError),
        ("42P17", DatabaseError),
        ("P0001", DatabaseError),
        ("PT402", DatabaseError),
        ("PGRST", DatabaseError),
        ("XX000", DatabaseError),
    ],
)
async def test_each_state_becomes_one_of_our_errors(
    database: Database, sqlstate: str, expected: type[MbaasError]
) -> None:
    script = f"""
        do $$ begin
            raise exception using errcode = '{sqlstate}', message = 'm', detail = 'd', hint = 'h',
                table = 't', constraint = 'c';
        end $$
    """
    with pytest.raises(MbaasError) as caught:
        async with database.transaction() as transaction:
            await transaction.execute(script)
    assert type(caught.value) is expected
    assert caught.value.__cause__ is not None
    if isinstance(caught.value, DatabaseError):
        told = caught.value
        assert (told.sqlstate, told.message, told.details, told.hint) == (sqlstate, "m", "d", "h")
        assert (told.table, told.constraint) == ("t", "c")


async def test_a_wrong_use_of_the_driver_stays_an_ordinary_error(database: Database) -> None:
    for _ in range(3):
        with pytest.raises(asyncpg.InterfaceError):
            await database.fetch_row(Statement("select $1::text", ("one", "too many")))
    assert await database.fetch_row(Statement("select 1")) == ("1",)


async def test_another_way_to_the_database_gives_the_same_errors(database_url: str) -> None:
    other = await asyncpg.connect(database_url)
    with pytest.raises(DatabaseError) as caught, translated():
        await other.execute("select nothing")
    await other.close()
    assert caught.value.sqlstate == "42703"


async def test_a_statement_keeps_working_when_its_table_changes(database: Database) -> None:
    await database.execute("create table notes (id integer); insert into notes values (1)")
    everything = Statement("select * from notes")
    assert set(map(len, await asyncio.gather(*(database.fetch_row(everything) for _ in range(4))))) == {1}
    await database.execute("alter table notes add column title text, alter column id type text")
    rows = await asyncio.gather(*(database.fetch_row(everything) for _ in range(4)))
    assert set(rows) == {("1", None)}


async def test_in_a_transaction_such_a_change_asks_for_another_try(database: Database) -> None:
    await database.execute("create table notes (id integer); insert into notes values (1)")
    everything = Statement("select * from notes")
    async with database.transaction() as one, database.transaction() as other:
        await one.fetch_row(everything)
        await other.fetch_row(everything)
    await database.execute("alter table notes add column title text")
    for _ in range(2):  # once on each connection
        with pytest.raises(Unavailable):
            async with database.transaction() as one, database.transaction() as other:
                await one.fetch_row(everything)
                await other.fetch_row(everything)
    async with database.transaction() as one, database.transaction() as other:
        assert await one.fetch_row(everything) == await other.fetch_row(everything) == ("1", None)


@pytest.mark.parametrize(("failures", "succeeds"), [(2, True), (3, False)])
async def test_a_serialisation_failure_is_tried_again_a_few_times(
    database: Database, failures: int, succeeds: bool
) -> None:
    # A sequence does not roll back, so it counts the tries.
    await database.execute(
        f"""
        create sequence tries;
        create function work() returns text language plpgsql as $$
        begin
            if nextval('tries') <= {failures} then raise exception using errcode = '40001'; end if;
            return 'done';
        end $$
        """
    )
    if succeeds:
        assert await database.fetch_row(Statement("select work()")) == ("done",)
    else:
        with pytest.raises(TransactionConflict) as caught:
            await database.fetch_row(Statement("select work()"))
        assert caught.value.sqlstate == "40001"
    assert await database.fetch_row(Statement("select last_value from tries")) == ("3",)


async def test_the_victim_of_a_deadlock_is_tried_again(
    database: Database, database_url: str, cluster: EmbeddedPostgres
) -> None:
    await database.execute("create table notes (id integer primary key, n integer); insert into notes values (1), (2)")
    name = database_url.partition("@/")[2].partition("?")[0]
    admin = await asyncpg.connect(cluster.admin_url(name))
    await admin.execute(f"alter database {name} set deadlock_timeout = '300ms'")
    await admin.execute("set deadlock_timeout = '60s'")
    await admin.execute("begin; update notes set n = 1 where id = 1")
    impatient = Database(database_url, connections=1)
    await impatient.open()
    both = """
        with b as (update notes set n = 2 where id = 2 returning 1)
        update notes set n = 2 where id = 1 and exists (table b)
    """
    victim = asyncio.create_task(impatient.fetch_row(Statement(both)))
    waits = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
    async with asyncio.timeout(5):
        while await admin.fetchval(waits) == 0:
            pass
    await admin.execute("update notes set n = 1 where id = 2; commit")  # waits for the victim, which waits for us
    await victim
    rows = await admin.fetch("select n from notes")
    await admin.close()
    await impatient.close()
    assert [row["n"] for row in rows] == [2, 2]


async def test_the_system_schema_is_applied_once(database: Database) -> None:
    assert "0001_foundation.sql" in await apply_system_schema(database)
    assert await apply_system_schema(database) == ()
    claims = {"sub": USER, "role": "authenticated", "app_metadata": {"org": 7}}
    async with database.transaction(caller=Identity(role="authenticated", claims=claims)) as transaction:
        row = await transaction.fetch_row(Statement("select auth.uid(), auth.role(), auth.claim('app_metadata.org')"))
    assert row == (USER, "authenticated", "7")


async def test_our_own_statements_do_not_run_as_a_superuser(database: Database) -> None:
    with pytest.raises(DatabaseError) as caught:
        await database.fetch_row(Statement("select pg_read_file('/etc/passwd')"))
    assert caught.value.sqlstate == "42501"
    with pytest.raises(DatabaseError) as caught:
        await database.execute("copy (select 1) to program 'true'")
    assert caught.value.sqlstate == "42501"


async def test_a_caller_sees_no_table_of_ours(database: Database) -> None:
    await apply_system_schema(database)
    with pytest.raises(DatabaseError) as caught:
        async with database.transaction(caller=ANON) as transaction:
            await transaction.fetch_row(Statement("select * from mbaas.system_migrations"))
    assert caught.value.sqlstate == "42501"


async def test_patient_statements_leave_a_connection_to_others_and_have_theirs_when_it_is_their_turn(
    database_url: str,
) -> None:
    few = Database(database_url, connections=3, lists=2, acquire_timeout_s=5.0)
    await few.open()
    holder = await asyncpg.connect(database_url)
    await holder.execute("select pg_advisory_lock(7)")
    held = Statement("select pg_advisory_xact_lock_shared(7)::text, pg_backend_pid()::text")
    patient = [asyncio.create_task(few.fetch_row(held, patient=True)) for _ in range(5)]
    waiting = "select count(*) from pg_locks where locktype = 'advisory' and not granted"
    while await holder.fetchval(waiting) < 2:
        await asyncio.sleep(0)
    for _ in range(10):  # the third connection is for these, again and again
        assert await few.fetch_row(Statement("select 1")) == ("1",)
    assert await holder.fetchval(waiting) == 2
    patient[4].cancel()
    await holder.execute("select pg_advisory_unlock(7)")
    rows = await asyncio.gather(*patient[:4])
    assert len({row[1] for row in rows if row is not None}) <= 2
    assert await asyncio.gather(*(few.fetch_row(Statement("select 1"), patient=True) for _ in range(9))) == [("1",)] * 9
    await holder.close()
    await few.close()


async def test_one_connection_is_for_patient_statements_too(database_url: str) -> None:
    one = Database(database_url, connections=1, lists=4)
    await one.open()
    asked = [one.fetch_row(Statement("select 1"), patient=bool(number % 2)) for number in range(10)]
    assert await asyncio.gather(*asked) == [("1",)] * 10
    await one.close()
