"""``secrets.toml``: the keys of one project, in a file only its owner may read.

Two kinds of keys turn over at different speeds. Signing keys (ES256) sign users' access tokens; an old one goes on
verifying until the tokens it signed have run out. API keys stand for the project itself: a legacy pair of HS256 tokens
and an opaque pair, replaced together with the secret that signs the tokens.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import os
import secrets
import stat
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import tomlkit
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OctKey

from mbaas.core.errors import ConfigError

PUBLISHABLE = "sb_publishable_"
SECRET = "sb_secret_"  # noqa: S105 - a prefix
KEY_ISSUER = "mbaas"
API_KEY_LIFETIME = timedelta(days=3652)
MIN_SECRET = 32
HOW_TO_MAKE_ONE = "make one with: python3 -c 'import secrets; print(secrets.token_urlsafe(48))'"
_PLACEHOLDERS = ("changeme", "change-me", "change_me", "example", "placeholder", "super-secret", "password", "insecure")
_HEAD = """\
# The keys of this project, made at its first start. Whoever reads this file can be anybody: keep it 0600 and out of
# version control. Without it nobody stays signed in and encrypted settings cannot be read: back it up.
"""


class SigningKey(msgspec.Struct, frozen=True, kw_only=True):
    """One P-256 key. retired_at: unix seconds from when nothing it signed is believed; ``None``: the current key."""

    kid: str
    private_key: str  # PEM, PKCS #8
    retired_at: int | None = None


class ApiKeys(msgspec.Struct, frozen=True, kw_only=True):
    """The keys that stand for the project, and the secret behind the two that are tokens.

    retired_at: unix seconds from when they are refused; ``None``: the current ones.
    """

    anon_key: str
    service_key: str
    publishable_key: str
    secret_key: str
    jwt_secret: str
    retired_at: int | None = None


class Secrets(ApiKeys, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything in the file. encryption_key: 32 random bytes, base64url; never rotated by the functions below.

    signing_keys: the current one first. sealing_keys: what ``rotate_sealing_key`` made, as ``encryption_key``, the
    current one first; the others go on opening what they sealed, and so does ``encryption_key``.
    """

    encryption_key: str
    signing_keys: tuple[SigningKey, ...]
    retired_keys: tuple[ApiKeys, ...] = ()
    sealing_keys: tuple[str, ...] = ()

    def purpose_key(self, purpose: str) -> bytes:
        """32 bytes for one purpose alone (HKDF, RFC 5869): what one key signs, no other part of the server believes."""
        key = base64.urlsafe_b64decode(self.encryption_key)
        return HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose.encode()).derive(key)


def load_or_create(path: Path, *, now: datetime | None = None) -> Secrets:
    """The secrets in the file, made anew when there is none. now: when new keys begin; ``None``: by the wall clock.

    Raises ConfigError when others can read the file or a secret in it is too weak; nothing is changed then.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):  # another start was faster: its secrets count
            _write(path, new_secrets(now=now or datetime.now(UTC)), replace=False)
    return load(path)


def load(path: Path) -> Secrets:
    """The secrets in the file. Raises ConfigError naming what is wrong with which key."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    with os.fdopen(handle, "rb") as file:
        status = os.fstat(file.fileno())
        mode = stat.S_IMODE(status.st_mode)
        if mode & 0o077:
            raise ConfigError(f"{path}: others can read it (mode {mode:04o})", hint=f"chmod 600 {path}")
        if status.st_uid not in {0, os.geteuid()}:
            raise ConfigError(f"{path}: belongs to another user", hint=f"chown it to uid {os.geteuid()}")
        try:
            found = msgspec.convert(tomllib.load(file), Secrets)
        except (tomllib.TOMLDecodeError, msgspec.ValidationError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path}: {error}", hint="restore it from a backup") from error
    _check(path, found)
    return found


def new_secrets(*, now: datetime) -> Secrets:
    """Fresh keys of every kind."""
    return Secrets(
        **_fields(new_api_keys(now=now)),
        encryption_key=base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        signing_keys=(new_signing_key(),),
    )


def new_signing_key() -> SigningKey:
    key = ECKey.generate_key("P-256")
    return SigningKey(kid=key.thumbprint(), private_key=key.as_pem(private=True).decode())


def new_api_keys(*, now: datetime) -> ApiKeys:
    jwt_secret = secrets.token_urlsafe(48)
    return ApiKeys(
        anon_key=api_key_token("anon", jwt_secret, now=now),
        service_key=api_key_token("service_role", jwt_secret, now=now),
        publishable_key=PUBLISHABLE + secrets.token_urlsafe(32),
        secret_key=SECRET + secrets.token_urlsafe(32),
        jwt_secret=jwt_secret,
    )


def api_key_token(role: str, jwt_secret: str, *, now: datetime) -> str:
    """A legacy key: an HS256 token of the project for ``anon`` or ``service_role``, valid for ten years."""
    claims = {
        "iss": KEY_ISSUER,
        "role": role,
        "iat": int(now.timestamp()),
        "exp": int((now + API_KEY_LIFETIME).timestamp()),
    }
    return jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(jwt_secret))


def rotate_signing_key(path: Path, *, now: datetime, keep_s: int) -> Secrets:
    """A new key signs from now on; the old one verifies for ``keep_s`` seconds: at least the life of a token.

    0 refuses everything the old keys signed at once, for a key that leaked.
    """
    with _exclusive(path):
        old = load(path)
        until = int(now.timestamp()) + keep_s
        verifying = tuple(
            msgspec.structs.replace(key, retired_at=until if key.retired_at is None else min(key.retired_at, until))
            for key in old.signing_keys
        )
        kept = tuple(key for key in verifying if (key.retired_at or 0) > now.timestamp())
        _write(path, msgspec.structs.replace(old, signing_keys=(new_signing_key(), *kept)), replace=True)
        return load(path)


