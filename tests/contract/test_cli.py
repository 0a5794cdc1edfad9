"""The command line as an operator uses it, on a project of its own."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import bcrypt
import httpx
import pytest

from tests.contract.conftest import Server, running
from tests.throwaway import throw_away_directory


def run(root: Path, *words: str, code: int = 0) -> Any:
    """A command with ``--json``: what it printed. code: the exit status it must have."""
    command = [sys.executable, "-m", "mbaas_cli.main", *words, "--json"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=60)
    assert done.returncode == code, (done.stdout, done.stderr)
    return json.loads(done.stdout)


@pytest.fixture
def project() -> Iterator[Path]:
    with throw_away_directory("mbaas-cli-") as name:
        run(Path(name), "init")
        yield Path(name)


def test_init_writes_a_project_once(project: Path) -> None:
    assert (project / ".gitignore").read_text() == ".mbaas/\n"
    assert run(project, "init", code=2)["error"] == "config_invalid"
    assert run(project, "doctor")["findings"]


def test_a_fault_in_the_configuration_is_2_and_nothing_is_started(project: Path) -> None:
    with (project / "mbaas.toml").open("a") as file:
        file.write('\n[collections.notes2.fields]\ntext = { type = "txt" }\n')
    told = run(project, "serve", code=2)
    assert "mbaas.toml:" in told["message"]
    assert "collections.notes2.fields.text" in told["message"]
    assert not (project / ".mbaas").exists()


def test_migrations_from_plan_to_down(project: Path) -> None:
    steps = run(project, "migrate", "plan")["steps"]
    assert "create table notes" in steps[0]["title"]
    assert run(project, "migrate", "apply")["steps"] == len(steps)
    assert run(project, "migrate", "plan")["steps"] == []
    text = (project / "mbaas.toml").read_text()
    (project / "mbaas.toml").write_text(text.replace('done  = { type = "bool", default = false }\n', ""))
    told = run(project, "migrate", "apply", code=3)
    assert told["error"] == "migration_destructive"
    assert run(project, "migrate", "apply", "--allow-destructive")["steps"] >= 1
    assert [row["state"] for row in run(project, "migrate", "status")["migrations"]] == ["applied", "applied"]
    assert len(run(project, "migrate", "down")["migrations"]) == 1
    (project / "mbaas.toml").write_text(text)
    assert run(project, "migrate", "plan")["steps"] == []


def test_keys_users_and_migrations_of_a_running_server(project: Path) -> None:
    with running(project) as server:
        who = ("ada@example.com", "--password", "correct horse battery", "--url", server.url)
        assert run(project, "users", "create", *who)["email"] == "ada@example.com"
        assert run(project, "users", "create", *who, code=1)["error"] == "refused"
        assert run(project, "migrate", "plan")["steps"] == []
        rotated = run(project, "keys", "rotate")
        assert rotated["anon_key"] != server.anon_key
        with httpx.Client(base_url=server.url) as client:
            wait_for(server, lambda: status(client, rotated["anon_key"]) == 200)
            assert status(client, server.anon_key) == 401


def status(client: httpx.Client, key: str) -> int:
    return client.get("/rest/v1/notes", headers={"apikey": key}).status_code


def wait_for(server: Server, condition: Callable[[], bool], limit_s: float = 20.0) -> None:
    """Until it holds, while the server lives. Raises AssertionError when it does not in time."""
    for _ in range(round(limit_s / 0.05)):
        if condition():
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            raise AssertionError(f"the server ended with {server.process.wait(0.05)}")
    raise AssertionError("it did not come to hold")


def test_a_second_server_on_one_data_directory_is_refused(project: Path) -> None:
    with running(project) as server:
        told = run(project, "serve", "--port", "0", code=2)
        assert "another" in told["message"]
        with httpx.Client(base_url=server.url) as client:
            assert client.get("/health/ready").status_code == 200


def test_a_weak_secret_keeps_the_server_from_starting(project: Path) -> None:
    run(project, "keys", "list")
    path = project / ".mbaas" / "secrets.toml"
    path.write_text(re.sub(r'(?m)^jwt_secret = ".*"$', 'jwt_secret = "changeme"', path.read_text()))
    told = run(project, "serve", "--port", "0", code=2)
    assert "jwt_secret" in told["message"]
    assert told["hint"]
    assert "changeme" not in told["message"]
    assert not (project / ".mbaas" / "postgres").exists()


def test_users_are_imported_and_their_sessions_ended(project: Path) -> None:
    stored = bcrypt.hashpw(b"from elsewhere", bcrypt.gensalt(4)).decode()
    table = f"email,password_hash,email_confirm\nada@example.com,{stored},true\nbob@example.com,md5,true\n"
    (project / "users.csv").write_text(table)
    with running(project) as server:
        for dry_run in (True, False):
            options = ["--dry-run"] if dry_run else []
            told = run(project, "users", "import", "users.csv", *options, "--url", server.url, code=1)
            assert (told["created"], told["existing"], told["dry_run"]) == (1, 0, dry_run)
            assert [(one["index"], one["email"]) for one in told["rejected"]] == [(1, "bob@example.com")]
        body = {"email": "ada@example.com", "password": "from elsewhere"}
        token = "/auth/v1/token?grant_type=password"
        session = httpx.post(server.url + token, json=body, headers=server.headers()).json()
        who = session["user"]["id"]
        (listed,) = run(project, "users", "sessions", "list", who, "--url", server.url)["sessions"]
        assert listed["ip"] == "127.0.0.1"
        assert run(project, "users", "sessions", "revoke", who, "--url", server.url, code=1)["error"] == "query_invalid"
        assert run(project, "users", "sessions", "revoke", who, listed["id"], "--url", server.url) == {"ended": 1}
        assert run(project, "users", "sessions", "revoke", who, "--all", "--url", server.url) == {"ended": 0}
        # The API, which asks no table for it, hears of it within five seconds.
        began = time.monotonic()
        headers = server.headers(session["access_token"])
        while (answer := httpx.get(f"{server.url}/rest/v1/notes", headers=headers)).status_code == 200:
            assert time.monotonic() < began + 5
        assert (answer.status_code, answer.json()["code"]) == (401, "PGRST301")
