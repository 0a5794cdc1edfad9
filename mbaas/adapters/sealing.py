"""Secrets at rest: AES-256-GCM under keys of the project, so that a copy of the database alone gives nothing away.

A sealed value is a version byte, four bytes that name the key, twelve of nonce, then ciphertext and tag. What it is
bound to (a row's id) is authenticated with it: moved to another row it does not open.
"""

from __future__ import annotations

import base64
import functools
import os
from collections.abc import Callable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from mbaas.adapters.secrets import Secrets
from mbaas.core.errors import MbaasError

_VERSION = b"\x01"
_NAME, _NONCE = 4, 12


class NotOpened(MbaasError):
    """A sealed value does not open: it was changed or moved, or its key is not in ``secrets.toml`` (any more)."""

    code = "seal_broken"


class Sealer:
    """Seals for one purpose: what it seals no other purpose's sealer opens."""

    def __init__(self, secrets: Callable[[], Secrets], purpose: str) -> None:
        self._secrets = secrets
        self._purpose = purpose

    def seal(self, plain: bytes, *, bound_to: str) -> bytes:
        """A value as it may be stored."""
        name, key = _keys(self._secrets(), self._purpose)[0]
        nonce = os.urandom(_NONCE)
        return _VERSION + name + nonce + key.encrypt(nonce, plain, bound_to.encode())

    def open(self, sealed: bytes, *, bound_to: str) -> bytes:
        """The value again. Raises NotOpened."""
        version, name = sealed[:1], sealed[1 : 1 + _NAME]
        nonce, text = sealed[1 + _NAME : 1 + _NAME + _NONCE], sealed[1 + _NAME + _NONCE :]
        for known, key in _keys(self._secrets(), self._purpose):
            if version == _VERSION and known == name:
                try:
                    return key.decrypt(nonce, text, bound_to.encode())
                except InvalidTag:
                    break
        raise NotOpened("a sealed value does not open", hint="is secrets.toml the one it was sealed with?")


def _keys(secrets: Secrets, purpose: str) -> tuple[tuple[bytes, AESGCM], ...]:
    """The keys that open, by name; the first one seals."""
    return tuple(_derived(key, purpose) for key in (*secrets.sealing_keys, secrets.encryption_key))


@functools.lru_cache(maxsize=64)
def _derived(key: str, purpose: str) -> tuple[bytes, AESGCM]:
    raw = base64.urlsafe_b64decode(key)

    def derive(info: str, length: int) -> bytes:
        return HKDF(algorithm=SHA256(), length=length, salt=None, info=info.encode()).derive(raw)

    return derive("seal.name", _NAME), AESGCM(derive(f"seal.{purpose}", 32))
