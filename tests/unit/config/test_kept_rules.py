"""Rules that were read before are the same as when they are read, and of nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from mbaas.config import kept_rules
from mbaas.config.kept_rules import NAME, compiled_rules
from mbaas.core.errors import RuleError
from mbaas.core.rules import compile as compiling
from mbaas.core.rules.compile import compile_rules
from mbaas.core.schema.catalog import Catalog, Rules
from tests.sample import CATALOG


class Reads:
    """Counts how often rules are read."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        monkeypatch.setattr(compiling, "compile_rules", self)

    def __call__(self, catalog: Catalog) -> object:
        self.count += 1
        return compile_rules(catalog)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Reads:
    return Reads(monkeypatch)


def with_rule(text: str) -> Catalog:
    posts = replace(CATALOG.collections["posts"], rules=Rules(select=text))
    return replace(CATALOG, collections={**CATALOG.collections, "posts": posts})


def test_they_are_read_once(tmp_path: Path, reads: Reads) -> None:
    read, kept = compiled_rules(CATALOG, tmp_path), compiled_rules(CATALOG, tmp_path)
    assert read == kept == compile_rules(CATALOG)
    assert read.defaults["posts"]
    assert reads.count == 1
    assert [path.name for path in tmp_path.iterdir()] == [NAME]
    assert (tmp_path / NAME).stat().st_mode & 0o777 == 0o600


def test_those_of_another_catalog_are_read_anew(tmp_path: Path, reads: Reads) -> None:
    compiled_rules(CATALOG, tmp_path)
    other = with_rule("title = 'x'")
    assert compiled_rules(other, tmp_path) == compile_rules(other)
    assert compiled_rules(CATALOG, tmp_path) == compile_rules(CATALOG)
    assert reads.count == 3


def test_a_rule_that_is_wrong_is_refused_and_nothing_kept_of_it(tmp_path: Path, reads: Reads) -> None:
    for _ in range(2):
        with pytest.raises(RuleError):
            compiled_rules(with_rule("nothing_such"), tmp_path)
    assert reads.count == 2
    assert list(tmp_path.iterdir()) == []


def test_another_program_reads_them_anew(tmp_path: Path, reads: Reads, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled_rules(CATALOG, tmp_path)
    package = tmp_path / "core"
    for name in ("expr", "rules", "schema"):
        (package / name).mkdir(parents=True)
    monkeypatch.setattr(kept_rules.mbaas.core, "__path__", [str(package)])
    compiled_rules(CATALOG, tmp_path)
    (package / "rules" / "parse.py").write_text("# understands more")
    compiled_rules(CATALOG, tmp_path)
    compiled_rules(CATALOG, tmp_path)
    assert reads.count == 3


@pytest.mark.parametrize("damage", [b"", b"\x00", b"\x85\xa6digest\xc4\x01x", "rights", "folder"])
def test_what_cannot_be_trusted_is_read_anew_and_replaced(tmp_path: Path, reads: Reads, damage: bytes | str) -> None:
    compiled_rules(CATALOG, tmp_path)
    path = tmp_path / NAME
    if damage == "rights":
        path.chmod(0o622)
    elif damage == "folder":
        path.unlink()
        path.mkdir()
    else:
        assert isinstance(damage, bytes)
        path.write_bytes(damage)
    assert compiled_rules(CATALOG, tmp_path) == compile_rules(CATALOG)
    assert reads.count == 2
    compiled_rules(CATALOG, tmp_path)
    assert reads.count == (3 if damage == "folder" else 2)


def test_where_there_is_no_folder_nothing_is_kept(tmp_path: Path, reads: Reads) -> None:
    assert compiled_rules(CATALOG, tmp_path / "none") == compile_rules(CATALOG)
    assert not (tmp_path / "none").exists()


def test_where_nothing_can_be_written_nothing_is_kept(tmp_path: Path, reads: Reads) -> None:
    in_the_way = tmp_path / "data"
    in_the_way.write_text("a file")
    assert compiled_rules(CATALOG, in_the_way) == compile_rules(CATALOG)
    assert in_the_way.read_text() == "a file"
