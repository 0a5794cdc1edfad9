"""Where requests to addresses that people configure may go: to the public internet, and to what was checked.

The name is resolved once; the request goes to the very address that was looked at, so a name that resolves to another
one a moment later (DNS rebinding) gains nothing. Redirects are not followed.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec

from mbaas.core.errors import ConfigError, Unavailable, Undeliverable
from mbaas.core.later import later

if TYPE_CHECKING:
    import httpx
else:
    httpx = later("httpx")

_PORTS = {"http": 80, "https": 443}


def check_url(url: str, *, allow_private: bool) -> None:
    """Raises ConfigError for a URL that is none we would ask."""
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname or parts.username is not None:
        raise ConfigError(f"{url!r} is no URL to post to", hint="https://host/path")
    if parts.scheme != "https" and not allow_private:
        raise ConfigError(f"{url!r} would go in clear", hint="use https")


class Answer(msgspec.Struct, frozen=True):
    status: int
    body: bytes


async def post(
    client: httpx.AsyncClient, url: str, *, allow_private: bool, headers: dict[str, str], content: bytes
) -> httpx.Response:
    """The answer of an address that was checked. Raises Undeliverable for a forbidden one, Unavailable, httpx's own."""
    request = await _request(client, "POST", url, allow_private=allow_private, headers=headers, content=content)
    return await client.send(request, follow_redirects=False)


async def fetch(
    client: httpx.AsyncClient,
    method: str,
    url: str,
    *,
    allow_private: bool,
    headers: dict[str, str],
    content: bytes = b"",
    max_bytes: int,
) -> Answer:
    """The answer, read no further than it may be long; one that is packed is not unpacked.

    Raises Undeliverable for a forbidden address or answer, Unavailable, httpx's own.
    """
    wanted = {**headers, "accept-encoding": "identity"}
    request = await _request(client, method, url, allow_private=allow_private, headers=wanted, content=content)
    answer = await client.send(request, stream=True, follow_redirects=False)
    body = bytearray()
    try:
        if answer.headers.get("content-encoding", "identity") != "identity":
            raise Undeliverable("an answer came packed, which nobody asked for")
        async for part in answer.aiter_raw():
            body += part
            if len(body) > max_bytes:
                raise Undeliverable("an answer is too long")
    finally:
        await answer.aclose()
    return Answer(answer.status_code, bytes(body))


async def _request(
    client: httpx.AsyncClient, method: str, url: str, *, allow_private: bool, headers: dict[str, str], content: bytes
) -> httpx.Request:
    """A request to the very address that was looked at, under the name it was found by."""
    parts = httpx.URL(url)
    address = await resolve(parts.host, parts.port or _PORTS[parts.scheme], allow_private=allow_private)
    netloc = parts.netloc.decode("ascii")
    extensions: dict[str, Any] = {"sni_hostname": parts.host} if parts.scheme == "https" else {}
    return client.build_request(
        method,
        parts.copy_with(host=address),
        headers={**headers, "host": netloc},
        content=content,
        extensions=extensions,
    )


async def resolve(host: str, port: int, *, allow_private: bool) -> str:
    """One address of a host. Raises Undeliverable when one of them is not public, Unavailable when there is none."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise Unavailable("a destination's name has no address") from error
    addresses = [str(entry[4][0]) for entry in found]
    if not allow_private and not all(is_public(address) for address in addresses):
        raise Undeliverable("a destination is no public address")
    return addresses[0]


def is_public(address: str) -> bool:
    """Whether an address is on the internet, seen through the ways to write an IPv4 address as IPv6.

    >>> is_public("93.184.215.14"), is_public("169.254.169.254"), is_public("::ffff:10.0.0.1")
    (True, False, False)
    """
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour or (found.teredo[1] if found.teredo else None)
        if found in _NAT64:
            inner = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
    return found.is_global and not found.is_multicast


_NAT64 = ipaddress.ip_network("64:ff9b::/96")
