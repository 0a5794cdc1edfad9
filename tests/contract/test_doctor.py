"""``mbaas doctor`` beside a running server, and a service key that got into a browser."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.contract.conftest import Server, running
from tests.contract.test_cli import run, status, wait_for
from tests.throwaway import throw_away_directory

TOML = """
[collections.notes.fields]
text = { type = "text" }
owner = { type = "uuid" }
[collections.notes.rules]
select = "owner = auth.uid()"
insert = "true"
delete = "text <> ''"
update = "owner = auth.uid()"
[collections.boards.fields]
open = { type = "bool", required = true }
owner = { type = "uuid" }
[collections.boards.rules]
insert = "owner = auth.uid() and open"
update = "open or owner = auth.uid()"
delete = "auth.role() = 'authenticated'"
[collections.closed.fields]
text = { type = "text" }
"""
SCRIPT = """
create function peek() returns bigint language sql security definer as 'select count(*) from notes';
grant execute on function peek() to authenticated;
create function note() returns trigger language plpgsql security definer as $$ begin return new; end $$;
create trigger note before insert on notes for each row execute function note();
"""
PAGE = "https://app.example.com"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with throw_away_directory("mbaas-doctor-") as name, pytest.MonkeyPatch.context() as patch:
        root = Path(name)
        (root / "migrations").mkdir()
        (root / "migrations" / "0001.sql").write_text(SCRIPT)
        (root / "mbaas.toml").write_text(TOML)
        patch.setenv("MBAAS_LOG__LEVEL", "debug")
        with running(root) as started:
            patch.setenv("MBAAS_SERVER__PUBLIC_URL", started.url)
            yield started


def findings(server: Server, code: int = 0) -> dict[str, str]:
    """Level by what was found."""
    return {found["what"]: found["level"] for found in run(server.root, "doctor", code=code)["findings"]}


def log(server: Server) -> str:
    return (server.root / "serve.log").read_text()


def test_what_to_write_into_the_file_is_shown_in_its_brackets(server: Server) -> None:
    command = [sys.executable, "-m", "mbaas_cli", "doctor"]
    said = subprocess.run(command, cwd=server.root, capture_output=True, text=True, timeout=60).stdout
    assert "[mail] host sends them" in said
    assert "[collections.closed.rules] says who may" in said
    assert '[[collections.notes.indexes]] fields = ["owner"]' in " ".join(said.split())


def test_public_writes_and_what_runs_past_the_rules_are_listed(server: Server) -> None:
    found = findings(server)
    assert found["notes: anyone with the public key may insert"] == "warning"
    assert found["notes: anyone with the public key may delete"] == "warning"
    assert not any(f"notes: anyone with the public key may {verb}" in found for verb in ("update", "select"))
    assert [what for what in found if what.startswith("boards:")] == ["boards: anyone with the public key may update"]
    unindexed = [item for item in run(server.root, "doctor")["findings"] if "no index begins with it" in item["what"]]
    assert [(item["level"], item["hint"]) for item in unindexed] == [
        ("warning", '[[collections.notes.indexes]] fields = ["owner"]')
    ]
    assert found["closed has no rules: only the service key reaches it"] == "note"
    assert found["past the rules: definer function public.peek(), for authenticated"] == "warning"
    assert found["past the rules: definer function public.note()"] == "note"
    assert found["past the rules: trigger note on public.notes, which calls public.note()"] == "note"


def test_the_service_key_in_a_browser_is_noticed_and_the_key_told_to_nobody(server: Server) -> None:
    key = server.service_key
    with httpx.Client(base_url=server.url) as client:

        def events() -> list[str]:
            lines = client.get("/metrics", headers={"apikey": key}).text.splitlines()
            return [line for line in lines if 'event="service_key_in_browser"' in line]

        client.get("/rest/v1/notes", headers={"apikey": key, "sec-fetch-mode": "cors"})
        client.get(
            "/rest/v1/notes", headers={"apikey": server.anon_key, "origin": PAGE, "sec-fetch-site": "cross-site"}
        )
        assert events() == [], "a program of the operator's, or the key that is for browsers"

        browser = {"origin": PAGE, "sec-fetch-site": "cross-site", "x-request-id": "request-of-a-page"}
        for headers in ({"apikey": key}, {"apikey": server.anon_key, "authorization": f"Bearer {key}"}):
            assert client.get("/rest/v1/notes", headers=browser | headers).status_code == 200
        assert [line.rpartition(" ")[2] for line in events()] == ["2.0"]

        # Wherever else somebody may put it.
        client.get("/rest/v1/notes", params={"apikey": key}, headers={"apikey": key})
        client.get(f"/rest/v1/{key}", headers={"apikey": key})
        client.get("/rest/v1/notes", params={"select": key}, headers={"apikey": key, "prefer": key, "referer": key})
        client.get("/rest/v1/notes", headers={"apikey": key, "origin": key, "sec-fetch-site": "cross-site"})
        client.post("/rest/v1/notes", json={"text": key, key: 1}, headers={"apikey": key})
        client.post("/auth/v1/token", params={"grant_type": key}, json={"password": key}, headers={"apikey": f"{key}x"})
    # Written by a thread of its own, now and then.
    wait_for(server, lambda: "service_key_in_browser" in log(server))
    lines = [json.loads(line) for line in log(server).splitlines() if line.startswith("{")]
    told = [line for line in lines if line["event"] == "service_key_in_browser"]
    assert [(line["origin"], line["request_id"], line["level"]) for line in told] == [
        (PAGE, "request-of-a-page", "warning")
    ], "once in a while"
    found = findings(server, code=1)
    assert [
        level for what, level in found.items() if what.startswith("a browser has used the service key, 3 times")
    ] == ["error"]


def secrets_of(printed: dict[str, Any]) -> list[str]:
    return [printed[name] for name in ("service_key", "secret_key")]


def test_a_rotated_key_is_refused_after_its_grace_and_no_key_is_in_any_log(server: Server) -> None:
    old = run(server.root, "keys", "list")
    new = run(server.root, "keys", "rotate", "--grace", "3")
    with httpx.Client(base_url=server.url) as client:
        wait_for(server, lambda: status(client, new["service_key"]) == 200)
        wait_for(server, lambda: status(client, old["service_key"]) == 401)
        assert status(client, old["secret_key"]) == 401
        assert status(client, new["secret_key"]) == 200
        assert (
            client.get(
                "/rest/v1/notes", headers={"apikey": new["anon_key"], "authorization": f"Bearer {old['service_key']}"}
            ).status_code
            == 401
        )
    logs = [path for path in server.root.rglob("*") if path.is_file() and path.suffix in (".log", ".json", ".csv")]
    logs += [path for path in (server.root / ".mbaas").rglob("*log*") if path.is_file()]
    assert server.root / "serve.log" in logs
    for path in set(logs):
        text = path.read_text(errors="replace")
        for key in secrets_of(old) + secrets_of(new):
            signature = key.rpartition(".")[2]
            assert signature not in text, path
