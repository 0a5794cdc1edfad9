"""kill -9 of the whole server, and of the PostgreSQL under it, while clients write through the API."""

from __future__ import annotations

import os
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx
import pytest

from mbaas.adapters.postgres.cluster.processes import read_pid_file
from tests.adversity.crash import Report, run_crashes
from tests.contract.conftest import free_port
from tests.throwaway import throw_away_directory

SOAK = bool(os.environ.get("MBAAS_SOAK"))
SEEDS = range(20) if SOAK else range(3)
KILLS = 3 if SOAK else 2  # of the server, which takes seconds to start
PROJECT = """
[log]
level = "error"
[limits.rate]
enabled = false
[collections.pairs.fields]
number = { type = "bigint", required = true }
part = { type = "int", required = true }
filler = { type = "text" }
[[collections.pairs.indexes]]
fields = ["number", "part"]
unique = true
"""


class Api:
    """Two rows a number in one request, with the service key."""

    def __init__(self, root: Path, port: int) -> None:
        self._root = root
        self._http = httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}/rest/v1", timeout=10)

    def _headers(self) -> dict[str, str]:
        secrets = tomllib.loads((self._root / ".mbaas" / "secrets.toml").read_text())
        return {"apikey": secrets["service_key"]}

    async def write(self, number: int) -> None:
        rows = [{"number": number, "part": part, "filler": "x" * 500} for part in (1, 2)]
        answer = await self._http.post("/pairs", json=rows, headers=self._headers())
        if answer.status_code == 409:  # a former try of this run that was acknowledged to nobody
            return
        answer.raise_for_status()

    async def read(self) -> Mapping[int, int]:
        found: Counter[int] = Counter()
        while True:
            headers = {**self._headers(), "range": f"{found.total()}-{found.total() + 999}"}
            rows = (await self._http.get("/pairs?select=number&order=number,part", headers=headers)).json()
            found.update(row["number"] for row in rows)
            if len(rows) < 1000:
                break
        await self._http.delete("/pairs?number=gte.0", headers=self._headers())
        await self._http.aclose()
        return found


@pytest.fixture(scope="module")
def root() -> Iterator[Path]:
    # What a killed process had written stays in the kernel's hands, on a disk as in memory.
    with throw_away_directory("mbaas-killed-") as name:
        (Path(name) / "mbaas.toml").write_text(PROJECT)
        yield Path(name)


def command(root: Path, port: int) -> list[str]:
    return [sys.executable, "-m", "mbaas_cli", "serve", "--config", str(root / "mbaas.toml"), "--port", str(port)]


def patience(report: Report) -> float:
    """Five seconds on a machine of one's own; beside the other tests, as long as three starts take there."""
    return 5.0 if SOAK else max(15.0, 3 * report.start_s)


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_killed_server_comes_back_with_every_acknowledged_write(root: Path, seed: int) -> None:
    port = free_port()
    api = Api(root, port)
    report = await run_crashes(command(root, port), api.write, api.read, seed=seed, parts=2, kills=KILLS)
    report.check(ready_within_s=patience(report))


@pytest.mark.parametrize("seed", SEEDS)
async def test_the_server_outlives_its_postgres(root: Path, seed: int) -> None:
    def postmaster(_: int) -> int | None:
        found = read_pid_file(root / ".mbaas" / "postgres" / "data")
        return None if found is None else found.pid

    port = free_port()
    api = Api(root, port)
    report = await run_crashes(command(root, port), api.write, api.read, seed=seed, parts=2, victim=postmaster)
    report.check(ready_within_s=patience(report))
    assert report.errors <= {httpx.HTTPStatusError}, "a request got no answer although the server lived"
