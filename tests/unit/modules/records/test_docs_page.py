"""The documentation page: complete by itself, cached by its tag, and under a strict policy."""

from __future__ import annotations

import re
from collections.abc import MutableMapping
from typing import Any

import httpx
import pytest

from mbaas.modules.records.docs import DocsPage, send_document

DOCUMENT = b'{"openapi":"3.1.0"}'


async def app(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
    if scope["path"] == "/rest/v1/openapi.json":
        await send_document(DOCUMENT, scope, send)
    else:
        await PAGE(scope, receive, send)


PAGE = DocsPage()


@pytest.fixture
async def client() -> Any:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test/rest/v1/") as opened:
        yield opened


async def test_the_page_and_all_it_loads_are_served_by_us(client: httpx.AsyncClient) -> None:
    page = await client.get("docs")
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    links = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(links) == 5
    for link in links:
        answer = await client.get(str(page.url.join(link)))
        assert answer.status_code == 200, link
        assert len(answer.content) > 10
    assert not re.search(r'(?:src|href|url)\s*=\s*"?(?:https?:)?//', page.text)


@pytest.mark.parametrize(
    ("name", "kind", "holds"),
    [
        ("docs.js", "text/javascript", "SwaggerUIBundle"),
        ("docs.css", "text/css", "#key-form"),
        ("swagger-ui-bundle.js", "text/javascript", "SwaggerUIBundle"),
        ("swagger-ui.css", "text/css", ".swagger-ui"),
    ],
)
@pytest.mark.parametrize("encoding", ["gzip", "identity"])
async def test_each_file_comes_packed_or_not(
    client: httpx.AsyncClient, name: str, kind: str, holds: str, encoding: str
) -> None:
    answer = await client.get(f"docs/{name}", headers={"accept-encoding": encoding})
    assert answer.headers["content-type"] == f"{kind}; charset=utf-8"
    assert answer.headers.get("content-encoding", "identity") == encoding
    assert holds in answer.text


async def test_the_page_runs_no_script_but_its_files(client: httpx.AsyncClient) -> None:
    page = await client.get("docs")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "frame-ancestors 'none'" in policy
    assert page.headers["x-content-type-options"] == "nosniff"
    assert not re.search(r"<script(?![^>]*\bsrc=)", page.text)
    assert not re.search(r"\son\w+=", page.text)


async def test_a_tag_spares_the_second_transfer(client: httpx.AsyncClient) -> None:
    for path in ("docs", "docs/docs.js", "openapi.json"):
        first = await client.get(path)
        second = await client.get(path, headers={"if-none-match": f'"other", {first.headers["etag"]}'})
        assert (second.status_code, second.content) == (304, b"")
        third = await client.get(path, headers={"if-none-match": '"other"'})
        assert third.status_code == 200


async def test_head_has_the_headers_and_no_body(client: httpx.AsyncClient) -> None:
    for path in ("docs", "openapi.json"):
        got, head = await client.get(path), await client.head(path)
        assert head.content == b""
        assert dict(head.headers) == dict(got.headers)


async def test_a_document_is_for_one_caller(client: httpx.AsyncClient) -> None:
    answer = await client.get("openapi.json")
    assert answer.content == DOCUMENT
    assert answer.headers["cache-control"] == "private, no-cache"
    assert answer.headers["vary"] == "apikey, authorization"


@pytest.mark.parametrize(
    "path", ["docs/nope", "docs/../../etc/passwd", "docs/%2e%2e/docs.py", "docs/docs.html", "docs/__init__.py"]
)
async def test_nothing_else_is_served(client: httpx.AsyncClient, path: str) -> None:
    assert (await client.get(path)).status_code == 404


async def test_a_slash_too_many_leads_back(client: httpx.AsyncClient) -> None:
    answer = await client.get("docs/")
    assert (answer.status_code, answer.headers["location"]) == (308, "../docs")
