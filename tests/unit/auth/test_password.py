"""Passwords: a queue with an end, and hashes that cost what we choose."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from mbaas.core.errors import RateLimited
from mbaas.modules.auth import password as module
from mbaas.modules.auth.errors import ValidationFailed, WeakPassword
from mbaas.modules.auth.foreign_hashes import read_hash
from mbaas.modules.auth.password import Passwords


@pytest.fixture
def passwords() -> Iterator[Passwords]:
    made = Passwords(min_length=8, workers=1)
    yield made
    made.close()


async def test_a_full_queue_refuses_at_once_and_empties(passwords: Passwords, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_WAITING", 3)
    answers = await asyncio.gather(*(passwords.hash("correct horse") for _ in range(10)), return_exceptions=True)
    assert sum(isinstance(answer, RateLimited) for answer in answers) == 7
    assert (await passwords.hash("correct horse")).startswith("$argon2id$v=19$m=19456,t=2,p=1$")


async def test_hashing_leaves_the_event_loop_free(passwords: Passwords) -> None:
    turns = 0
    hashing = asyncio.create_task(passwords.hash("correct horse"))
    while not hashing.done():
        turns += 1
        await asyncio.sleep(0)
    assert turns > 10


def test_length_is_counted_in_characters_of_one_form(passwords: Passwords) -> None:
    assert passwords.check("u\u0308" * 8) == "ü" * 8
    with pytest.raises(WeakPassword):
        passwords.check("u\u0308" * 7)
    assert passwords.check("🐎" * 1000) == "🐎" * 1000
    with pytest.raises(ValidationFailed):
        passwords.check("x" * 1001)


async def test_nothing_matches_where_there_is_no_password(passwords: Passwords) -> None:
    for given in ("", "correct horse", "x" * 5000):
        assert not (await passwords.verify(None, given)).right
    assert not (await passwords.verify("no hash at all", "correct horse")).right


async def test_whoever_guessed_the_password_that_nobody_has_is_let_in_nowhere(
    passwords: Passwords, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mbaas.modules.auth.password._NOBODY", await passwords.hash("correct horse"))
    for stored in (None, "no hash at all"):
        assert not (await passwords.verify(stored, "correct horse")).right


@pytest.mark.parametrize(
    "stored",
    ["", "md5", "$2b$20$" + "x" * 53, "$2b$xx$" + "x" * 53, "$2b$10$short", "$argon2id$nonsense", "$argon2id$v=19$m=999999999,t=1,p=1$YWFhYWFhYWE$YWFhYWFhYWE"],
)  # fmt: skip
def test_hashes_we_could_not_afford_are_not_taken(stored: str) -> None:
    with pytest.raises(ValidationFailed):
        read_hash(stored)
