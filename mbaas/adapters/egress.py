"""Where requests to addresses that people configure may go: to the public internet, and to what was checked.

The name is resolved once; the request goes to the very address that was looked at, so a name that resolves to another
one a moment later (DNS rebinding) gains nothing. Redirects are not followed.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from typing import Any
from urllib.parse import urlsplit

import httpx

from mbaas.core.errors import ConfigError, Unavailable, Undeliverable

_PORTS = {"http": 80, "https": 443}


def check_url(url: str, *, allow_private: bool) -> None:
    """Raises ConfigError for a URL that is none we would ask."""
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname or parts.username is not None:
        raise ConfigError(f"{url!r} is no URL to post to", hint="https://host/path")
    if parts.scheme != "https" and not allow_private:
        raise ConfigError(f"{url!r} would go in clear", hint="use https")


async def post(
    client: httpx.AsyncClient, url: str, *, allow_private: bool, headers: dict[str, str], content: bytes
) -> httpx.Response:
    """The answer of an address that was checked. Raises Undeliverable for a forbidden one, Unavailable, httpx's own."""
    parts = httpx.URL(url)
    address = await resolve(parts.host, parts.port or _PORTS[parts.scheme], allow_private=allow_private)
    netloc = parts.netloc.decode("ascii")
    extensions: dict[str, Any] = {"sni_hostname": parts.host} if parts.scheme == "https" else {}
    return await client.post(
        parts.copy_with(host=address),
        headers={**headers, "host": netloc},
        content=content,
        extensions=extensions,
        follow_redirects=False,
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
