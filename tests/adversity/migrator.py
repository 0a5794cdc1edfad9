"""A migrator in a process of its own, which dies without a word before the step whose number it is given.

``python -m tests.adversity.migrator URL NUMBER``; number 0: it lives.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys

from mbaas.adapters.postgres.database import Database
from mbaas.adapters.postgres.migrate import migrate
from mbaas.core.observe import MigrationStepBegan, Observation
from mbaas.core.schema.catalog import Index, IndexField
from tests.schemas import catalog, collection, field

BEFORE = catalog(
    collection("authors", field("name")),
    collection(
        "posts",
        field("author", "uuid", references="authors"),
        field("title"),
        field("n", "int"),
        field("old"),
        field("price", "numeric(6,2)"),
    ),
    collection("gone", field("text")),
)
AFTER = catalog(
    collection("people", field("name", required=True), renamed_from="authors"),
    collection(
        "posts",
        field("author", "uuid", references="people", on_delete="set null"),
        field("headline", required=True, unique=True, max_length=80, renamed_from="title"),
        field("n", "bigint", minimum="0", default="1"),
        field("price", "numeric(6,1)"),
        field("shout", generated="upper(headline)"),
        indexes=(Index(name="posts_n_idx", fields=(IndexField("n", descending=True),)),),
    ),
    collection("tags", field("post", "uuid", references="posts")),
)
FUNCTIONS = {"tally": "create or replace function tally() returns bigint language sql as 'select count(*) from posts'"}


def policies(name: str) -> tuple[str, ...]:
    columns = {"posts": "n", "authors": "name", "people": "name", "gone": "text", "tags": "post"}
    return (
        f"drop policy if exists mbaas_read on {name}",
        f"create policy mbaas_read on {name} for select to anon using ({columns[name]} is not null)",
        f"grant select on {name} to anon",
    )


async def main(url: str, number: int) -> None:
    def observe(observation: Observation) -> None:
        if isinstance(observation, MigrationStepBegan) and observation.number == number:
            os.kill(os.getpid(), signal.SIGKILL)

    database = Database(url, connections=0)
    await migrate(database, AFTER, policies, FUNCTIONS, short_bytes=0, allow_destructive=True, observe=observe)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