def rotate_api_keys(path: Path, *, now: datetime, grace_s: int = 0) -> Secrets:
    """New API keys and a new secret behind them. The old ones are believed for ``grace_s`` more seconds."""
    with _exclusive(path):
        old = load(path)
        until = int(now.timestamp()) + grace_s
        current = ApiKeys(**{**_fields(old), "retired_at": until})
        retired = tuple(
            keys for keys in (current, *old.retired_keys) if min(keys.retired_at or 0, until) > now.timestamp()
        )
        changed = msgspec.structs.replace(old, **_fields(new_api_keys(now=now)), retired_keys=retired)
        _write(path, changed, replace=True)
        return load(path)


def rotate_sealing_key(path: Path) -> Secrets:
    """A new key seals secrets in the database from now on. Those that are sealed already open with the old ones."""
    with _exclusive(path):
        old = load(path)
        new = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
        _write(path, msgspec.structs.replace(old, sealing_keys=(new, *old.sealing_keys)), replace=True)
        return load(path)


class SecretsFile:
    """The secrets as the file has them now: read once, read again when somebody rotated a key."""

    def __init__(self, path: Path, *, now: datetime | None = None) -> None:
        self.path = path
        self._seen = (0, 0, 0)
        self.current = load_or_create(path, now=now)
        self._seen = self._stamp()

    def reload(self) -> bool:
        """Whether the file has changed and was read anew. One ``stat``: call it every few seconds.

        Raises ConfigError when the new content cannot be used; the last good secrets stay in force.
        """
        stamp = self._stamp()
        if stamp == self._seen:
            return False
        self._seen = stamp
        self.current = load(self.path)
        return True

    def _stamp(self) -> tuple[int, int, int]:
        try:
            found = self.path.stat()
        except OSError:
            return (0, 0, 0)
        return (found.st_ino, found.st_mtime_ns, found.st_size)


def _fields(keys: ApiKeys) -> dict[str, Any]:
    return {name: getattr(keys, name) for name in ApiKeys.__struct_fields__}


def _check(path: Path, found: Secrets) -> None:
    for keys in (found, *found.retired_keys):
        _check_strength(path, "jwt_secret", keys.jwt_secret)
        for name, prefix in (("publishable_key", PUBLISHABLE), ("secret_key", SECRET)):
            key = getattr(keys, name)
            if not key.startswith(prefix):
                raise ConfigError(f"{path}: {name} does not start with {prefix}")
            _check_strength(path, name, key.removeprefix(prefix))
        for name, role in (("anon_key", "anon"), ("service_key", "service_role")):
            try:
                claims = jwt.decode(
                    getattr(keys, name), OctKey.import_key(keys.jwt_secret), algorithms=["HS256"]
                ).claims
            except (JoseError, ValueError) as error:
                raise ConfigError(f"{path}: {name} was not signed with jwt_secret") from error
            if claims.get("role") != role or not isinstance(claims.get("exp"), int):
                raise ConfigError(f"{path}: {name} is not a token for {role} that expires")
    _check_strength(path, "encryption_key", found.encryption_key)
    try:
        size = len(base64.urlsafe_b64decode(found.encryption_key))
    except ValueError:
        size = 0
    if size != 32:
        raise ConfigError(f"{path}: encryption_key is not 32 bytes in base64url", hint="restore it from a backup")
    if not found.signing_keys or found.signing_keys[0].retired_at is not None:
        raise ConfigError(f"{path}: the first signing key must be one that is not retired")
    if len({key.kid for key in found.signing_keys}) < len(found.signing_keys):
        raise ConfigError(f"{path}: two signing keys have one kid")
    for key in found.signing_keys:
        try:
            imported = ECKey.import_key(key.private_key)
        except (JoseError, ValueError, TypeError) as error:
            raise ConfigError(f"{path}: signing key {key.kid} cannot be read") from error
        if not imported.is_private or imported.curve_name != "P-256":
            raise ConfigError(f"{path}: signing key {key.kid} is not a private P-256 key")


def _check_strength(path: Path, name: str, secret: str) -> None:
    if len(secret) < MIN_SECRET:
        raise ConfigError(f"{path}: {name} is shorter than {MIN_SECRET} characters", hint=HOW_TO_MAKE_ONE)
    if len(set(secret)) < 12 or any(word in secret.lower() for word in _PLACEHOLDERS):
        raise ConfigError(f"{path}: {name} is a placeholder, not a secret", hint=HOW_TO_MAKE_ONE)


def _write(path: Path, content: Secrets, *, replace: bool) -> None:
    """The whole file or none of it, also when the machine loses power. Not replacing: FileExistsError if it exists."""
    document = tomlkit.dumps(_without_none(msgspec.to_builtins(content)))
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(_HEAD + document)
            file.flush()
            os.fsync(file.fileno())
        if replace:
            draft.rename(path)
        else:
            os.link(draft, path)
    finally:
        draft.unlink(missing_ok=True)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_none(item) for name, item in value.items() if item is not None}
    return [_without_none(item) for item in value] if isinstance(value, list | tuple) else value


@contextlib.contextmanager
def _exclusive(path: Path) -> Iterator[None]:
    """One rotation at a time: the second reads what the first wrote."""
    with path.with_name(f".{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
