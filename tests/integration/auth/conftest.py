"""Auth on this test's own database: with confirmation of addresses, and without."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.auth import Auth, make_config, open_auth


@pytest.fixture
async def auth(database_url: str) -> AsyncIterator[Auth]:
    """An address has to be confirmed."""
    async with open_auth(database_url) as opened:
        yield opened


@pytest.fixture
async def easy(database_url: str) -> AsyncIterator[Auth]:
    """An address needs no confirmation."""
    with tempfile.TemporaryDirectory(prefix="mbaas-auth-") as name:
        async with open_auth(database_url, make_config(Path(name), autoconfirm=True)) as opened:
            yield opened
