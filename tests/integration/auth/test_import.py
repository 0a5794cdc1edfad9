"""Users from elsewhere sign in with the password they had, and are hashed as ours from then on."""

from __future__ import annotations

from typing import Any

import argon2
import bcrypt
import pytest

from mbaas.core.sql.fragment import Statement
from mbaas.modules.auth.errors import ValidationFailed
from mbaas.modules.auth.foreign_hashes import read_hash
from tests.auth import Auth
from tests.integration.auth.test_sessions import count

# Firebase publishes this one (github.com/firebase/scrypt), GoTrue tests with the other.
FIREBASE = (
    "$fbscrypt$v=1,n=14,r=8,p=1,ss=Bw==,"
    "sk=jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA==$42xEC+ixf3L2lw==$"
    "lSrfV15cpx95/sZS2W9c9Kp6i/LVgQNDNC/qzrCnh1SAyZvqmZqAjTdn3aoItz+VHjoZilo78198JAdRuid5lQ=="
)
GOTRUE = (
    "$fbscrypt$v=1,n=14,r=8,p=1,ss=Bw==,"
    "sk=ou9tdYTGyYm8kuR6Dt0Bp0kDuAYoXrK16mbZO4yGwAn3oLspjnN0/c41v8xZnO1n14J3MjKj1b2g6AUCAlFwMw==$C0sHCg9ek77hsg==$"
    "zKVTMvnWVw5BBOZNUdnsalx4c4c7y/w7IS5p6Ut2+CfEFFlz37J9huyQfov4iizN8dbjvEJlM5tQaJP84+hfTw=="
)
HASHES = {
    "firebase": (FIREBASE, "user1password"),
    "firebase as GoTrue has it": (GOTRUE, "mytestpassword"),
    "bcrypt": (bcrypt.hashpw(b"hunter and hunted", bcrypt.gensalt(4)).decode(), "hunter and hunted"),
    "bcrypt of PHP": (
        bcrypt.hashpw(b"hunter and hunted", bcrypt.gensalt(4)).decode().replace("$2b$", "$2y$"),
        "hunter and hunted",
    ),
    "argon2i": (argon2.PasswordHasher(1, 512, 1, type=argon2.Type.I).hash("hunter"), "hunter"),
    # by Django 5.2, Werkzeug 3 and passlib 1.7
    "django": ("pbkdf2_sha256$1000$seasalt$JgZryXe2Ga8ysg6XbzkLpTdyPQrHqsinbL9BnnhgX4A=", "lètmein"),
    "django sha1": ("pbkdf2_sha1$1000$seasalt$ljleU4wBmTtz/MoG5YTwxpM0d7I=", "lètmein"),
    "werkzeug pbkdf2": (
        "pbkdf2:sha256:1000$84CBHZl5vE3xRo07$03eb1ad05b22d83e3e032b0e091e76c40858e38e2096e4555077bc48567edad7",
        "lètmein",
    ),
    "werkzeug scrypt": (
        "scrypt:1024:8:1$ouDkKUzbs8OWhbDz$c6bdbe8890cbe073483cf5aeb2566da533d9fcf3341f8483f2fff1b070555548"
        "b2795ab3076e1f1d5da990b0f05f4e008cc5f76ee8e381a19f6f6f1966285329",
        "lètmein",
    ),
    "passlib sha512": (
        "$pbkdf2-sha512$100$XSul9L5XipEy5jwHYAyBUA$8MzltyytwvSPOBYVOYGOoCwA3ZAK0rqtNBmL5sX6zPSnVf/9ZuV/"
        "rBwWuZiILmnCEQAdXEnM9J5jT8msNoaubw",
        "lètmein",
    ),
    "passlib scrypt": (
        "$scrypt$ln=8,r=8,p=1$bm1tzdkbwzhnrDWGcO5dqw$4AAjdbLQsn7iCN5EnVgDLuXkWC9UaPb4qR83yi0j1GQ",
        "lètmein",
    ),
    "passlib sha1": ("$pbkdf2$100$YSxlrDWGMEao9f4/Z.yd8w$e0b8y1ylh0W5eWG1Lv07qMk5n6Q", "lètmein"),
}


