"""Gives every post a ``slug`` for its address: ``Hello, World!`` becomes ``hello-world``, the next ``hello-world-2``.

A slug that the caller sends is left alone. That a slug is taken shows in the suffix, whoever may read the post that
has it: addresses are public.
"""

import re
import secrets
import unicodedata
from collections.abc import Iterator

from mbaas.plugin import DatabaseError, Hooks, Proceed, Record, RecordCreate, Refused, replace

COLLECTION = "posts"
TITLE = "title"
SLUG = "slug"
MAX_LENGTH = 80
UNIQUE_VIOLATION = "23505"  # PostgreSQL, appendix A


def register(hooks: Hooks) -> None:
    @hooks.around(RecordCreate, only=COLLECTION)
    async def add_slug(event: RecordCreate, proceed: Proceed[RecordCreate, Record]) -> Record:
        """Fill ``slug`` from ``title`` when the caller left it out."""
        title = event.values.get(TITLE)
        if event.values.get(SLUG) is not None or not isinstance(title, str):
            return await proceed(event)
        base = slug_of(title)
        if not base:
            raise Refused(
                f"the {TITLE} has no letters or digits to make an address from", hint=f"send a {SLUG} yourself"
            )
        for slug in candidates(base):
            try:
                async with event.transaction.savepoint():
                    return await proceed(replace(event, values={**event.values, SLUG: slug}))
            except DatabaseError as error:
                if error.sqlstate != UNIQUE_VIOLATION or SLUG not in (error.constraint or ""):
                    raise
        raise Refused(f"every address made from this {TITLE} is taken", status=409, hint=f"send a {SLUG} yourself")


def slug_of(title: str) -> str:
    """Lower-case ASCII letters and digits with hyphens between words; empty when the title has none.

    >>> slug_of("  Crème brûlée, à la maison! ")
    'creme-brulee-a-la-maison'
    """
    plain = unicodedata.normalize("NFKD", title.casefold()).encode("ascii", "ignore").decode()
    return "-".join(re.findall("[a-z0-9]+", plain))[:MAX_LENGTH].strip("-")


def candidates(base: str) -> Iterator[str]:
    """The slug itself, then ``-2`` to ``-9``, then some that nobody else thinks of."""
    yield base
    yield from (f"{base}-{number}" for number in range(2, 10))
    yield from (f"{base}-{secrets.token_hex(4)}" for _ in range(3))
