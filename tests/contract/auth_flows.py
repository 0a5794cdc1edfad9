"""What the auth tests of every client share: addresses, mails, links, and what a token says."""

from __future__ import annotations

import base64
import json
import uuid
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from tests.auth import Letter, read_mails
from tests.contract.conftest import Server, run_sql

NEW_PASSWORD = "another horse battery"
WRONG_PASSWORD = "a wrong horse battery"
APP = "contract://callback"


def address() -> str:
    return f"u{uuid.uuid4().hex[:12]}@example.com"


def claims(token: str) -> dict[str, Any]:
    return _part(token, 1)


def header(token: str) -> dict[str, Any]:
    return _part(token, 0)


def _part(token: str, number: int) -> dict[str, Any]:
    text = token.split(".")[number]
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))  # type: ignore[no-any-return]


def mails_to(server: Server, to: str) -> list[Letter]:
    """The mails so far, oldest first."""
    return read_mails(server.root / ".mbaas" / "mail", to)


async def mail_to(server: Server, to: str, *, number: int = 1) -> Letter:
    """The mail of that number, from 1, to an address. Waits for the one being written."""
    async with httpx.AsyncClient() as client:
        for _ in range(1000):
            found = mails_to(server, to)
            if len(found) >= number:
                return found[number - 1]
            await client.get(f"{server.url}/health/live")
    raise AssertionError(f"no mail {number} to {to}")


async def open_link(link: str) -> str:
    """Where a link in a mail leads a browser."""
    async with httpx.AsyncClient() as browser:
        answer = await browser.get(link)
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


def fragment(url: str) -> dict[str, str]:
    return _flat(urlsplit(url).fragment)


def query(url: str) -> dict[str, str]:
    return _flat(urlsplit(url).query)


def _flat(text: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(text).items()}


def wrong_code(letter: Letter) -> str:
    return "000000" if letter.code != "000000" else "000001"


async def set_back(server: Server, table: str, column: str) -> None:
    """Let what every row of a table of auth says of its end be past."""
    assert server.database_url is not None
    await run_sql(server.database_url, f"update auth.{table} set {column} = now() - interval '1 second'")
