"""Buckets, and what is counted in which."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbaas.config.settings import LimitSettings, RateSettings, ServerSettings
from mbaas.http import edge as edge_module
from mbaas.http.ratelimit import BURST_S, Buckets, network_of
from tests.edge import Setup, ask


def limited(**rates: float) -> Setup:
    settings = {"per_ip": 0, "per_user": 0, "per_key": 0, "auth_per_ip": 0, **rates}
    return Setup(limits=LimitSettings(rate=RateSettings(**settings)), settings=ServerSettings())


@pytest.fixture(autouse=True)
def stopped_clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Time stands still unless a test moves it."""
    clock = [1000.0]
    monkeypatch.setattr(edge_module.time, "monotonic", lambda: clock[0])
    return clock


async def statuses(setup: Setup, count: int, **request: object) -> list[int]:
    return [(await ask(setup.edge, **request)).status for _ in range(count)]  # type: ignore[arg-type]


def test_a_bucket_holds_two_seconds_of_its_rate_and_refills() -> None:
    buckets = Buckets(5)
    assert [buckets.take("a", 0.0) for _ in range(10)] == [0.0] * 10
    assert buckets.take("a", 0.0) == pytest.approx(0.2)
    assert buckets.take("b", 0.0) == 0.0
    assert buckets.take("a", 0.2) == 0.0
    assert buckets.take("a", 0.2) > 0
    assert [buckets.take("a", 100.0) for _ in range(11)][-2:] == [0.0, pytest.approx(0.2)]


def test_several_tokens_are_taken_at_once_or_not_at_all() -> None:
    buckets = Buckets(5)
    assert buckets.take("a", 0.0, 8) == 0.0
    assert buckets.take("a", 0.0, 3) == pytest.approx(0.2)
    assert buckets.take("a", 0.0, 2) == 0.0


@given(st.lists(st.floats(0, 0.5), max_size=60), st.floats(0.5, 50))
def test_no_more_than_burst_and_rate_ever_pass(pauses: list[float], rate: float) -> None:
    buckets, now, passed = Buckets(rate), 0.0, 0
    for pause in pauses:
        now += pause
        passed += buckets.take("a", now) == 0.0
    assert passed <= rate * (now + BURST_S) + 1e-6


def test_names_are_forgotten_rather_than_kept_for_ever() -> None:
    buckets = Buckets(1, max_names=100)
    for number in range(10_000):
        buckets.take(f"ip{number}", 0.0)
    assert len(buckets) <= 202


def test_a_busy_name_is_not_forgotten_by_the_first_change_of_generation() -> None:
    buckets = Buckets(1, max_names=10)
    assert [buckets.take("busy", 0.0) > 0 for _ in range(3)] == [False, False, True]
    for number in range(11):
        buckets.take(f"ip{number}", 0.0)
    assert buckets.take("busy", 0.0) > 0


async def test_an_address_that_asks_too_much_is_told_when_to_come_back(stopped_clock: list[float]) -> None:
    setup = limited(per_ip=2)
    assert await statuses(setup, 5) == [200, 200, 200, 200, 429]
    answer = await ask(setup.edge)
    assert (answer["retry-after"], answer.json()["code"]) == ("1", "rate_limited")
    assert (await ask(setup.edge, client="192.0.2.2")).status == 200
    stopped_clock[0] += 0.5
    assert await statuses(setup, 2) == [200, 429]
    text = (await ask(setup.edge, path="/metrics", key="service-key", client="192.0.2.9")).body.decode()
    assert 'mbaas_events_total{event="rate_limited",kind="other"} 3.0' in text


async def test_a_user_is_counted_over_all_addresses_and_keys_over_all_users() -> None:
    setup = limited(per_user=1)
    user = {"authorization": "Bearer user-token"}
    assert [(await ask(setup.edge, headers=user, client=f"192.0.2.{n}")).status for n in range(3)] == [200, 200, 429]
    assert (await ask(setup.edge)).status == 200
    setup = limited(per_key=1)
    assert [(await ask(setup.edge, client=f"192.0.2.{n}")).status for n in range(3)] == [200, 200, 429]
    assert (await ask(setup.edge, key="service-key")).status == 200


