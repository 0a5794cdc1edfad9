"""The rows: the same numbers give the same posts and authors on every side, so any of them can be asked for by number.

``sql/load.sql`` and ``pocketbase.py`` write what is said here.
"""

from __future__ import annotations

import hashlib
import random
import uuid
from collections.abc import Iterator

import msgspec

POSTS_PER_AUTHOR = 100
SIGNED_IN = 32  # authors whose tokens are used
PASSWORD = "a password for the benchmark"
BODY = " ".join(["The heron stood in the shallow water below the weir and did not move for eleven minutes."] * 6)
BEGAN = 1_735_689_600  # 2025-01-01, in seconds; post n is from n seconds later


class Post(msgspec.Struct, frozen=True):
    """Post ``number`` of a table with so many authors."""

    number: int
    authors: int

    @property
    def id(self) -> str:
        """A uuid. PocketBase's id is its first 15 digits."""
        return _uuid(f"post{self.number}")

    @property
    def author(self) -> int:
        return self.number % self.authors

    @property
    def title(self) -> str:
        return f"Note {self.number}"

    @property
    def tags(self) -> list[str]:
        return [f"tag{self.number % 50}", f"tag{50 + self.number % 7}"]

    @property
    def published(self) -> bool:
        return self.number // self.authors % 10 != 0


class Data(msgspec.Struct, frozen=True):
    """``rows`` posts, numbered from 0, in each of the two collections."""

    rows: int

    @property
    def authors(self) -> int:
        """How many. Each has as many posts however large the tables are."""
        return max(1, self.rows // POSTS_PER_AUTHOR)

    @property
    def signed_in(self) -> range:
        return range(min(SIGNED_IN, self.authors))

    def posts(self) -> Iterator[Post]:
        return (Post(number, self.authors) for number in range(self.rows))

    def any_post(self, chance: random.Random) -> Post:
        return Post(chance.randrange(self.rows), self.authors)

    def own_post(self, chance: random.Random) -> Post:
        """Of an author who is signed in."""
        author = chance.choice(self.signed_in)
        return Post(author + self.authors * chance.randrange(self.rows // self.authors), self.authors)

    def any_author(self, chance: random.Random) -> int:
        return chance.randrange(self.authors)


def author_id(number: int) -> str:
    """A uuid. PocketBase's id is its first 15 digits."""
    return _uuid(f"author{number}")


def author_email(number: int) -> str:
    return f"author{number}@example.com"


def short(id: str) -> str:
    """The id of the same row in PocketBase, whose ids have 15 characters."""
    return id.replace("-", "")[:15]


def _uuid(text: str) -> str:
    return str(uuid.UUID(hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()))
