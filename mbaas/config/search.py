"""``[collections.*.search]`` as a field that the server keeps: what of a row is found by words."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeAlias

from mbaas.config.inputs import SearchInput
from mbaas.config.shape import nearest
from mbaas.core.errors import ConfigError
from mbaas.core.schema.catalog import Field, Search
from mbaas.core.schema.types import parse_type
from mbaas.core.sql.expressions import CONFIGURATIONS
from mbaas.core.sql.fragment import quote, quote_text

FIELD = "_search"
_WEIGHTS = ("A", "B", "C", "D")

Fail: TypeAlias = Callable[..., ConfigError]


def search_of(collection: str, given: SearchInput, fields: Iterable[Field], fail: Fail) -> tuple[Search, Field]:
    """What is searched, and the field that holds it. Raises ConfigError.

    A field that not everybody may read is refused: who finds a row by a word has read the word.
    """
    path = ("collections", collection, "search")
    known = {field.name: field for field in fields}
    if FIELD in known:
        raise fail((*path, "fields"), f"{FIELD} is the server's own", hint=f"rename the field {FIELD}")
    if not given.fields:
        raise fail((*path, "fields"), "a search needs fields", hint='fields = ["title^A", "body"]')
    weighed: dict[str, str] = {}
    for spelled in given.fields:
        name, _, weight = spelled.partition("^")
        if weight and weight not in _WEIGHTS:
            raise fail((*path, "fields"), f"{spelled!r} has no weight", hint="from ^A, the most, to ^D")
        if name in weighed:
            raise fail((*path, "fields"), f"{name} stands twice", hint="leave one out")
        field = _readable(collection, name, known, fail, (*path, "fields"))
        if not field.type.is_text:
            raise fail((*path, "fields"), f"{name} is no text", hint="fields of type text, email, url or enum")
        weighed[name] = weight or "D"
    if given.language not in CONFIGURATIONS:
        message = f"there is no language {given.language!r}"
        raise fail((*path, "language"), message, hint=nearest(given.language, sorted(CONFIGURATIONS)))
    languages: tuple[str, ...] = ()
    if given.language_field is not None:
        field = _readable(collection, given.language_field, known, fail, (*path, "language_field"))
        languages = field.values
        if not languages or not CONFIGURATIONS.issuperset(languages) or field.type.array:
            hint = 'type = "enum", values = ["english", "german"]'
            raise fail((*path, "language_field"), f"{field.name} is no enum of languages", hint=hint)
    search = Search(field=FIELD, language=given.language, by=given.language_field, languages=languages)
    generated = _vector(weighed, search)
    return search, Field(name=FIELD, type=parse_type("tsvector"), generated=generated, hidden=True, managed=True)


def _readable(collection: str, name: str, known: dict[str, Field], fail: Fail, path: tuple[str, ...]) -> Field:
    field = known.get(name)
    if field is None:
        raise fail(path, f"{collection} has no field {name!r}", hint=nearest(name, known))
    if field.hidden or field.read is not None:
        raise fail(path, f"not everybody may read {name}, so it cannot be searched", hint=f"take {name} out")
    if field.generated is not None:
        raise fail(path, f"{name} is generated, and PostgreSQL generates nothing from that", hint=f"take {name} out")
    return field


def _vector(weighed: dict[str, str], search: Search) -> str:
    def in_language(language: str) -> str:
        return " || ".join(
            f"setweight(to_tsvector({quote_text(language)}::regconfig, coalesce({quote(name)}, '')), '{weight}')"
            for name, weight in weighed.items()
        )

    if search.by is None:
        return in_language(search.language)
    branches = " ".join(f"when {quote_text(one)} then {in_language(one)}" for one in search.languages)
    return f"case {quote(search.by)} {branches} else {in_language(search.language)} end"