async def test_bad_keys_are_counted_by_address_before_they_are_looked_at() -> None:
    assert await statuses(limited(per_ip=1), 3, key="wrong") == [401, 401, 429]


@pytest.mark.parametrize("path", ["token", "signup", "otp", "recover", "resend", "verify", "magiclink"])
async def test_routes_where_passwords_are_tried_have_a_bucket_of_their_own(path: str) -> None:
    setup = limited(per_ip=100, auth_per_ip=1)
    assert await statuses(setup, 3, method="POST", path=f"/auth/v1/{path}") == [200, 200, 429]
    assert (await ask(setup.edge, path="/auth/v1/user")).status == 200


@pytest.mark.parametrize(
    ("method", "path", "raw_path"),
    [
        ("POST", "/auth/v1/token/", b"/auth/v1/token/"),
        ("POST", "/auth/v1/token", b"/auth/v1/tok%65n"),
        ("GET", "/auth/v1/token", b"/auth/v1/token"),
        ("POST", "/auth/v1/token", b"/%61uth/v1/token"),
    ],
)
async def test_other_spellings_of_a_route_share_its_bucket(method: str, path: str, raw_path: bytes) -> None:
    setup = limited(auth_per_ip=1)
    await statuses(setup, 2, method="POST", path="/auth/v1/token")
    assert (await ask(setup.edge, method, path, raw_path=raw_path)).status == 429


@pytest.mark.parametrize(
    "headers",
    [
        {"x-forwarded-for": "198.51.100.7"},
        {"forwarded": "for=198.51.100.7"},
        {"x-real-ip": "198.51.100.7"},
        {"x-client-ip": "198.51.100.7", "true-client-ip": "198.51.100.7", "cf-connecting-ip": "198.51.100.7"},
    ],
)
async def test_rotating_headers_do_not_make_another_client(headers: dict[str, str]) -> None:
    setup = limited(auth_per_ip=1)
    answers = []
    for number in range(4):
        rotated = {name: value.replace("7", str(number)) for name, value in headers.items()}
        answers.append((await ask(setup.edge, "POST", "/auth/v1/token", headers=rotated)).status)
    assert answers == [200, 200, 429, 429]


async def test_the_service_key_is_not_held_by_its_address() -> None:
    setup = limited(per_ip=1)
    assert await statuses(setup, 5, key="service-key") == [200] * 5


async def test_a_service_token_beside_the_public_key_does_not_free_the_public_key() -> None:
    setup = limited(per_ip=1)
    await ask(setup.edge, headers={"authorization": "Bearer service-key"})
    assert await statuses(setup, 3) == [200, 429, 429]


async def test_health_and_preflights_are_never_limited() -> None:
    setup = limited(per_ip=1)
    await statuses(setup, 5)
    assert (await ask(setup.edge, path="/health/live", key=None)).status == 200
    preflight = {"origin": "https://a.example", "access-control-request-method": "GET"}
    assert (await ask(setup.edge, "OPTIONS", headers=preflight, key=None)).status == 204


def test_one_ipv6_customer_is_one_client() -> None:
    assert network_of("2001:db8:1:2::1") == network_of("2001:db8:1:2:ffff::9") == "2001:db8:1:2::"
    assert network_of("2001:db8:1:3::1") != network_of("2001:db8:1:2::1")
    assert network_of("::ffff:192.0.2.7") == "192.0.2.7"
    assert network_of("not:an:address") == "not:an:address"


async def test_nothing_is_counted_when_it_is_switched_off() -> None:
    setup = Setup(limits=LimitSettings(rate=RateSettings(enabled=False, per_ip=1)))
    assert set(await statuses(setup, 20)) == {200}
