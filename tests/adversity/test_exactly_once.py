"""An answer that is lost, anywhere: the same request sent again has exactly one effect."""

from __future__ import annotations

import asyncio
import os
import random
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from mbaas.adapters.postgres.cluster.initialise import OWNER
from mbaas.adapters.postgres.database import Database
from mbaas.adapters.postgres.embedded import EmbeddedPostgres
from mbaas.core.sql.fragment import Statement
from mbaas.hooks.dispatch import Hooks
from tests.adversity.crash import run_crashes
from tests.adversity.proxy import FaultProxy
from tests.adversity.test_serve_killed import Api as Keys
from tests.adversity.test_serve_killed import command
from tests.contract.conftest import free_port, run_sql
from tests.integration.records.conftest import RULES, Api, sample_template
from tests.sample import P1
from tests.throwaway import throw_away_directory

SEEDS = range(20) if os.environ.get("MBAAS_SOAK") else range(3)
PROJECT = """
[log]
level = "error"
[limits.rate]
enabled = false
[collections.marks.fields]
number = { type = "bigint", required = true }
"""

__all__ = ["sample_template"]


# --- PostgreSQL's word that it has committed is lost -----------------------------------------------------------------


@pytest.fixture
async def behind(cluster: EmbeddedPostgres, sample_template: str) -> AsyncIterator[tuple[Api, FaultProxy]]:
    """The sample app on a database behind a proxy."""
    name = f"lost_{uuid.uuid4().hex}"
    await run_sql(cluster.url("postgres"), f"create database {name} template {sample_template} strategy file_copy")
    socket = next(Path(cluster.url(name).split("host=")[1].split("&")[0]).glob(".s.PGSQL.*[0-9]"))
    async with FaultProxy(socket) as proxy:
        database = Database(f"postgresql://{OWNER}@127.0.0.1:{proxy.port}/{name}", connections=2, unsafe_dev=True)
        await database.open()
        yield Api(database, RULES, Hooks()), proxy
        await database.close()
    admin = await asyncpg.connect(cluster.admin_url("postgres"))
    await admin.execute(f"drop database {name} with (force)")
    await admin.close()


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_lost_answer_to_a_commit_costs_nothing_twice(behind: tuple[Api, FaultProxy], seed: int) -> None:
    api, proxy = behind
    dice = random.Random(seed)
    bump = {"method": "POST", "path": "/rpc/bump", "body": {"post": P1}}
    writes: list[tuple[str, str, Any]] = [
        ("POST", "/rpc/bump", {"post": P1}),
        ("POST", "/batch/v1", {"operations": [bump]}),
        ("POST", "/batch/v1", {"operations": [bump, {"method": "GET", "path": "/posts"}]}),
    ]
    for number in range(1, 6):
        method, path, body = dice.choice(writes)
        word = dice.choice([b"begin", P1.encode(), b"commit", b"commit"])
        proxy.lose_the_answer_to(word)
        answers = []
        while not answers or answers[-1].status_code != 200 + 4 * (path == "/rpc/bump"):
            answers.append(await api(method, path, "ana", body=body, idempotency_key=f"k{number}"))
            assert len(answers) < 100, answers[-1].text
        assert answers[0].status_code == 503, "the answer was not lost"
        assert (answers[-1].headers.get("idempotency-replayed") == "true") == (word == b"commit")
        row = await api.database.fetch_row(Statement("select views from posts where id = $1::uuid", (P1,)))
        assert row is not None
        assert int(row[0] or 0) == 10 + number, (path, word)
    assert proxy.lost == 5


# --- the server is killed, anywhere ----------------------------------------------------------------------------------


class Marks(Keys):
    """One row a number, by itself or in a batch. What got no answer is sent again, before anything else, until it does."""

    def __init__(self, root: Path, port: int, run: str) -> None:
        super().__init__(root, port)
        self._run = run
        self._http.base_url = httpx.URL(f"http://127.0.0.1:{port}")
        self._unanswered: list[int] = []

    async def write(self, number: int) -> None:
        if self._unanswered:
            await self._send(self._unanswered.pop(0))
        await self._send(number)

    async def _send(self, number: int) -> None:
        body: Any = {"number": number}
        path = "/rest/v1/marks"
        if number % 2:
            path, body = "/batch/v1", {"operations": [{"method": "POST", "path": "/marks", "body": body}]}
        try:
            headers = {**self._headers(), "idempotency-key": f"{self._run}-{number}"}
            answer = await self._http.post(path, json=body, headers=headers)
            answer.raise_for_status()
        except BaseException:
            self._unanswered.append(number)
            raise

    async def read(self) -> Mapping[int, int]:
        while self._unanswered:
            await self._send(self._unanswered.pop())
        rows: list[dict[str, int]] = []
        while True:
            page = f"/rest/v1/marks?select=number&order=id&limit=1000&offset={len(rows)}"
            found = (await self._http.get(page, headers=self._headers())).json()
            rows += found
            if len(found) < 1000:
                break
        await self._http.delete("/rest/v1/marks?number=gte.0", headers=self._headers())
        await self._http.aclose()
        return Counter(row["number"] for row in rows)


@pytest.fixture(scope="module")
def root(cluster: EmbeddedPostgres) -> Iterator[tuple[Path, str]]:
    name = f"once_{uuid.uuid4().hex}"
    asyncio.run(run_sql(cluster.admin_url("postgres"), f"create database {name} owner {OWNER}"))
    with throw_away_directory("mbaas-once-") as folder:
        (Path(folder) / "mbaas.toml").write_text(f'[database]\nurl = "{cluster.url(name)}"\n' + PROJECT)
        yield Path(folder), name


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_killed_server_has_done_each_write_once(root: tuple[Path, str], seed: int) -> None:
    """Lost is what is not there, torn what is there more than once."""
    port = free_port()
    marks = Marks(root[0], port, f"seed{seed}")
    report = await run_crashes(
        [*command(root[0], port), "--unsafe-dev"], marks.write, marks.read, seed=seed, parts=1, kills=1, writers=8
    )
    report.check(ready_within_s=30.0, fails_within_s=30.0)  # on a machine as busy as it likes
