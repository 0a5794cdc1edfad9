"""A folder with an ``mbaas.toml``, as one would write it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from mbaas.config.load import load
from mbaas.config.settings import Config
from mbaas.core.errors import ConfigError
from mbaas.core.schema.catalog import Collection, Field


class Project:
    """Writes files and loads them."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, **files: str) -> None:
        """``write(mbaas="...", collections__posts="...")``: TOML files, folders before ``__``."""
        for name, text in files.items():
            path = self.root / (name.replace("__", "/") + ".toml")
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)

    def load(self, text: str = "", environ: Mapping[str, str] | None = None) -> Config:
        self.write(mbaas=text)
        return load(self.root / "mbaas.toml", environ or {})

    def fault(self, text: str = "", environ: Mapping[str, str] | None = None) -> str:
        """What is said of a bad file: ``place: key: message | hint``."""
        with pytest.raises(ConfigError) as raised:
            self.load(text, environ)
        return f"{raised.value.message} | {raised.value.hint}"

    def collection(self, text: str, name: str = "posts") -> Collection:
        return self.load(text).catalog.collections[name]

    def field(self, inline: str) -> Field:
        """The field ``it`` of collection posts, given its inline table."""
        found = self.collection(f"[collections.posts.fields]\nit = {inline}\n").field("it")
        assert found is not None
        return found
