"""The passwords that guessing begins with are no passwords."""

from __future__ import annotations

import pytest

from mbaas.modules.auth.errors import ValidationFailed, WeakPassword
from mbaas.modules.auth.password import Passwords


@pytest.mark.parametrize("password", ["password1", "PassWord1", "12345678", "qwertyuiop", "iloveyou", "1qaz2wsx"])
def test_a_password_that_everybody_tries_is_refused_and_says_why(password: str) -> None:
    passwords = Passwords(min_length=8, workers=1)
    with pytest.raises(WeakPassword) as caught:
        passwords.check(password)
    assert caught.value.reasons == ("pwned",)
    passwords.close()
    lenient = Passwords(min_length=8, block_list=False, workers=1)
    assert lenient.check(password) == password
    lenient.close()


async def test_edges_of_passwords_are_kept_whole() -> None:
    passwords = Passwords(min_length=8, workers=1)
    for password in ("x" * 72 + "tail", "with\x00a NUL", "  spaces  ", "🐎" * 64, "Ⅷ is one letter", "x" * 1000):
        stored = await passwords.hash(passwords.check(password))
        assert (await passwords.verify(stored, password)).right
        assert not (await passwords.verify(stored, password[:-1])).right
        assert not (await passwords.verify(stored, password.replace("\x00", ""))).right or "\x00" not in password
    with pytest.raises(ValidationFailed):
        passwords.check("x" * 10_240)
    passwords.close()
