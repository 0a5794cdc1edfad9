"""Text becomes SQL in ``core/sql`` and nowhere else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
# Beside core/sql, which quotes what it writes: the query of a plugin's author, and two integers of ours.
KNOWN = {"mbaas/adapters/postgres/as_caller.py": 1, "mbaas/adapters/postgres/migration_run.py": 1}


def test_statements_are_put_together_where_sql_is_made() -> None:
    command = [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "S608", "--ignore-noqa", "--no-cache"]
    command += ["--output-format", "concise", "--exclude", "mbaas/core/sql", "mbaas"]
    told = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=False).stdout
    found = [line.split(":")[0] for line in told.splitlines() if " S608 " in line]
    assert {name: found.count(name) for name in found} == KNOWN
