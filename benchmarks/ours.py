"""``mbaas serve`` with its own PostgreSQL, as anybody gets it: request log and rules on, rate limits off."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

from benchmarks.call import Call
from benchmarks.data import BEGAN, BODY, PASSWORD, Data, Post, author_email, author_id, short
from benchmarks.server import Server, program
from mbaas.adapters.postgres.embedded import running_url, wheel_bin
from mbaas.adapters.secrets import SecretsFile

HERE = Path(__file__).parent
READY = Call(path="/health/ready")
LISTED = "order=created_at.desc&limit=30&published=is.true"


class Ours(Server):
    def __init__(self, name: str, folder: Path, data: Data) -> None:
        super().__init__(name, folder, data)
        self.key = ""

    def command(self) -> list[str]:
        return [program("mbaas"), "serve", "--port", str(self.port)]

    def load(self) -> None:
        shutil.copy(HERE / "schema" / "mbaas.toml", self.folder)
        self.start(READY)
        self.key = SecretsFile(self.folder / ".mbaas" / "secrets.toml").current.anon_key
        account = {"email": "first@example.com", "password": PASSWORD}
        self.answer(Call(method="POST", path="/auth/v1/signup", headers={"apikey": self.key}, body=account))
        values = {"rows": self.data.rows, "authors": self.data.authors, "body": BODY, "began": BEGAN}
        given = [part for name, value in values.items() for part in ("-v", f"{name}={value}")]
        script = str(HERE / "sql" / "load.sql")
        self._psql(*given, "-f", script)
        self.tokens = [self.answer(self.sign_in(author))["access_token"] for author in self.data.signed_in]

    def stored(self) -> int:
        return int(self._psql("-Atc", "select count(*) from private_posts"))

    def url(self) -> str:
        """Of its PostgreSQL, as the owner, whom no rule holds back."""
        found = running_url(self.folder / ".mbaas" / "postgres")
        assert found is not None, "not started"
        return found

    def ids(self, answer: Any) -> list[str]:
        records = [answer["user"]] if "access_token" in answer else answer
        return [short(record["id"]) for record in records]

    def get(self, post: Post) -> Call:
        return Call(path=f"/rest/v1/posts?id=eq.{post.id}", headers={"apikey": self.key})

    def get_own(self, post: Post) -> Call:
        return Call(path=f"/rest/v1/private_posts?id=eq.{post.id}", headers=self._signed_in(post.author))

    def page(self, author: int) -> Call:
        return Call(path=f"/rest/v1/posts?author=eq.{author_id(author)}&{LISTED}", headers={"apikey": self.key})

    def page_counted(self, author: int) -> Call:
        headers = {"apikey": self.key, "prefer": "count=exact"}
        return Call(path=f"/rest/v1/posts?author=eq.{author_id(author)}&{LISTED}", headers=headers)

    def create(self, post: Post) -> Call:
        return self._write("POST", "/rest/v1/private_posts", post.author, _record(post))

    def update(self, post: Post) -> Call:
        path = f"/rest/v1/private_posts?id=eq.{post.id}"
        return self._write("PATCH", path, post.author, {"title": f"{post.title}, changed"})

    def batch(self, posts: list[Post]) -> Call:
        return self._write("POST", "/rest/v1/private_posts", posts[0].author, [_record(post) for post in posts])

    def sign_in(self, author: int) -> Call:
        account = {"email": author_email(author), "password": PASSWORD}
        return Call(
            method="POST", path="/auth/v1/token?grant_type=password", headers={"apikey": self.key}, body=account
        )

    def _psql(self, *arguments: str) -> str:
        command = [str(wheel_bin() / "psql"), "--no-psqlrc", *arguments, self.url()]
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout

    def _write(self, method: str, path: str, author: int, body: Any) -> Call:
        """With the written records in the answer, as PocketBase gives them."""
        headers = {**self._signed_in(author), "prefer": "return=representation"}
        return Call(method=method, path=path, headers=headers, body=body)

    def _signed_in(self, author: int) -> dict[str, str]:
        return {"apikey": self.key, "authorization": f"Bearer {self.tokens[author]}"}


def _record(post: Post) -> dict[str, Any]:
    return {
        "author": author_id(post.author),
        "title": post.title,
        "body": BODY,
        "tags": post.tags,
        "published": post.published,
    }
