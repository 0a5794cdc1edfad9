"""Templates that an administrator has set, in the database: all nodes see them at once."""

from __future__ import annotations

from mbaas.adapters.messages.compose import Texts
from mbaas.adapters.postgres.database import Database
from mbaas.core.sql.fragment import Statement

_OF_KIND = "select locale, subject, text, html from mbaas.message_templates where kind = $1::text"
_ALL = "select kind, locale from mbaas.message_templates order by kind, locale"
_SET = """
insert into mbaas.message_templates as t (kind, locale, subject, text, html)
values ($1::text, $2::text, $3::text, $4::text, $5::text)
on conflict (kind, locale) do update set
    subject = excluded.subject, text = excluded.text, html = excluded.html, updated_at = now()
"""
_REMOVE = "delete from mbaas.message_templates where kind = $1::text and locale = $2::text returning 1"


class StoredTemplates:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def of_kind(self, kind: str) -> dict[str, Texts]:
        """By language."""
        rows = await self._database.fetch_rows(Statement(_OF_KIND, (kind,)))
        return {str(locale): Texts(subject=subject, text=str(text), html=html) for locale, subject, text, html in rows}

    async def names(self) -> list[tuple[str, str]]:
        """Kind and language of each."""
        return [(str(kind), str(locale)) for kind, locale in await self._database.fetch_rows(Statement(_ALL))]

    async def set(self, kind: str, locale: str, texts: Texts) -> None:
        """Keep one, which was checked before."""
        await self._database.fetch_row(Statement(_SET, (kind, locale, texts.subject, texts.text, texts.html)))

    async def remove(self, kind: str, locale: str) -> bool:
        """Whether there was one."""
        return await self._database.fetch_row(Statement(_REMOVE, (kind, locale))) is not None
