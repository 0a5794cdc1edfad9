"""The words of a query string that go beyond filters: which of them a request means, once the catalog is known.

A collection that has a column of such a name keeps it: there the word is a filter, as any column's name is.
"""

from __future__ import annotations

import msgspec

from mbaas.core.plan.conditions import Owner
from mbaas.core.query.errors import Misplaced
from mbaas.core.query.filters import parse_condition
from mbaas.core.query.limits import DEFAULT_LIMITS
from mbaas.core.query.types import EmbedPath, Filter, Path, ReadParts

_ONCE = frozenset({"cursor", "search", "near", "within"})


def divided(parts: ReadParts, owner: Owner) -> tuple[ReadParts, dict[str, tuple[str, ...]]]:
    """The parts with the words that are columns among the filters, and the others, each with its values.

    Raises Misplaced for a word given twice that can be meant once.
    """
    if not parts.words:
        return parts, {}
    filters: list[tuple[EmbedPath, Filter]] = []
    words: dict[str, tuple[str, ...]] = {}
    for word, text in parts.words:
        if word in owner.columns:
            filters.append(((), parse_condition(Path(word), text, DEFAULT_LIMITS)))
        elif word in words and word in _ONCE:
            raise Misplaced(f"{word} is given twice", f"keep one {word}")
        else:
            words[word] = (*words.get(word, ()), text)
    return msgspec.structs.replace(parts, filters=(*parts.filters, *filters), words=()), words


def refuse_words(parts: ReadParts, owner: Owner, what: str) -> ReadParts:
    """The parts of a request that can have no words but those that are columns. Raises Misplaced."""
    parts, words = divided(parts, owner)
    for word in words:
        raise Misplaced(f"{word} cannot be asked of {what}", f"{word} belongs to GET of a collection")
    return parts
