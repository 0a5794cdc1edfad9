"""``docs/reference/cli.md`` is what the commands say of themselves."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "cli.md"
COMMAND = [sys.executable, "-m", "typer", "mbaas_cli.main", "utils", "docs", "--name", "mbaas"]


def test_the_reference_of_commands_is_up_to_date() -> None:
    made = subprocess.run(COMMAND, capture_output=True, text=True, check=True, timeout=60).stdout
    assert made.strip() == REFERENCE.read_text(encoding="utf-8").strip(), (
        "write it anew: python -m typer mbaas_cli.main utils docs --name mbaas --output docs/reference/cli.md"
    )
