"""Keys turn over while the server runs: nobody is signed out who should not be."""

from __future__ import annotations

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from mbaas.adapters.secrets import rotate_api_keys, rotate_signing_key
from tests.auth import Auth


async def published(auth: Auth) -> dict[str, ECKey]:
    keys = (await auth.client.get("/.well-known/jwks.json")).json()["keys"]
    return {key["kid"]: ECKey.import_key(key) for key in keys}


async def test_a_new_signing_key_signs_and_the_old_tokens_go_on(easy: Auth) -> None:
    session = await easy.sign_up("ada@example.com")
    (before,) = await published(easy)
    rotate_signing_key(easy.secrets.path, now=easy.clock.now(), keep_s=3600)
    assert easy.secrets.reload()
    assert (await easy.get("/user", token=session["access_token"])).status_code == 200
    turned = (await easy.refresh(session["refresh_token"])).json()
    keys = await published(easy)
    assert len(keys) == 2
    for token, is_old in ((session["access_token"], True), (turned["access_token"], False)):
        read = jwt.decode(token, lambda value: keys[value.headers()["kid"]], algorithms=["ES256"])
        assert (read.header["kid"] == before) is is_old
        assert (await easy.get("/user", token=token)).status_code == 200
    easy.clock.advance(seconds=3601)
    assert before not in await published(easy)
    assert (await easy.get("/user", token=session["access_token"])).status_code == 403
    assert (await easy.refresh(turned["refresh_token"])).status_code == 200


@pytest.mark.parametrize("grace_s", [0, 60])
async def test_rotated_api_keys_are_refused_and_sessions_stay(easy: Auth, grace_s: int) -> None:
    session = await easy.sign_up("ada@example.com")
    old = easy.secrets.current
    rotate_api_keys(easy.secrets.path, now=easy.clock.now(), grace_s=grace_s)
    easy.secrets.reload()
    if grace_s:
        assert (await easy.get("/admin/users", key=old.service_key)).status_code == 200
        easy.clock.advance(seconds=grace_s + 1)
    for key in (old.service_key, old.secret_key):
        answer = await easy.get("/admin/users", key=key)
        assert (answer.status_code, answer.json()["error_code"]) == (401, "no_authorization")
    assert (await easy.get("/admin/users", key=easy.service_key)).status_code == 200
    assert (await easy.refresh(session["refresh_token"])).status_code == 200
