"""The file of keys: made once, readable by its owner alone, refused when weak, turned over without a restart."""

from __future__ import annotations

import os
import re
import tomllib
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mbaas.adapters.secrets import (
    HOW_TO_MAKE_ONE,
    SecretsFile,
    api_key_token,
    load,
    load_or_create,
    new_secrets,
    rotate_api_keys,
    rotate_signing_key,
)
from mbaas.core.errors import ConfigError

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "secrets.toml"


def edit(path: Path, name: str, value: str) -> None:
    """Write another value for a key, as an operator would."""
    text, count = re.subn(rf"^{name} = .*$", f'{name} = "{value}"', path.read_text(), flags=re.MULTILINE)
    assert count == 1
    path.write_text(text)


def test_a_first_start_makes_keys_that_only_the_owner_can_read(path: Path) -> None:
    made = load_or_create(path, now=NOW)
    assert path.stat().st_mode & 0o777 == 0o600
    assert load_or_create(path) == made
    plain = tomllib.loads(path.read_text())
    assert plain["anon_key"] == made.anon_key
    assert made.publishable_key.startswith("sb_publishable_")
    assert made.secret_key.startswith("sb_secret_")
    assert [entry.name for entry in path.parent.iterdir()] == ["secrets.toml"]


def test_of_starts_at_the_same_time_all_get_the_same_keys(path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: load_or_create(path), range(8)))
    assert all(secrets == made[0] for secrets in made)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o666])
def test_a_file_that_others_can_read_is_refused(path: Path, mode: int) -> None:
    load_or_create(path)
    path.chmod(mode)
    with pytest.raises(ConfigError, match="others can read it") as caught:
        load_or_create(path)
    assert caught.value.hint == f"chmod 600 {path}"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_somebody_else_is_refused(path: Path) -> None:
    load_or_create(path)
    os.chown(path, 12345, -1)
    with pytest.raises(ConfigError, match="belongs to another user"):
        load(path)


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("jwt_secret", "short", "shorter than 32 characters"),
        ("jwt_secret", "super-secret-jwt-token-with-at-least-32-characters-long", "a placeholder"),
        ("jwt_secret", "changeme-changeme-changeme-changeme", "a placeholder"),
        ("jwt_secret", "x" * 64, "a placeholder"),
        ("jwt_secret", "abcabcabcabcabcabcabcabcabcabcabcabc", "a placeholder"),
        ("jwt_secret", "T3Vyb3duIHNlY3JldCBvZiBlbm91Z2ggbGV0dGVycw", "was not signed with jwt_secret"),
        ("secret_key", "sb_secret_short", "shorter than 32 characters"),
        ("secret_key", "T3Vyb3duIHNlY3JldCBvZiBlbm91Z2ggbGV0dGVycw", "does not start with sb_secret_"),
        ("publishable_key", "sb_publishable_" + "x" * 40, "a placeholder"),
        ("anon_key", "eyJhbGciOiJIUzI1NiJ9.e30.x", "was not signed with jwt_secret"),
        ("encryption_key", "short", "shorter than 32 characters"),
        ("encryption_key", "T3Vyb3duIHNlY3JldCBvZiBlbm91Z2ggbGV0dGVycw", "not 32 bytes"),
        ("kid", "", ""),
    ],
)
def test_weak_and_wrong_secrets_are_refused_with_a_way_out(path: Path, name: str, value: str, reason: str) -> None:
    load_or_create(path)
    if name == "kid":
        path.write_text(path.read_text().partition("[[signing_keys]]")[0])
        reason = "signing_keys"
    else:
        edit(path, name, value)
    before = path.read_text()
    with pytest.raises(ConfigError, match=reason) as caught:
        load_or_create(path)
    assert len(value) < 10 or value not in str(caught.value), "a refusal shows no secret"
    if "placeholder" in reason or "shorter" in reason:
        assert caught.value.hint == HOW_TO_MAKE_ONE
    assert path.read_text() == before


def test_a_well_known_secret_is_refused_though_all_keys_fit_it(path: Path) -> None:
    load_or_create(path)
    secret = "super-secret-jwt-token-with-at-least-32-characters-long"
    edit(path, "jwt_secret", secret)
    edit(path, "anon_key", api_key_token("anon", secret, now=NOW))
    edit(path, "service_key", api_key_token("service_role", secret, now=NOW))
    with pytest.raises(ConfigError, match="jwt_secret is a placeholder"):
        load(path)


def test_an_anon_key_in_the_place_of_the_service_key_is_refused(path: Path) -> None:
    secrets = load_or_create(path)
    edit(path, "service_key", secrets.anon_key)
    with pytest.raises(ConfigError, match="service_key is not a token for service_role"):
        load(path)


def test_unknown_keys_and_broken_files_are_refused(path: Path) -> None:
    load_or_create(path)
    good = path.read_text()
    for broken in ("nonsense = 1\n" + good, good[:-40], ""):
        path.write_text(broken)
        with pytest.raises(ConfigError):
            load(path)


def test_a_rotated_signing_key_signs_and_the_old_one_still_verifies(path: Path) -> None:
    old = load_or_create(path, now=NOW)
    new = rotate_signing_key(path, now=NOW, keep_s=3600)
    assert [key.kid for key in new.signing_keys][1:] == [old.signing_keys[0].kid]
    assert new.signing_keys[1].retired_at == int(NOW.timestamp()) + 3600
    assert new.anon_key == old.anon_key
    assert new.purpose_key("auth.refresh") == old.purpose_key("auth.refresh")
    assert path.stat().st_mode & 0o777 == 0o600
    later = NOW.replace(hour=2)
    assert len(rotate_signing_key(path, now=later, keep_s=3600).signing_keys) == 2, "what has run out is dropped"
    assert len(rotate_signing_key(path, now=later, keep_s=0).signing_keys) == 1


def test_rotated_api_keys_are_all_new(path: Path) -> None:
    old = load_or_create(path, now=NOW)
    new = rotate_api_keys(path, now=NOW, grace_s=60)
    for name in ("anon_key", "service_key", "publishable_key", "secret_key", "jwt_secret"):
        assert getattr(new, name) != getattr(old, name)
    assert [keys.anon_key for keys in new.retired_keys] == [old.anon_key]
    assert new.signing_keys == old.signing_keys
    assert len(rotate_api_keys(path, now=NOW.replace(hour=1)).retired_keys) == 0


def test_rotations_at_the_same_time_lose_no_key(path: Path) -> None:
    load_or_create(path, now=NOW)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: rotate_signing_key(path, now=NOW, keep_s=60), range(6)))
    assert len(load(path).signing_keys) == 7


def test_a_running_server_sees_a_rotation_and_survives_a_broken_file(path: Path) -> None:
    running = SecretsFile(path, now=NOW)
    assert not running.reload()
    rotated = rotate_api_keys(path, now=NOW)
    assert running.reload()
    assert running.current == rotated
    path.write_text("broken")
    with pytest.raises(ConfigError):
        running.reload()
    assert running.current == rotated


def test_each_purpose_has_its_own_key() -> None:
    secrets = new_secrets(now=NOW)
    keys = {secrets.purpose_key(purpose) for purpose in ("auth.refresh", "auth.one_time_code", "storage.signed_url")}
    assert len(keys) == 3
    assert all(len(key) == 32 for key in keys)
