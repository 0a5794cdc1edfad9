"""Files of users, read before anything is sent."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mbaas.core.errors import QueryError
from mbaas_cli.user_files import batches, read_firebase_hashes, read_users

CONSOLE = """hash_config {
  algorithm: SCRYPT,
  base64_signer_key: jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA==,
  base64_salt_separator: Bw==,
  rounds: 8,
  mem_cost: 14,
}
"""


def written(folder: Path, name: str, text: str) -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def test_a_table_has_the_names_of_the_api(tmp_path: Path) -> None:
    text = (
        "email,password_hash,email_confirm,user_metadata\n"
        'a@example.com,$2b$10$x,TRUE,"{""n"": 1}"\n'
        "b@example.com,,no,\n"
    )
    assert read_users(written(tmp_path, "users.csv", text)) == [
        {"email": "a@example.com", "password_hash": "$2b$10$x", "email_confirm": True, "user_metadata": {"n": 1}},
        {"email": "b@example.com", "email_confirm": False},
    ]


def test_an_export_of_firebase_is_read_with_its_hash_parameters(tmp_path: Path) -> None:
    user = {
        "localId": "f1", "email": "a@example.com", "emailVerified": True, "displayName": "Ada",
        "passwordHash": "lSrfV15cpx95_sZS2W9c", "salt": "42xEC-ixf3L2lw==", "createdAt": "1", "providerUserInfo": [],
    }  # fmt: skip
    exported = written(tmp_path, "users.json", json.dumps({"users": [user]}))
    hashes = read_firebase_hashes(written(tmp_path, "hash_config.txt", CONSOLE))
    (made,) = read_users(exported, hashes)
    assert made["app_metadata"] == {"firebase_id": "f1"}
    assert made["user_metadata"] == {"full_name": "Ada"}
    assert made["password_hash"] == (
        f"$fbscrypt$v=1,n=14,r=8,p=1,ss=Bw==,sk={hashes.signer_key}$42xEC-ixf3L2lw==$lSrfV15cpx95_sZS2W9c"
    )
    with pytest.raises(QueryError, match="hashes of Firebase"):
        read_users(exported)


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("users.csv", "email,name\na@example.com,Ada\n", "line 2: a user has no 'name'"),
        ("users.csv", "email,email_confirm\na@example.com,maybe\n", "line 2: email_confirm is true or false"),
        ("users.csv", "email\na@example.com,b\n", "line 2: more values than names"),
        ("users.csv", 'user_metadata\n{"a"\n', "line 2, user_metadata: no JSON"),
        ("users.jsonl", '{"email": "a@example.com"}\nnothing\n', "line 2: no JSON"),
        ("users.json", '[{"email": "a@example.com"}, 1]', "user 2 is no user"),
        ("users.json", "{}", "holds no array of users"),
        ("users.xml", "", "of no kind that is known"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_where_the_fault_is(
    tmp_path: Path, name: str, text: str, reason: str
) -> None:
    with pytest.raises(QueryError, match=reason):
        read_users(written(tmp_path, name, text))


def test_a_request_carries_only_so_many_and_so_much() -> None:
    users = [{"email": f"{number}@example.com"} for number in range(7)]
    assert [len(batch) for batch in batches(users, count=3)] == [3, 3, 1]
    assert [len(batch) for batch in batches(users, size=60)] == [2, 2, 2, 1]
