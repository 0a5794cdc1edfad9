"""Password hashes that other systems made, at a cost that can be borne at sign-in.

Passwords are compared as they were typed, since those systems knew no normal form. A hash that is right once is
replaced by one of ours, so this is asked once a user.

=========================  ============================================================================================
bcrypt                     ``$2b$10$…``; ``bcrypt$$2b$…`` (Django)
argon2                     ``$argon2id$v=19$…``; ``argon2$argon2id$…`` (Django)
scrypt                     ``$scrypt$ln=14,r=8,p=1$salt$hash`` (PHC, passlib); ``scrypt:32768:8:1$salt$hex`` (Werkzeug)
Firebase's scrypt          ``$fbscrypt$v=1,n=14,r=8,p=1,ss=<separator>,sk=<signer key>$salt$hash``, as GoTrue has it
PBKDF2                     ``$pbkdf2-sha256$…$salt$hash`` (PHC, passlib); ``pbkdf2_sha256$rounds$salt$hash`` (Django);
                           ``pbkdf2:sha256:rounds$salt$hex`` (Werkzeug)
=========================  ============================================================================================
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from typing import TypeAlias

import argon2
import bcrypt
from argon2.exceptions import Argon2Error, InvalidHashError
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from mbaas.modules.auth.errors import ValidationFailed

MAX_LENGTH = 1024  # characters of a hash
MAX_MEMORY = 128 * 1024 * 1024  # bytes
MAX_SCRYPT_WORK = 2**21  # N * r * p: about a second
MAX_ROUNDS = 2_000_000  # of PBKDF2; Django's own of 2026 are 1,200,000
_MAX_PASSES, _MAX_LANES, _MAX_BCRYPT_COST = 10, 8, 14
_BCRYPT = ("$2a$", "$2b$", "$2y$")
_KINDS = "argon2, bcrypt, scrypt, Firebase's scrypt or PBKDF2"

Matches: TypeAlias = Callable[[str], bool]
"""Whether a password is the one. Takes as long as the hash costs: not for the event loop."""

_FIREBASE = re.compile(
    r"\$fbscrypt\$v=1,n=(\d{1,2}),r=(\d{1,3}),p=(\d{1,2})(?:,ss=([^,$]*))?,sk=([^,$]+)\$([^$]+)\$([^$]+)"
)
_SCRYPT = re.compile(r"\$scrypt\$ln=(\d{1,2}),r=(\d{1,3}),p=(\d{1,2})\$([^$]+)\$([^$]+)")
_WERKZEUG_SCRYPT = re.compile(r"scrypt:(\d{1,8}):(\d{1,3}):(\d{1,2})\$([^$]+)\$([0-9a-f]+)")
_PBKDF2 = re.compile(r"\$pbkdf2(?:-(sha1|sha256|sha512))?\$(?:i=)?(\d{1,8})(?:,l=\d{1,3})?\$([^$]+)\$([^$]+)")
_DJANGO_PBKDF2 = re.compile(r"pbkdf2_(sha1|sha256|sha512)\$(\d{1,8})\$([^$]+)\$([^$]+)")
_WERKZEUG_PBKDF2 = re.compile(r"pbkdf2:(sha1|sha256|sha512):(\d{1,8})\$([^$]+)\$([0-9a-f]+)")


def read_hash(stored: str) -> Matches:
    """What checks passwords against a hash. Raises ValidationFailed for one of another kind or that costs too much."""
    if len(stored) > MAX_LENGTH or not stored.isascii():
        raise ValidationFailed("The password hash cannot be read")
    for prefix, inner in (("bcrypt$$", "$"), ("argon2$argon2", "$argon2")):  # Django's names before the hash itself
        if stored.startswith(prefix):
            stored = inner + stored.removeprefix(prefix)
    if stored.startswith(_BCRYPT):
        return _bcrypt(stored)
    if stored.startswith("$argon2"):
        return _argon2(stored)
    for pattern, read in _FORMS.items():
        found = pattern.fullmatch(stored)
        if found is not None:
            try:
                return read(*(part or "" for part in found.groups()))
            except (binascii.Error, ValueError):
                raise ValidationFailed("The password hash cannot be read") from None
    raise ValidationFailed(f"The password hash must be {_KINDS}")


def _bcrypt(stored: str) -> Matches:
    parts = stored.split("$")
    if len(stored) != 60 or not parts[2].isdigit():
        raise ValidationFailed("The password hash cannot be read")
    _afford(int(parts[2]) <= _MAX_BCRYPT_COST)

    def matches(password: str) -> bool:
        try:  # bcrypt itself reads 72 bytes; a hash brought from elsewhere was made that way
            return bcrypt.checkpw(_bytes(password)[:72], stored.encode())
        except ValueError:  # a NUL byte, which bcrypt never saw
            return False

    return matches


def _argon2(stored: str) -> Matches:
    try:
        found = argon2.extract_parameters(stored)
    except InvalidHashError:
        raise ValidationFailed("The password hash cannot be read") from None
    memory_fits = found.memory_cost * 1024 <= MAX_MEMORY
    _afford(memory_fits and found.time_cost <= _MAX_PASSES and found.parallelism <= _MAX_LANES)
    hasher = argon2.PasswordHasher()

    def matches(password: str) -> bool:
        try:
            return hasher.verify(stored, _bytes(password))
        except (Argon2Error, InvalidHashError):
            return False

    return matches


def _scrypt(n: int, r: int, p: int, salt: bytes, wanted: bytes) -> Matches:
    _afford_scrypt(n, r, p)
    _require(len(wanted) >= 16)
    return lambda password: hmac.compare_digest(_derive(password, salt, n, r, p, len(wanted)), wanted)


def _firebase(memory: str, rounds: str, lanes: str, separator: str, signer: str, salt: str, wanted: str) -> Matches:
    """The signer key, encrypted (AES-256-CTR) under a key that scrypt makes of password and salt."""
    n, r, p = 2 ** int(memory), int(rounds), int(lanes)
    _afford_scrypt(n, r, p)
    key, salted, hashed = _base64(signer), _base64(salt) + _base64(separator), _base64(wanted)
    _require(len(key) == len(hashed) >= 16)

    def matches(password: str) -> bool:
        derived = _derive(password, salted, n, r, p, 64)[:32]
        encryptor = Cipher(algorithms.AES(derived), modes.CTR(bytes(16))).encryptor()
        return hmac.compare_digest(encryptor.update(key) + encryptor.finalize(), hashed)

    return matches


def _pbkdf2(digest: str, rounds: str, salt: bytes, wanted: bytes) -> Matches:
    _afford(int(rounds) <= MAX_ROUNDS)
    _require(int(rounds) >= 1 and len(wanted) >= 16)

    def matches(password: str) -> bool:
        made = hashlib.pbkdf2_hmac(digest, _bytes(password), salt, int(rounds), len(wanted))
        return hmac.compare_digest(made, wanted)

    return matches


def _derive(password: str, salt: bytes, n: int, r: int, p: int, length: int) -> bytes:
    memory = 128 * r * (n + p + 2)  # what OpenSSL wants at most, and then some
    return hashlib.scrypt(_bytes(password), salt=salt, n=n, r=r, p=p, maxmem=2 * memory, dklen=length)


def _afford_scrypt(n: int, r: int, p: int) -> None:
    _require(n > 1 and n & (n - 1) == 0 and r >= 1 and p >= 1)
    _afford(128 * n * r <= MAX_MEMORY and n * r * p <= MAX_SCRYPT_WORK)


def _afford(affordable: bool) -> None:
    if not affordable:
        raise ValidationFailed(f"The password hash must be {_KINDS}, at a cost that can be checked at sign-in")


def _require(sound: bool) -> None:
    if not sound:
        raise ValueError


def _bytes(password: str) -> bytes:
    return password.encode("utf-8", "surrogatepass")


def _base64(text: str) -> bytes:
    """Base64 in any of its alphabets, padded or not; passlib writes ``.`` for ``+``."""
    plain = text.rstrip("=").replace(".", "+").replace("-", "+").replace("_", "/")
    return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)


_FORMS: Mapping[re.Pattern[str], Callable[..., Matches]] = {
    _FIREBASE: _firebase,
    _SCRYPT: lambda ln, r, p, salt, hashed: _scrypt(2 ** int(ln), int(r), int(p), _base64(salt), _base64(hashed)),
    _WERKZEUG_SCRYPT: lambda n, r, p, salt, hashed: _scrypt(
        int(n), int(r), int(p), salt.encode(), bytes.fromhex(hashed)
    ),
    _PBKDF2: lambda name, rounds, salt, hashed: _pbkdf2(name or "sha1", rounds, _base64(salt), _base64(hashed)),
    _DJANGO_PBKDF2: lambda name, rounds, salt, hashed: _pbkdf2(name, rounds, salt.encode(), _base64(hashed)),
    _WERKZEUG_PBKDF2: lambda name, rounds, salt, hashed: _pbkdf2(name, rounds, salt.encode(), bytes.fromhex(hashed)),
}
