"""What is read of a request's head and body before anything is decided."""

from __future__ import annotations

from typing import Any

import pytest

from mbaas.config.settings import RestSettings
from mbaas.core.errors import BodyInvalid
from mbaas.core.identity import ANON, SERVICE, Identity
from mbaas.core.query.errors import NotAcceptable, PreferenceInvalid, UnknownSchema
from mbaas.modules.records.asked import Asked, read_head


def asked(
    path: str = "/rest/v1/posts",
    method: str = "GET",
    messages: tuple[dict[str, Any], ...] = (),
    rest: RestSettings = RestSettings(),  # noqa: B008 - frozen
    identity: Identity = ANON,
    **headers: str,
) -> Asked:
    left = list(messages)

    async def receive() -> dict[str, Any]:
        return left.pop(0)

    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()],
    }
    return read_head(scope, receive, identity, "/rest/v1", rest)  # type: ignore[arg-type]


def part(body: bytes, *, more: bool = False) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


async def test_a_body_is_read_to_its_end() -> None:
    assert await asked(messages=(part(b"abc"),)).body() == b"abc"
    assert await asked(messages=(part(b"ab", more=True), part(b"", more=True), part(b"c"))).body() == b"abc"
    assert await asked(messages=({"type": "http.request"},)).body() == b""


async def test_a_body_whose_sender_went_away_is_not_taken_for_a_whole_one() -> None:
    gone = {"type": "http.disconnect"}
    for messages in ((gone,), (part(b"title\nx", more=True), gone)):
        with pytest.raises(BodyInvalid):
            await asked(messages=messages).body()


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("/rest/v1/posts", ["posts"]),
        ("/posts", ["posts"]),
        ("/rest/v1", []),
        ("/rest/v1/", []),
        ("/rest/v1/rpc/add", ["rpc", "add"]),
        ("/rest/v1/a%2Fb", ["a/b"]),
        ("/rest/v1/%C3%A9", ["é"]),
        ("/rest/v1/%2561", ["%61"]),
    ],
)
def test_a_path_is_taken_apart_before_it_is_decoded(path: str, names: list[str]) -> None:
    assert list(asked(path).names) == names


def test_the_schema_is_public_whichever_header_names_it() -> None:
    assert asked(accept_profile="public").said.profile == b"public"
    assert asked(content_profile="auth").said.profile is None  # a GET is not asked by that one
    for more in ({"accept_profile": "auth"}, {"method": "POST", "content_profile": "auth"}):
        with pytest.raises(UnknownSchema):
            asked(**more)  # type: ignore[arg-type]


def test_the_root_offers_a_description_and_collections_do_not() -> None:
    assert asked("/rest/v1/", accept="application/openapi+json").media.kind == "openapi"
    with pytest.raises(NotAcceptable):
        asked(accept="application/openapi+json")


@pytest.mark.parametrize("ending", ["commit", "rollback"])
def test_how_a_transaction_ends_is_the_callers_only_where_the_settings_say_so(ending: str) -> None:
    assert asked(prefer=f"tx={ending}").preferences.transaction is None
    with pytest.raises(PreferenceInvalid) as refused:
        asked(prefer=f"tx={ending}, handling=strict")
    assert refused.value.details == f"Invalid preferences: tx={ending}"
    for handling in ("", ", handling=strict"):
        found = asked(prefer=f"tx={ending}{handling}", rest=RestSettings(rollback=True))
        assert found.preferences.transaction == ending


def test_a_plan_is_for_the_service_key_where_the_settings_say_so() -> None:
    plan = "application/vnd.pgrst.plan+json"
    for identity, rest in ((SERVICE, RestSettings()), (ANON, RestSettings(plans=True))):
        with pytest.raises(NotAcceptable):
            asked(accept=plan, identity=identity, rest=rest)
    assert asked(accept=plan, identity=SERVICE, rest=RestSettings(plans=True)).media.explain is not None
    with pytest.raises(NotAcceptable):
        asked("/rest/v1/", accept=plan, identity=SERVICE, rest=RestSettings(plans=True))