async def bring(auth: Auth, users: list[dict[str, Any]], **options: Any) -> Any:
    answer = await auth.post("/admin/users/import", {"users": users, **options}, key=auth.service_key)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_password_hashed_elsewhere_signs_in_and_is_hashed_as_ours_then(auth: Auth) -> None:
    users = [
        {"email": f"u{number}@example.com", "password_hash": stored, "email_confirm": True}
        for number, (stored, _) in enumerate(HASHES.values())
    ]
    assert await bring(auth, users) == {"created": len(HASHES), "existing": 0, "rejected": []}
    for number, (kind, (_, password)) in enumerate(HASHES.items()):
        address = f"u{number}@example.com"
        assert (await auth.sign_in(address, password + "x")).json()["error_code"] == "invalid_credentials", kind
        assert (await auth.sign_in(address, password)).status_code == 200, kind
        stored = await auth.database.fetch_row(
            Statement("select encrypted_password from auth.users where email = $1::text", (address,))
        )
        assert str(stored).startswith("('$argon2id$v=19$m=19456,t=2,p=1$"), kind
        assert (await auth.sign_in(address, password)).status_code == 200, kind


async def test_what_was_typed_elsewhere_in_another_form_still_opens(auth: Auth) -> None:
    typed = "Schlu\u0308ssel"  # as some keyboards send it; what made the hash knew no normal form
    stored = bcrypt.hashpw(typed.encode(), bcrypt.gensalt(4)).decode()
    await bring(auth, [{"email": "ada@example.com", "password_hash": stored, "email_confirm": True}])
    assert (await auth.sign_in("ada@example.com", typed)).status_code == 200
    assert (await auth.sign_in("ada@example.com", "Schl\u00fcssel")).status_code == 200


async def test_an_import_takes_whom_it_can_and_names_the_others(auth: Auth) -> None:
    await auth.post("/admin/users", {"email": "here@example.com"}, key=auth.service_key)
    users = [
        {"email": "new@example.com", "password_hash": FIREBASE},
        {"email": "Here@example.com"},
        {"email": "no address"},
        {"email": "md5@example.com", "password_hash": "md5"},
        {"phone": "+4915112345678", "phone_confirm": True},
        {"email": "new@example.com"},
    ]
    for dry_run in (True, False):
        told = await bring(auth, users, dry_run=dry_run)
        assert (told["created"], told["existing"]) == (2, 2)
        assert [(one["index"], one["code"]) for one in told["rejected"]] == [
            (2, "validation_failed"),
            (3, "validation_failed"),
        ]
        assert await count(auth, "users") == (1 if dry_run else 3)
    assert (await bring(auth, users))["existing"] == 4


@pytest.mark.parametrize(
    "stored",
    [
        FIREBASE.replace("n=14", "n=24"),
        FIREBASE.replace("r=8", "r=999"),
        FIREBASE.replace("n=14", "n=0"),
        FIREBASE.replace("jxspr8", "jxs%r8"),
        FIREBASE[:-8],
        "pbkdf2_sha256$99999999$seasalt$JgZryXe2Ga8ysg6XbzkLpTdyPQrHqsinbL9BnnhgX4A=",
        "pbkdf2_md5$1000$seasalt$JgZryXe2Ga8ysg6XbzkLpQ==",
        "pbkdf2:sha256:1000$salt$03eb",
        "scrypt:1000:8:1$salt$03eb",
        "x" * 5000,
        "$2b$10$é" + "x" * 52,
    ],
)
def test_a_hash_that_cannot_be_checked_at_a_sane_cost_is_refused(stored: str) -> None:
    with pytest.raises(ValidationFailed):
        read_hash(stored)
