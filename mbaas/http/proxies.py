"""Where a request comes from. Only proxies named in the configuration are believed, and only about the next hop."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from mbaas.core.errors import ConfigError
from mbaas.http.respond import Header

UNIX = "unix"  # the peer of a request over a Unix socket
MAX_HOPS = 32


class Proxies:
    """The configured proxies."""

    def __init__(self, trusted: Iterable[str]) -> None:
        """trusted: addresses, networks (``10.0.0.0/8``) or ``unix``. Raises ConfigError for anything else."""
        self._networks: list[ipaddress.IPv4Network | ipaddress.IPv6Network] = []
        self._unix = False
        for entry in trusted:
            if entry == UNIX:
                self._unix = True
                continue
            try:
                self._networks.append(ipaddress.ip_network(entry, strict=False))
            except ValueError:
                raise ConfigError(
                    f"server.trusted_proxies: {entry!r} is neither an address nor a network", hint='like "10.0.0.0/8"'
                ) from None
        self.none = not self._networks and not self._unix

    def client_ip(self, peer: str, headers: Iterable[Header]) -> str:
        """The right-most hop of ``X-Forwarded-For`` that is no proxy of ours; the peer when that is none.

        ``Forwarded`` and ``X-Real-IP`` are not read: two ways to say it are two ways to lie.
        """
        if self.none or not self._trusts(peer):
            return peer
        text = b",".join(value for name, value in headers if name == b"x-forwarded-for").decode("latin-1")
        found = peer
        for hop in reversed(text.split(",")[-MAX_HOPS:]):
            address = _address(hop.strip())
            if address is None:
                return found
            found = address
            if not self._trusts(address):
                return found
        return found

    def _trusts(self, peer: str) -> bool:
        if peer == UNIX:
            return self._unix
        try:
            address = ipaddress.ip_address(peer)
        except ValueError:
            return False
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in network for network in self._networks)


def _address(hop: str) -> str | None:
    """The address of a hop, which may come with a port: ``192.0.2.1:80``, ``[2001:db8::1]:80``."""
    if hop.startswith("["):
        hop = hop[1:].partition("]")[0]
    elif hop.count(":") == 1:
        hop = hop.partition(":")[0]
    try:
        return str(ipaddress.ip_address(hop))
    except ValueError:
        return None
