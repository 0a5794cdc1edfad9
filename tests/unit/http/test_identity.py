"""Who is asking: hand-made tokens against the keys of a project."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, RSAKey
from joserfc.jws import JWSRegistry

from mbaas.adapters.secrets import SecretsFile, api_key_token, new_api_keys, rotate_api_keys, rotate_signing_key
from mbaas.core.errors import TokenExpired, TokenInvalid, Unauthenticated
from mbaas.http import identity as module
from mbaas.http.identity import Authenticator

ISSUER = "https://api.example.com/auth/v1"
NOW = 1_800_000_000.0
USER = "7f1b2c5e-0000-4000-8000-000000000001"


class Project:
    """Secrets, what checks against them, and a pen to forge with."""

    def __init__(self, path: Path, issuer: str = ISSUER) -> None:
        self.file = SecretsFile(path)
        self.authenticator = Authenticator(lambda: self.file.current, issuer=issuer)
        self.issuer = issuer

    @property
    def anon(self) -> str:
        return self.file.current.anon_key

    def claims(self, **changes: Any) -> dict[str, Any]:
        claims = {
            "iss": self.issuer,
            "sub": USER,
            "aud": "authenticated",
            "role": "authenticated",
            "iat": int(NOW),
            "exp": int(NOW) + 3600,
            **changes,
        }
        return {name: value for name, value in claims.items() if value is not ...}

    def user_token(self, **changes: Any) -> str:
        key = self.file.current.signing_keys[0]
        header = {"alg": "ES256", "kid": key.kid}
        return jwt.encode(header, self.claims(**changes), ECKey.import_key(key.private_key))

    def shared_token(self, **changes: Any) -> str:
        secret = OctKey.import_key(self.file.current.jwt_secret)
        return jwt.encode({"alg": "HS256"}, self.claims(**changes), secret)

    def identify(self, apikey: str | None, bearer: str | None = None, now: float = NOW) -> Any:
        return self.authenticator.identify(apikey, bearer, now=now)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "secrets.toml")


def segment(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def raw_token(project: Project, header: dict[str, Any], sign: Callable[[bytes], bytes]) -> str:
    """A token with any header at all, since the library would refuse to write it."""
    head = f"{segment(header)}.{segment(project.claims())}"
    return f"{head}.{segment(sign(head.encode()))}"


def own_signature(project: Project) -> Callable[[bytes], bytes]:
    """A signature that holds, whatever the header says."""
    key = ECKey.import_key(project.file.current.signing_keys[0].private_key)
    return lambda message: JWSRegistry.algorithms["ES256"].sign(message, key)


def hmac_signature(secret: bytes) -> Callable[[bytes], bytes]:
    return lambda message: hmac.new(secret, message, hashlib.sha256).digest()


def test_each_key_is_its_role(project: Project) -> None:
    secrets = project.file.current
    for key, role in (
        (secrets.anon_key, "anon"),
        (secrets.publishable_key, "anon"),
        (secrets.service_key, "service_role"),
        (secrets.secret_key, "service_role"),
    ):
        assert project.identify(key).role == role
        assert project.identify(key, key).role == role
        assert project.identify(secrets.anon_key, key).role == role
        assert project.identify(key).user_id is None


def test_the_bearer_decides_who_asks_and_the_key_lets_them_in(project: Project) -> None:
    who = project.identify(project.anon, project.user_token(email="a@example.com", aal="aal2"))
    assert (who.role, who.user_id, who.email, who.aal) == ("authenticated", USER, "a@example.com", "aal2")
    assert project.identify(project.file.current.service_key, project.user_token()).role == "authenticated"


@pytest.mark.parametrize("apikey", [None, "", "x", "sb_publishable_x", "ключ"])
def test_without_a_key_of_ours_nobody_comes_in(project: Project, apikey: str | None) -> None:
    for bearer in (None, project.user_token(), project.anon):
        with pytest.raises(Unauthenticated) as caught:
            project.identify(apikey, bearer)
        assert type(caught.value) is Unauthenticated


def test_a_token_is_no_key(project: Project) -> None:
    for token in (project.user_token(), project.shared_token(role="service_role")):
        with pytest.raises(Unauthenticated):
            project.identify(token, token)


def test_a_token_made_with_the_shared_secret_counts(project: Project) -> None:
    assert project.identify(project.anon, project.shared_token()).user_id == USER
    role_only = project.shared_token(role="service_role", sub=..., aud=..., iss="mbaas")
    assert project.identify(project.anon, role_only).role == "service_role"


Forge = Callable[[Project], str]
FORGERIES: dict[str, Forge] = {
    "no signature": lambda p: f"{segment({'alg': 'none'})}.{segment(p.claims())}.",
    "none with a kid": lambda p: f"{segment({'alg': 'none', 'kid': kid(p)})}.{segment(p.claims())}.",
    "None in capitals": lambda p: f"{segment({'alg': 'NONE'})}.{segment(p.claims())}.",
    "signed by another P-256 key": lambda p: jwt.encode(
        {"alg": "ES256", "kid": kid(p)}, p.claims(), ECKey.generate_key("P-256")
    ),
    "signed with another secret": lambda p: jwt.encode(
        {"alg": "HS256"}, p.claims(), OctKey.import_key("another secret of more than 32 characters")
    ),
    "HMAC with the public key as PEM": lambda p: raw_token(
        p, {"alg": "HS256"}, hmac_signature(public(p).as_pem(False))
    ),
    "HMAC with the public key as DER": lambda p: raw_token(
        p, {"alg": "HS256"}, hmac_signature(public(p).as_der(False))
    ),
    "HMAC with the public JWK": lambda p: raw_token(
        p, {"alg": "HS256"}, hmac_signature(json.dumps(public(p).as_dict(False)).encode())
    ),
    "HMAC with the key's x": lambda p: raw_token(
        p,
        {"alg": "HS256", "kid": kid(p)},
        hmac_signature(public(p).as_dict(False)["x"].encode()),  # type: ignore[union-attr]
    ),
    "HMAC with an empty key": lambda p: raw_token(p, {"alg": "HS256"}, hmac_signature(b"")),
    "HS256 with a kid": lambda p: raw_token(
        p, {"alg": "HS256", "kid": kid(p)}, hmac_signature(p.file.current.jwt_secret.encode())
    ),
    "HS512 with our secret": lambda p: jwt.encode(
        {"alg": "HS512"}, p.claims(), OctKey.import_key(p.file.current.jwt_secret), algorithms=["HS512"]
    ),
    "RS256": lambda p: jwt.encode({"alg": "RS256", "kid": kid(p)}, p.claims(), RSAKey.generate_key(2048)),
    "unknown kid": lambda p: raw_token(p, {"alg": "ES256", "kid": "unknown"}, own_signature(p)),
    "no kid": lambda p: raw_token(p, {"alg": "ES256"}, own_signature(p)),
    "kid is a list": lambda p: raw_token(p, {"alg": "ES256", "kid": [kid(p)]}, own_signature(p)),
    "kid is a path": lambda p: raw_token(p, {"alg": "ES256", "kid": "../../dev/null"}, own_signature(p)),
    "alg is a list": lambda p: raw_token(p, {"alg": ["ES256"], "kid": kid(p)}, own_signature(p)),
    "jku": lambda p: raw_token(p, {"alg": "ES256", "kid": kid(p), "jku": "https://evil.example"}, own_signature(p)),
    "x5u": lambda p: raw_token(p, {"alg": "ES256", "kid": kid(p), "x5u": "https://evil.example"}, own_signature(p)),
    "jwk": lambda p: raw_token(p, {"alg": "ES256", "kid": kid(p), "jwk": public(p).as_dict(False)}, own_signature(p)),
    "unknown crit": lambda p: raw_token(p, {"alg": "ES256", "kid": kid(p), "crit": ["exp"]}, own_signature(p)),
    "empty crit": lambda p: raw_token(p, {"alg": "ES256", "kid": kid(p), "crit": []}, own_signature(p)),
    "b64 false": lambda p: raw_token(p, {"alg": "ES256", "kid": kid(p), "b64": False}, own_signature(p)),
    "another typ": lambda p: raw_token(p, {"alg": "ES256", "kid": kid(p), "typ": "signed-url+jwt"}, own_signature(p)),
    "a refresh token's form": lambda p: "AX8bLF4AAEAAgAAAAAAAAAEAAAAB" + "A" * 32,
    "two parts": lambda p: ".".join(p.user_token().split(".")[:2]),
    "four parts": lambda p: p.user_token() + ".x",
    "five parts": lambda p: p.user_token() + ".x.y",
    "empty": lambda p: " ",
    "dots": lambda p: "..",
    "not base64": lambda p: "*.*.*",
    "not ASCII": lambda p: "ü" + p.user_token(),
    "too long": lambda p: p.user_token(filler="x" * module.MAX_TOKEN),
    "header is a list": lambda p: f"{segment([1])}.{segment({})}.x",
    "deep header": lambda p: f"{segment(b'[' * 300 + b']' * 300)}.{segment({})}.x",
    "claims are a list": lambda p: f"{p.user_token().split('.')[0]}.{segment([1])}.{p.user_token().split('.')[2]}",
    "changed claims": lambda p: swap_claims(p, role="service_role"),
    "cut signature": lambda p: p.user_token()[:-4],
    "wrong issuer": lambda p: p.user_token(iss="https://other.example/auth/v1"),
    "no issuer": lambda p: p.user_token(iss=...),
    "the keys' issuer on a user's token": lambda p: p.user_token(iss="mbaas"),
    "wrong issuer, shared secret": lambda p: p.shared_token(iss="https://other.example/auth/v1"),
    "wrong audience": lambda p: p.user_token(aud="other"),
    "no audience": lambda p: p.user_token(aud=...),
    "audiences": lambda p: p.user_token(aud=["authenticated"]),
    "no audience, shared secret": lambda p: p.shared_token(aud=...),
    "no user": lambda p: p.user_token(sub=...),
    "empty user": lambda p: p.user_token(sub=""),
    "user is a number": lambda p: p.user_token(sub=7),
    "no role": lambda p: p.user_token(role=...),
    "database superuser": lambda p: p.user_token(role="postgres"),
    "role is a list": lambda p: p.user_token(role=["service_role"]),
    "not yet valid": lambda p: p.user_token(nbf=int(NOW) + 3600),
    "never expires": lambda p: p.user_token(exp=...),
    "exp is text": lambda p: p.user_token(exp=str(int(NOW) + 3600)),
    "exp is true": lambda p: p.user_token(exp=True),
    "opaque key that is not ours": lambda p: "sb_secret_" + "x" * 43,
}


def kid(project: Project) -> str:
    return project.file.current.signing_keys[0].kid


def public(project: Project) -> ECKey:
    return ECKey.import_key(project.file.current.signing_keys[0].private_key)


def swap_claims(project: Project, **changes: Any) -> str:
    head, _, signature = project.user_token().split(".")
    return f"{head}.{segment(project.claims(**changes))}.{signature}"


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_token_is_nobodys(project: Project, name: str) -> None:
    token = FORGERIES[name](project)
    for _ in range(2):  # a refusal is not remembered as anything else
        with pytest.raises(TokenInvalid):
            project.identify(project.anon, token)


def test_a_good_signature_under_our_own_header_counts(project: Project) -> None:
    """What the forgeries are made with does make good tokens."""
    token = raw_token(project, {"alg": "ES256", "kid": kid(project)}, own_signature(project))
    assert project.identify(project.anon, token).user_id == USER
    token = raw_token(project, {"alg": "HS256"}, hmac_signature(project.file.current.jwt_secret.encode()))
    assert project.identify(project.anon, token).user_id == USER


@pytest.mark.parametrize("make", ["user_token", "shared_token"])
def test_a_token_ends_with_its_time_also_when_it_is_known(project: Project, make: str) -> None:
    token = getattr(project, make)(exp=int(NOW) + 10)
    assert project.identify(project.anon, token, now=NOW + 9.9).user_id == USER
    for _ in range(2):
        with pytest.raises(TokenExpired):
            project.identify(project.anon, token, now=NOW + 10)


def test_a_token_of_another_project_is_nobodys_here(tmp_path: Path, project: Project) -> None:
    other = Project(tmp_path / "other" / "secrets.toml", issuer="https://other.example/auth/v1")
    for token in (other.user_token(), other.shared_token(), other.file.current.service_key):
        with pytest.raises(TokenInvalid):
            project.identify(project.anon, token)
    with pytest.raises(Unauthenticated):
        project.identify(other.file.current.service_key)


def test_projects_that_share_keys_still_tell_tokens_apart(tmp_path: Path, project: Project) -> None:
    twin = Project(project.file.path, issuer="https://twin.example/auth/v1")
    with pytest.raises(TokenInvalid):
        project.identify(project.anon, twin.user_token())


def test_after_a_rotation_old_tokens_hold_until_they_end(project: Project) -> None:
    old = project.user_token()
    assert project.identify(project.anon, old).user_id == USER
    before = kid(project)
    rotate_signing_key(project.file.path, now=at(NOW), keep_s=3600)
    assert project.file.reload()
    assert kid(project) != before
    assert project.identify(project.anon, old).user_id == USER
    assert project.identify(project.anon, project.user_token()).user_id == USER
    long_lived = raw_token_of_old_key(project, exp=int(NOW) + 7200)
    assert project.identify(project.anon, long_lived, now=NOW + 3599).user_id == USER
    for _ in range(2):
        with pytest.raises(TokenInvalid):
            project.identify(project.anon, long_lived, now=NOW + 3600)


def test_a_leaked_signing_key_can_be_refused_at_once(project: Project) -> None:
    old = project.user_token()
    assert project.identify(project.anon, old).user_id == USER
    rotate_signing_key(project.file.path, now=at(NOW), keep_s=0)
    project.file.reload()
    with pytest.raises(TokenInvalid):
        project.identify(project.anon, old)


@pytest.mark.parametrize("grace_s", [0, 60])
def test_rotated_api_keys_end_with_their_grace(project: Project, grace_s: int) -> None:
    secrets = project.file.current
    old = (secrets.anon_key, secrets.service_key, secrets.publishable_key, secrets.secret_key)
    minted, user = project.shared_token(), project.user_token()
    for key in old:
        project.identify(key)
    project.identify(project.anon, minted)
    rotate_api_keys(project.file.path, now=at(NOW), grace_s=grace_s)
    project.file.reload()
    new = project.anon
    assert project.identify(new).role == "anon"
    assert project.identify(new, user).user_id == USER
    if grace_s:
        assert project.identify(old[1], now=NOW + 59).role == "service_role"
        assert project.identify(new, minted, now=NOW + 59).user_id == USER
    for key in old:
        with pytest.raises(Unauthenticated):
            project.identify(key, now=NOW + grace_s)
        with pytest.raises(TokenInvalid):
            project.identify(new, key, now=NOW + grace_s)
    with pytest.raises(TokenInvalid):
        project.identify(new, minted, now=NOW + grace_s)


def test_an_old_project_key_runs_out(project: Project) -> None:
    with pytest.raises(Unauthenticated):
        project.identify(project.anon, now=NOW + 20 * 366 * 86_400)


def test_known_callers_are_bounded_and_the_newest_stay(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CACHED", 10)
    for number in range(25):
        project.identify(project.anon, project.shared_token(jti=str(number)))
    assert len(project.authenticator._known) <= 10


def test_a_known_caller_costs_a_look_up(project: Project) -> None:
    token = project.user_token()
    project.identify(project.anon, token)
    best = float("inf")
    for _ in range(5):
        started = time.perf_counter()
        for _ in range(2000):
            project.authenticator.identify(project.anon, token, now=NOW)
        best = min(best, (time.perf_counter() - started) / 2000)
    assert best < 3e-6  # about 0.4 µs on an idle machine


def test_weak_and_foreign_secrets_make_no_key() -> None:
    keys = new_api_keys(now=at(NOW))
    assert api_key_token("anon", keys.jwt_secret, now=at(NOW)) == keys.anon_key


def at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def raw_token_of_old_key(project: Project, **changes: Any) -> str:
    key = project.file.current.signing_keys[1]
    header = {"alg": "ES256", "kid": key.kid}
    return jwt.encode(header, project.claims(**changes), ECKey.import_key(key.private_key))
