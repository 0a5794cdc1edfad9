"""kill -9 during writes: what was acknowledged stays, nothing stays by half, and it is ready again within 5 seconds."""

import asyncio
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import psutil
import pytest

from mbaas.adapters.postgres.cluster.processes import read_pid_file
from mbaas.adapters.postgres.database import Database
from mbaas.core.errors import Unavailable
from mbaas.core.sql.fragment import Statement
from tests.adversity.crash import run_crashes
from tests.throwaway import throw_away_directory

SEEDS = range(20) if os.environ.get("MBAAS_SOAK") else range(3)


class Pairs:
    """Two rows a number, in one transaction, through connections that mend themselves."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._database: Database | None = None
        self._opening = asyncio.Lock()

    async def _opened(self) -> Database:
        async with self._opening:
            if self._database is None:
                url = f"postgresql://mbaas_owner@/mbaas?host={self._directory}/run&port=5432"
                database = Database(url, connections=4)
                await database.open(timeout_s=0.5)
                await database.execute("drop table if exists pairs")
                await database.execute("create table pairs (number bigint, part int, filler text)")
                self._database = database
        return self._database

    async def write(self, number: int) -> None:
        database = await self._opened()
        insert = "insert into pairs values ($1::bigint, $2::int, repeat('x', 500))"
        async with database.transaction() as transaction:
            await transaction.fetch_row(Statement(insert, (str(number), "1")))
            await transaction.fetch_row(Statement(insert, (str(number), "2")))

    async def read(self) -> Mapping[int, int]:
        database = await self._opened()
        rows = await database.fetch_rows(Statement("select number, count(*) from pairs group by number"))
        await database.close()
        return {int(number or ""): int(count or "") for number, count in rows}


@pytest.fixture(scope="module")
def directory() -> Iterator[Path]:
    # What a killed process had written stays in the kernel's hands, on a disk as in memory.
    with throw_away_directory("mbaas-crash-") as name:
        yield Path(name) / "pg"


def _command(directory: Path) -> list[str]:
    return [sys.executable, str(Path(__file__).with_name("run_postgres.py")), str(directory)]


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_killed_postmaster_comes_back_with_every_acknowledged_write(directory: Path, seed: int) -> None:
    def postmaster(_: int) -> int | None:
        found = read_pid_file(directory / "data")
        return None if found is None else found.pid

    pairs = Pairs(directory)
    report = await run_crashes(_command(directory), pairs.write, pairs.read, seed=seed, parts=2, victim=postmaster)
    report.check()
    assert report.errors <= {Unavailable}


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_killed_server_finds_its_postgres_and_every_acknowledged_write(directory: Path, seed: int) -> None:
    pairs = Pairs(directory)
    report = await run_crashes(_command(directory), pairs.write, pairs.read, seed=seed, parts=2)
    report.check()
    assert report.errors <= {Unavailable}


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_killed_backend_costs_no_acknowledged_write(directory: Path, seed: int) -> None:
    def backend(_: int) -> int | None:
        found = read_pid_file(directory / "data")
        children = [] if found is None else psutil.Process(found.pid).children()
        return next((child.pid for child in children if "mbaas_owner mbaas" in " ".join(child.cmdline())), None)

    pairs = Pairs(directory)
    report = await run_crashes(_command(directory), pairs.write, pairs.read, seed=seed, parts=2, victim=backend)
    report.check()
    assert report.errors <= {Unavailable}
