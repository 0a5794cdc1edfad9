"""What collections and relations are called, as pg_graphql calls them.

A name that GraphQL cannot spell is no part of the schema (GraphQL specification, section 2.1.9), and neither is what it
names; the same goes for a name that is taken.
"""

from __future__ import annotations

import re
from collections import Counter

from mbaas.core.plan.relations import Relation

_NAME = re.compile(r"(?!__)[_A-Za-z][_0-9A-Za-z]*", re.ASCII)
_ID = "_id"


def is_name(text: str) -> bool:
    """Whether GraphQL can spell it. Two underscores in front are its own.

    >>> is_name("posts"), is_name("2fast"), is_name("__type"), is_name("naïve")
    (True, False, False, False)
    """
    return _NAME.fullmatch(text) is not None


def type_names(collection: str) -> tuple[str, ...]:
    """Every type that comes of a collection."""
    endings = ("", "Connection", "Edge", "Filter", "OrderBy", "InsertInput", "UpdateInput", "InsertResponse")
    return tuple(collection + ending for ending in (*endings, "UpdateResponse", "DeleteResponse"))


def relation_names(relations: tuple[Relation, ...], taken: set[str]) -> dict[str, Relation]:
    """The field of each relation: ``owner`` for ``owner_id``, else its target; ``commentsCollection`` for many.

    Where several would have one name, each gets the columns of its foreign key as well: ``profilesBy_author``. taken:
    the fields that are there already; a relation that has no name left is left out.
    """
    short = {id(relation): _short(relation) for relation in relations}
    often = Counter(short.values())
    found: dict[str, Relation] = {}
    for relation in relations:
        name = short[id(relation)]
        if often[name] > 1 or name in taken:
            name = f"{_base(relation)}By_{'_'.join(_key(relation))}"
        if is_name(name) and name not in taken and name not in found:
            found[name] = relation
    return found


def _base(relation: Relation) -> str:
    return relation.target if relation.to_one else f"{relation.target}Collection"


def _short(relation: Relation) -> str:
    if relation.forward and len(relation.columns) == 1:
        column = relation.columns[0][0]
        if column.endswith(_ID) and column != _ID:
            return column.removesuffix(_ID)
    return _base(relation)


def _key(relation: Relation) -> tuple[str, ...]:
    """The columns of the foreign key, whichever side has it."""
    return tuple(ours if relation.forward else theirs for ours, theirs in relation.columns)
