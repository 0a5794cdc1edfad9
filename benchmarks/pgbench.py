"""The raw limit: PostgreSQL asked for the same by pgbench, with no server between, in the same rounds.

The statements are in ``sql/raw/``, one a workload. They build the same JSON and hold the same rule, prepared.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import msgspec

from benchmarks.data import BODY
from benchmarks.ours import Ours
from benchmarks.workloads import Workload
from mbaas.adapters.postgres.embedded import wheel_bin

SCRIPTS = Path(__file__).parent / "sql" / "raw"
_COUNT = re.compile(r"^number of transactions actually processed: (\d+)", re.MULTILINE)
_FAILED = re.compile(r"^number of failed transactions: (\d+)", re.MULTILINE)
_MEAN = re.compile(r"^latency average = ([\d.]+) ms", re.MULTILINE)
_SPEED = re.compile(r"^tps = ([\d.]+)", re.MULTILINE)


class Raw(msgspec.Struct, frozen=True, kw_only=True):
    """What pgbench saw, and CPU seconds of PostgreSQL."""

    workload: str
    round: int
    transactions: int
    per_second: float
    mean_ms: float
    cpu_s: float

    @property
    def cpu_s_per_1000(self) -> float:
        return self.cpu_s / self.transactions * 1000


def has_script(workload: Workload) -> bool:
    return (SCRIPTS / f"{workload.name}.sql").exists()


def run(workload: Workload, side: Ours, *, number: int, seconds: float) -> Raw:
    """One round in the PostgreSQL of ``side``, while its server rests. Raises RuntimeError when a statement failed."""
    values = {"rows": side.data.rows, "authors": side.data.authors, "body": BODY}
    given = [part for name, value in values.items() for part in ("-D", f"{name}={value}")]
    script = str(SCRIPTS / f"{workload.name}.sql")
    how = ["--no-vacuum", "--protocol=prepared", f"--client={workload.connections}", f"--time={max(1, round(seconds))}"]
    tree = side.tree()
    before = tree.cpu_s()
    command = [str(wheel_bin() / "pgbench"), *how, *given, f"--file={script}", side.url()]
    ran = subprocess.run(command, check=True, capture_output=True, text=True)
    return parse(ran.stdout, workload=workload.name, number=number, cpu_s=tree.cpu_s() - before)


def parse(output: str, *, workload: str, number: int, cpu_s: float) -> Raw:
    """Raises RuntimeError when transactions failed or none was made."""
    found = [pattern.search(output) for pattern in (_COUNT, _FAILED, _MEAN, _SPEED)]
    count, failed, mean, speed = (float(each[1]) if each else None for each in found)
    if not count or failed != 0 or mean is None or speed is None:
        raise RuntimeError(f"pgbench did not do its work:\n{output}")
    return Raw(workload=workload, round=number, transactions=int(count), per_second=speed, mean_ms=mean, cpu_s=cpu_s)
