"""A command line that is understood without Typer means what Typer makes of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from mbaas_cli import serve
from mbaas_cli.main import app
from mbaas_cli.serving import Start, plainly

PLAIN = [
    "",
    "--port 9000",
    "--host 0.0.0.0 --port 0",
    "--config there/mbaas.toml",
    "-c there.toml --json",
    "--safe-mode --unsafe-dev --json --json",
    "--port 1 --port 2",
]
SPECIAL = [
    "--help", "--port", "--port x", "--port -1", "--port ²", "--port=9000", "--host", "--host --json", "-ca", "more",
    "--no-such", "--", "--config -c",
]  # fmt: skip


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Start]:
    """What Typer would have started."""
    found: list[Start] = []

    def run(start: Start) -> int:
        found.append(start)
        return 3

    monkeypatch.setattr(serve, "run", run)
    return found


@pytest.mark.parametrize("configured", [None, "elsewhere.toml"])
@pytest.mark.parametrize("line", PLAIN)
def test_both_make_the_same_of_it(
    started: list[Start], monkeypatch: pytest.MonkeyPatch, line: str, configured: str | None
) -> None:
    monkeypatch.delenv("MBAAS_CONFIG", raising=False)
    if configured is not None:
        monkeypatch.setenv("MBAAS_CONFIG", configured)
    assert CliRunner().invoke(app, ["serve", *line.split()]).exit_code == 3
    assert started == [plainly(line.split())]
    assert configured is None or "-c" in line or started[0].config == Path(configured)


@pytest.mark.parametrize("line", SPECIAL)
def test_anything_special_is_for_typer(line: str) -> None:
    assert plainly(line.split()) is None
