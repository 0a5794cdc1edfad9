"""The figures of a request's stages can be had: what they measure changes its interfaces now and then."""

from __future__ import annotations

import asyncio

import pytest

from benchmarks.request_path import EMBED, GET, LIST, whole


@pytest.mark.parametrize("query_string", [GET, LIST, EMBED])
def test_a_request_is_answered_by_a_database_that_answers_at_once(query_string: bytes) -> None:
    assert asyncio.run(whole(query_string)) > 0
