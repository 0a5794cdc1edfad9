"""Which columns of a view are columns of a table as they are, read from PostgreSQL's own parse of the view.

Source: ``pg_rewrite.ev_action``, the text of ``nodeToString`` (``src/backend/nodes/outfuncs.c``): nodes in braces, each
with a name and ``:field value`` pairs. A TARGETENTRY says where its value comes from, through sub-selects and joins, in
``resorigtbl`` and ``resorigcol``; these are 0 for what is computed.
"""

from __future__ import annotations

import re

_TOKEN = re.compile(r'\\.|"(?:[^"\\]|\\.)*"|[{}]|[^\\"{}]+|"', re.DOTALL)
_ENTRY = re.compile(
    r"TARGETENTRY .*:resno (\d+) .*:resorigtbl (\d+) :resorigcol (\d+) :resjunk false", re.ASCII | re.DOTALL
)
_OUTPUT = 2  # the query itself is the outermost node, its outputs stand directly in it


def column_origins(rule: str) -> dict[int, tuple[int, int]]:
    """By the number of a view's column: the table's oid and the number of its column.

    >>> column_origins(
    ...     "({QUERY :targetList ({TARGETENTRY :expr {VAR :varno 1} :resno 1 :resname id"
    ...     " :ressortgroupref 0 :resorigtbl 16393 :resorigcol 2 :resjunk false})})"
    ... )
    {1: (16393, 2)}
    """
    found: dict[int, tuple[int, int]] = {}
    depth = 0
    own: list[str] = []  # the text of the node at that depth, without what stands in it
    for piece in _TOKEN.findall(rule):
        if piece == "{":
            depth += 1
            if depth == _OUTPUT:
                own = []
        elif piece == "}":
            if depth == _OUTPUT and (entry := _ENTRY.match("".join(own))) is not None and entry[2] != "0":
                found[int(entry[1])] = (int(entry[2]), int(entry[3]))
            depth -= 1
        elif depth == _OUTPUT:
            own.append(piece)
    return found
