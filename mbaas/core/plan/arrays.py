"""PostgreSQL's array literals, one dimension: ``{a,"b c",NULL}``.

Source: PostgreSQL documentation, section 8.15.6.
"""

from __future__ import annotations

import re

from mbaas.core.errors import InvalidValue

_ELEMENT = re.compile(r'\s*(?:"((?:[^"\\]|\\.)*)"|((?:[^,{}"\\]|\\.)*))\s*([,}])', re.DOTALL)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)


def parse_array(text: str) -> tuple[str | None, ...]:
    """The elements as text, ``None`` for NULL.

    >>> parse_array('{a,"b,c",NULL,"NULL"}')
    ('a', 'b,c', None, 'NULL')

    Raises InvalidValue in PostgreSQL's words.
    """
    body = text.strip()
    if body[:1] != "{":
        raise _malformed(text)
    if body[1:].strip() == "}":
        return ()
    elements: list[str | None] = []
    position = 1
    while True:
        found = _ELEMENT.match(body, position)
        if found is None:
            raise _malformed(text)
        quoted, plain, end = found.groups()
        if quoted is not None:
            elements.append(_ESCAPE.sub(r"\1", quoted))
        else:
            element = plain.strip()
            if not element:
                raise _malformed(text)
            elements.append(None if element.upper() == "NULL" else _ESCAPE.sub(r"\1", element))
        position = found.end()
        if end == "}":
            break
    if body[position:].strip():
        raise _malformed(text)
    return tuple(elements)


def _malformed(text: str) -> InvalidValue:
    return InvalidValue(f'malformed array literal: "{text}"', hint='write it as {a,b,"c d"}')
