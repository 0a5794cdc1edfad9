"""What one request may cost us, as numbers the parsers keep to."""

from __future__ import annotations

import msgspec


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a caller can make long or deep, and how far. Beyond it: ``QueryTooComplex`` or ``TooLarge``.

    max_url: bytes of a query string. max_body: bytes. json_depth: arrays and objects in each other; a body's outer
    array of rows does not count. filter_terms: conditions, groups and order terms of one query. filter_depth: groups
    in each other. embed_depth: embeds in each other. embeds, select_items: of one query.
    """

    max_url: int = 32_768
    max_body: int = 1_048_576
    json_depth: int = 32
    filter_terms: int = 100
    filter_depth: int = 8
    embed_depth: int = 6
    embeds: int = 50
    select_items: int = 500


DEFAULT_LIMITS = Limits()
