"""A changed schema or rule is in force on all nodes within five seconds, without a restart and without an error."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from mbaas.adapters.postgres.cluster.initialise import OWNER
from mbaas.adapters.postgres.embedded import EmbeddedPostgres
from tests.contract.conftest import Server, start_server, stop_server
from tests.throwaway import throw_away_directory

LIVE_S = 5.0
LOOK_S = 0.02  # from one look to the next: who looks all the time takes the processor from the nodes
MORE = "00000000-0000-4000-8000-000000000001"
MOOD = 'mood = { type = "int" }'
UPSERT = "resolution=merge-duplicates,return=representation"

TOML = """\
[collections.notes.fields]
text = {{ type = "text", required = true }}
shown = {{ type = "bool", default = true }}
{fields}
[collections.notes.rules]
{rules}
[functions.all_notes]
sql = "all_notes.sql"
execute = ["anon", "authenticated"]
"""
RULES = 'select = "{select}"\ninsert = "true"\nupdate = "true"'
FUNCTION = "create function all_notes() returns setof notes language sql stable as 'select * from notes'"


class Nodes:
    """Two servers on one database, and a third folder from which migrations are applied."""

    def __init__(self, first: Server, second: Server, operator: Path) -> None:
        self.servers = (first, second)
        self.operator = operator
        self.clients = [httpx.Client(base_url=server.url, headers=server.headers()) for server in self.servers]

    def write(self, *, fields: str = "", select: str | None = "shown", root: Path | None = None) -> None:
        rules = RULES.format(select=select) if select is not None else ""
        text = TOML.format(fields=fields, rules=rules)
        ((root or self.operator) / "mbaas.toml").write_text(text)

    def apply(self, **wanted: Any) -> float:
        """Write and apply it. The moment it was applied."""
        self.write(**wanted)
        mbaas(self.operator, "migrate", "apply", "--allow-destructive")
        return time.monotonic()

    def all_come_to(self, condition: Callable[[httpx.Client], bool], since: float) -> None:
        for client, server in zip(self.clients, self.servers, strict=True):
            while not condition(client):
                assert time.monotonic() < since + LIVE_S, (server.root / "serve.log").read_text()[-3000:]
                time.sleep(LOOK_S)

    def log(self, number: int) -> list[dict[str, Any]]:
        text = (self.servers[number].root / "serve.log").read_text()
        return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def mbaas(root: Path, *words: str) -> Any:
    command = [sys.executable, "-m", "mbaas_cli", *words, "--json"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, (done.stdout, done.stderr)
    return json.loads(done.stdout)


def administer(cluster: EmbeddedPostgres, script: str) -> None:
    async def run() -> None:
        admin = await asyncpg.connect(cluster.admin_url("postgres"))
        await admin.execute(script)
        await admin.close()

    asyncio.run(run())


@pytest.fixture(scope="module")
def nodes(cluster: EmbeddedPostgres) -> Iterator[Nodes]:
    name = f"live_{os.getpid()}"
    administer(cluster, f"create database {name} owner {OWNER}")
    with throw_away_directory("mbaas-live-") as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("MBAAS_DATABASE__URL", cluster.url(name))
        patch.setenv("MBAAS_LIMITS__RATE__ENABLED", "false")
        roots = [Path(folder) / part for part in ("first", "second", "operator")]
        for root in roots:
            root.mkdir()
            (root / "mbaas.toml").write_text(TOML.format(fields="", rules=RULES.format(select="shown")))
            (root / "all_notes.sql").write_text(FUNCTION)
        mbaas(roots[0], "keys", "list")
        shutil.copytree(roots[0] / ".mbaas", roots[1] / ".mbaas")
        with ThreadPoolExecutor() as threads:
            servers = list(threads.map(start_server, roots[:2]))
        try:
            made = Nodes(servers[0], servers[1], roots[2])
            notes = [{"text": "plain", "shown": True}, {"text": "dark", "shown": False}]
            assert made.clients[0].post("/rest/v1/notes", json=notes).status_code == 201
            yield made
            for client in made.clients:
                client.close()
            assert [stop_server(server) for server in servers] == [0, 0]
        finally:
            for server in servers:
                server.process.kill()
                server.process.wait()
    administer(cluster, f"drop database {name} with (force)")


@pytest.fixture
def traffic(nodes: Nodes) -> Iterator[list[tuple[int, str]]]:
    """Clients that read, write and call all the time. What they got that they must not."""
    ends = threading.Event()
    wrong: list[tuple[int, str]] = []
    answered = [0]

    def requests(client: httpx.Client) -> Iterator[httpx.Response]:
        yield client.get("/rest/v1/notes")
        yield client.get("/rest/v1/notes", params={"select": "id,text,mood"})
        yield client.post("/rest/v1/notes", json={"id": MORE, "text": "more"}, headers={"prefer": UPSERT})
        yield client.patch("/rest/v1/notes", params={"id": f"eq.{MORE}"}, json={"mood": 1})
        yield client.get("/rest/v1/rpc/all_notes")
        yield client.get("/openapi.json")

    def go(server: Server) -> None:
        with httpx.Client(base_url=server.url, headers=server.headers()) as client:
            while not ends.wait(0.1):  # or there is no processor left for the migrations
                for response in requests(client):
                    answered[0] += 1
                    if response.status_code >= 500:
                        wrong.append((response.status_code, response.text))

    threads = [threading.Thread(target=go, args=(server,)) for server in nodes.servers]
    for thread in threads:
        thread.start()
    yield wrong
    ends.set()
    for thread in threads:
        thread.join()
    assert answered[0] > 20


def texts(client: httpx.Client, path: str = "/rest/v1/notes") -> set[str]:
    response = client.get(path)
    assert response.status_code == 200, response.text
    return {row["text"] for row in response.json()}


def test_a_new_field_and_a_new_rule_are_in_force_on_both_nodes(nodes: Nodes, traffic: list[tuple[int, str]]) -> None:
    applied = nodes.apply(fields=MOOD, select="not shown")

    def has_field(client: httpx.Client) -> bool:
        return client.get("/rest/v1/notes", params={"select": "mood"}).status_code == 200

    nodes.all_come_to(has_field, applied)
    nodes.all_come_to(lambda client: texts(client) == {"dark"}, applied)
    nodes.all_come_to(lambda client: texts(client, "/rest/v1/rpc/all_notes") == {"dark"}, applied)
    nodes.all_come_to(lambda client: "mood" in client.get("/openapi.json").text, applied)
    assert traffic == []


def test_a_rule_alone_is_in_force_on_both_nodes(nodes: Nodes, traffic: list[tuple[int, str]]) -> None:
    applied = nodes.apply(fields=MOOD, select=None)
    nodes.all_come_to(lambda client: texts(client) == set(), applied)
    nodes.all_come_to(lambda client: client.get("/rest/v1/rpc/all_notes").status_code == 401, applied)
    assert traffic == []


def test_fields_that_change_their_type_or_go_are_no_error(nodes: Nodes, traffic: list[tuple[int, str]]) -> None:
    nodes.apply(fields='temper = { type = "bigint", renamed_from = "mood" }')
    applied = nodes.apply()

    def is_gone(client: httpx.Client) -> bool:
        return client.get("/rest/v1/notes", params={"select": "temper"}).status_code == 400

    nodes.all_come_to(is_gone, applied)
    mbaas(nodes.operator, "migrate", "down")
    nodes.all_come_to(lambda client: not is_gone(client), time.monotonic())
    assert traffic == []


def test_a_file_with_a_fault_changes_nothing_and_is_told_with_its_line(nodes: Nodes) -> None:
    nodes.apply()
    root = nodes.servers[1].root
    nodes.write(root=root, select="nobody = 1")
    found: list[dict[str, Any]] = []
    began = time.monotonic()
    while not found and time.monotonic() < began + LIVE_S:
        time.sleep(LOOK_S)
        found = [line for line in nodes.log(1) if line["event"] == "config_not_taken"]
    assert "mbaas.toml:6: collections.notes.rules.select" in found[0]["reason"]
    assert texts(nodes.clients[1]) == texts(nodes.clients[0]) >= {"plain"}
    nodes.write(root=root, select="true")
    while not [line for line in nodes.log(1) if line["event"] == "config_waits" and line["unapplied"]]:
        assert time.monotonic() < began + 2 * LIVE_S
        time.sleep(LOOK_S)
    assert "dark" not in texts(nodes.clients[1]), "a file alone is not in force"


def test_both_nodes_say_that_they_serve_the_same(nodes: Nodes) -> None:
    key = {"apikey": nodes.servers[0].service_key}

    def revision(client: httpx.Client) -> str:
        text = client.get("/metrics", headers={**key, "authorization": f"Bearer {key['apikey']}"}).text
        return next(line for line in text.splitlines() if line.startswith("mbaas_catalog_revision"))

    nodes.all_come_to(lambda client: revision(client) == revision(nodes.clients[0]), nodes.apply(select="true"))
