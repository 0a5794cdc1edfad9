"""Whose word on the client's address counts."""

from __future__ import annotations

import pytest

from mbaas.config.settings import ServerSettings
from mbaas.core.errors import ConfigError
from mbaas.http.proxies import Proxies
from tests.edge import Setup, ask


@pytest.mark.parametrize(
    ("trusted", "peer", "forwarded", "found"),
    [
        ((), "10.0.0.1", "203.0.113.9", "10.0.0.1"),
        (("10.0.0.0/8",), "192.0.2.1", "203.0.113.9", "192.0.2.1"),
        (("10.0.0.0/8",), "10.0.0.1", "203.0.113.9", "203.0.113.9"),
        (("10.0.0.0/8",), "10.0.0.1", "6.6.6.6, 203.0.113.9", "203.0.113.9"),
        (("10.0.0.0/8",), "10.0.0.1", "6.6.6.6, 203.0.113.9, 10.0.0.2", "203.0.113.9"),
        (("10.0.0.0/8",), "10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        (("10.0.0.0/8",), "10.0.0.1", "", "10.0.0.1"),
        (("10.0.0.0/8",), "10.0.0.1", "6.6.6.6, garbage", "10.0.0.1"),
        (("10.0.0.0/8",), "10.0.0.1", "6.6.6.6, unknown, 10.0.0.2", "10.0.0.2"),
        (("10.0.0.0/8",), "10.0.0.1", "203.0.113.9:4711", "203.0.113.9"),
        (("10.0.0.0/8",), "10.0.0.1", "[2001:db8::1]:4711", "2001:db8::1"),
        (("10.0.0.0/8",), "::ffff:10.0.0.1", "203.0.113.9", "203.0.113.9"),
        (("127.0.0.1",), "127.0.0.1", "203.0.113.9", "203.0.113.9"),
        (("unix",), "unix", "203.0.113.9", "203.0.113.9"),
        (("2001:db8::/32",), "2001:db8::5", "2001:db8::6, 198.51.100.1, 2001:db8::7", "198.51.100.1"),
    ],
)
def test_the_right_most_hop_that_is_no_proxy_of_ours(
    trusted: tuple[str, ...], peer: str, forwarded: str, found: str
) -> None:
    headers = [(b"x-forwarded-for", forwarded.encode())] if forwarded else []
    assert Proxies(trusted).client_ip(peer, headers) == found


def test_several_headers_are_one_list() -> None:
    headers = [(b"x-forwarded-for", b"6.6.6.6"), (b"x-forwarded-for", b"203.0.113.9, 10.0.0.2")]
    assert Proxies(("10.0.0.0/8",)).client_ip("10.0.0.1", headers) == "203.0.113.9"


def test_a_very_long_list_is_not_read_to_its_end() -> None:
    hops = "203.0.113.9, " + ", ".join(["10.0.0.2"] * 1000)
    assert Proxies(("10.0.0.0/8",)).client_ip("10.0.0.1", [(b"x-forwarded-for", hops.encode())]) == "10.0.0.2"


@pytest.mark.parametrize("entry", ["proxy.example", "10.0.0.0/33", ""])
def test_what_is_no_address_stops_the_start(entry: str) -> None:
    with pytest.raises(ConfigError, match=r"server\.trusted_proxies"):
        Proxies((entry,))


@pytest.mark.parametrize("trusted", [(), ("10.0.0.0/8",)])
async def test_a_client_cannot_say_who_it_is(trusted: tuple[str, ...]) -> None:
    edge = Setup(settings=ServerSettings(trusted_proxies=trusted)).edge
    headers = dict.fromkeys(("x-forwarded-for", "forwarded", "x-real-ip", "x-forwarded-host"), "203.0.113.9")
    assert (await ask(edge, headers=headers)).json()["ip"] == "192.0.2.1"


async def test_over_a_unix_socket_there_is_no_address() -> None:
    assert (await ask(Setup().edge, client=None)).json()["ip"] == "unix"
