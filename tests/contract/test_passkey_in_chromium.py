"""A passkey from its registration to a sign-in, in Chromium with a virtual authenticator, by supabase-js unmodified.

It needs Debian's ``chromium`` (``apt-get install chromium``) and is skipped without it.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import http.server
import json
import os
import shutil
import subprocess
import tempfile
import threading
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets

from mbaas.adapters.postgres.cluster.initialise import OWNER
from mbaas.adapters.postgres.embedded import EmbeddedPostgres
from tests.auth import PASSWORD
from tests.contract.auth_flows import address, claims
from tests.contract.conftest import HERE, Server, install_clients, run_sql, running

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    "--headless --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update "
    "--disable-sync --remote-debugging-port=0"
).split()

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium: apt-get install chromium")


class Page:
    """One tab, spoken to by the Chrome DevTools Protocol."""

    def __init__(self, socket: Any) -> None:
        self._socket = socket
        self._number = 0

    async def call(self, method: str, **parameters: Any) -> Any:
        self._number += 1
        await self._socket.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
        async for message in self._socket:
            told = json.loads(message)
            if told.get("id") == self._number:
                assert "error" not in told, told
                return told["result"]
        raise AssertionError("the browser is gone")

    async def run(self, code: str) -> Any:
        """What an async function of that body returns in the page."""
        expression = f"(async () => {{ {code} }})()"
        async with asyncio.timeout(40):  # a ceremony that nobody answers would wait five minutes
            told = await self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in told, told["exceptionDetails"]
        return told["result"].get("value")


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    """The address of an app: a page with supabase-js."""
    install_clients()
    with tempfile.TemporaryDirectory(prefix="mbaas-site-") as name:
        root = Path(name)
        shutil.copy(HERE / "js/node_modules/@supabase/supabase-js/dist/umd/supabase.js", root)
        (root / "index.html").write_text("<!doctype html><title>app</title><script src=supabase.js></script>")
        handler = functools.partial(_Quiet, directory=name)
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as served:
            threading.Thread(target=served.serve_forever, daemon=True).start()
            yield f"http://localhost:{served.server_port}"
            served.shutdown()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None: ...


@pytest.fixture(scope="module")
def backend(cluster: EmbeddedPostgres, site: str) -> Iterator[Server]:
    """A server whose passkeys belong to that app."""
    with tempfile.TemporaryDirectory(prefix="mbaas-contract-", ignore_cleanup_errors=True) as folder:
        text = (HERE / "variants" / "factors.toml").read_text().replace("http://localhost:3000", site)
        (Path(folder) / "mbaas.toml").write_text(text)
        database = f"c{uuid.uuid4().hex}"
        asyncio.run(run_sql(cluster.admin_url("postgres"), f"create database {database} owner {OWNER}"))
        with running(Path(folder), database_url=cluster.url(database)) as started:
            yield started


@pytest.fixture
async def page(site: str, backend: Server) -> AsyncIterator[Page]:
    """The app's page, a client in it as ``client``, and an authenticator that always says yes."""
    assert CHROMIUM is not None
    with tempfile.TemporaryDirectory(prefix="mbaas-chromium-", ignore_cleanup_errors=True) as profile:
        flags = [*FLAGS, f"--user-data-dir={profile}", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
        process = subprocess.Popen([CHROMIUM, *flags, "about:blank"], stderr=subprocess.DEVNULL)
        try:
            async with _tab(_port(process, Path(profile) / "DevToolsActivePort")) as tab:
                yield await _prepared(tab, site, backend)
        finally:
            process.terminate()
            process.wait(20)


def _port(process: subprocess.Popen[bytes], told: Path) -> str:
    """Where the browser listens, once it says so."""
    for _ in range(600):
        if told.exists() and (text := told.read_text()).count("\n"):
            return text.partition("\n")[0]
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.05)
    raise AssertionError("Chromium did not start")


@contextlib.asynccontextmanager
async def _tab(port: str) -> AsyncIterator[Page]:
    async with httpx.AsyncClient() as browser:
        tabs = (await browser.get(f"http://127.0.0.1:{port}/json/list")).json()
    address_of_tab = next(tab["webSocketDebuggerUrl"] for tab in tabs if tab["type"] == "page")
    async with websockets.connect(address_of_tab, max_size=None) as socket:
        yield Page(socket)


async def _prepared(page: Page, site: str, backend: Server) -> Page:
    await page.call("WebAuthn.enable")
    authenticator = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    await page.call("WebAuthn.addVirtualAuthenticator", options=authenticator)
    await page.call("Page.navigate", url=site)
    for _ in range(1000):
        if await page.run("return location.origin !== 'null' && !!globalThis.supabase"):
            break
    await page.run(f"globalThis.client = supabase.createClient({backend.url!r}, {backend.anon_key!r}); return 1")
    return page


async def test_a_passkey_is_registered_and_signs_in(page: Page) -> None:
    email = address()
    told = await page.run(f"""
        const {{error}} = await client.auth.signUp({{email: {email!r}, password: {PASSWORD!r}}});
        if (error) throw error;
        const registered = await client.auth.registerPasskey();
        await client.auth.signOut();
        const signed = await client.auth.signInWithPasskey();
        return {{registered, signed}};
    """)
    assert told["registered"]["error"] is None, told
    assert told["signed"]["error"] is None, told
    said = claims(told["signed"]["data"]["session"]["access_token"])
    assert (said["email"], said["aal"], said["amr"][0]["method"]) == (email, "aal2", "passkey")


async def test_a_security_key_raises_a_session(page: Page) -> None:
    key = {"protocol": "ctap2", "transport": "usb", "automaticPresenceSimulation": True}
    await page.call("WebAuthn.addVirtualAuthenticator", options=key)  # the client asks for one beside the device
    told = await page.run(f"""
        const {{error}} = await client.auth.signUp({{email: {address()!r}, password: {PASSWORD!r}}});
        if (error) throw error;
        const made = await client.auth.mfa.webauthn.register({{friendlyName: "this laptop"}});
        const level = (await client.auth.mfa.getAuthenticatorAssuranceLevel()).data;
        const [factor] = (await client.auth.mfa.listFactors()).data.webauthn;
        const again = await client.auth.mfa.webauthn.authenticate({{factorId: factor.id}});
        return {{made, level, again}};
    """)
    assert told["made"]["error"] is None, told
    assert told["level"]["currentLevel"] == "aal2"
    assert told["again"]["error"] is None, told
