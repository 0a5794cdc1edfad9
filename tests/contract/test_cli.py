"""The command line as an operator uses it, on a project of its own."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import socket
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import bcrypt
import httpx
import pytest

from tests.contract.conftest import Server, running
from tests.throwaway import throw_away_directory


def run(root: Path, *words: str, code: int = 0) -> Any:
    """A command with ``--json``: what it printed. code: the exit status it must have."""
    command = [sys.executable, "-m", "mbaas_cli", *words, "--json"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=60)
    assert done.returncode == code, (done.stdout, done.stderr)
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def fresh() -> Iterator[Path]:
    """What ``mbaas init`` writes."""
    with throw_away_directory("mbaas-cli-") as name:
        run(Path(name), "init")
        yield Path(name)


@pytest.fixture
def project(fresh: Path) -> Iterator[Path]:
    """A project of the test's own."""
    with throw_away_directory("mbaas-cli-") as name:
        shutil.copytree(fresh, name, dirs_exist_ok=True)
        yield Path(name)


@pytest.fixture(scope="module")
def started(fresh: Path) -> Iterator[Server]:
    with throw_away_directory("mbaas-cli-") as name:
        shutil.copytree(fresh, name, dirs_exist_ok=True)
        with running(Path(name)) as server:
            yield server


@pytest.fixture
def server(started: Server) -> Server:
    """A running one for all, with the keys that it has by now."""
    secrets = tomllib.loads((started.root / ".mbaas" / "secrets.toml").read_text())
    return replace(started, anon_key=secrets["anon_key"], service_key=secrets["service_key"])


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


def test_keys_users_and_migrations_of_a_running_server(server: Server) -> None:
    who = ("ada@example.com", "--password", "correct horse battery", "--url", server.url)
    assert run(server.root, "users", "create", *who)["email"] == "ada@example.com"
    assert run(server.root, "users", "create", *who, code=1)["error"] == "refused"
    assert run(server.root, "migrate", "plan")["steps"] == []
    rotated = run(server.root, "keys", "rotate")
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


def test_a_second_server_on_one_data_directory_is_refused(server: Server) -> None:
    told = run(server.root, "serve", "--port", "0", code=2)
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


@pytest.mark.parametrize(("kind", "text"), [("recovery", "{{ nothing_closes_this"), ("no_such_message", "Hello")])
def test_a_template_that_cannot_be_used_ends_the_start(project: Path, kind: str, text: str) -> None:
    template = project / "messages" / "en" / f"{kind}.txt"
    template.parent.mkdir(parents=True)
    template.write_text(text)
    told = run(project, "serve", "--port", "0", code=2)
    assert str(template) in told["message"]
    assert not (project / ".mbaas" / "postgres" / "data" / "postmaster.pid").exists()


def test_a_port_that_is_taken_is_named(project: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        told = run(project, "serve", "--port", str(port), code=2)
    assert f"cannot listen on 127.0.0.1:{port}" in told["message"]
    assert not (project / ".mbaas" / "postgres" / "data" / "postmaster.pid").exists()


def test_users_are_imported_and_their_sessions_ended(server: Server) -> None:
    stored = bcrypt.hashpw(b"from elsewhere", bcrypt.gensalt(4)).decode()
    table = f"email,password_hash,email_confirm\neve@example.com,{stored},true\nbob@example.org,md5,true\n"
    (server.root / "users.csv").write_text(table)
    for dry_run in (True, False):
        options = ["--dry-run"] if dry_run else []
        told = run(server.root, "users", "import", "users.csv", *options, "--url", server.url, code=1)
        assert (told["created"], told["existing"], told["dry_run"]) == (1, 0, dry_run)
        assert [(one["index"], one["email"]) for one in told["rejected"]] == [(1, "bob@example.org")]
    body = {"email": "eve@example.com", "password": "from elsewhere"}
    token = "/auth/v1/token?grant_type=password"
    session = httpx.post(server.url + token, json=body, headers=server.headers()).json()
    who = session["user"]["id"]
    (listed,) = run(server.root, "users", "sessions", "list", who, "--url", server.url)["sessions"]
    assert listed["ip"] == "127.0.0.1"
    assert run(server.root, "users", "sessions", "revoke", who, "--url", server.url, code=1)["error"] == "query_invalid"
    assert run(server.root, "users", "sessions", "revoke", who, listed["id"], "--url", server.url) == {"ended": 1}
    assert run(server.root, "users", "sessions", "revoke", who, "--all", "--url", server.url) == {"ended": 0}
    # The API, which asks no table for it, hears of it within five seconds.
    headers = server.headers(session["access_token"])
    wait_for(server, lambda: httpx.get(f"{server.url}/rest/v1/notes", headers=headers).status_code != 200, 5.0)
    answer = httpx.get(f"{server.url}/rest/v1/notes", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (401, "PGRST301")
