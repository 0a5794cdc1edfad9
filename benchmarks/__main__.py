"""``make bench``: both servers from nothing, the same rows, then rounds of every workload; see README.md."""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.data import Data
from benchmarks.measure import run_rounds
from benchmarks.ours import Ours
from benchmarks.pocketbase import PocketBase
from benchmarks.report import summary
from benchmarks.server import Server
from benchmarks.workloads import WORKLOADS


def main(arguments: Sequence[str]) -> None:
    asked = parse_arguments(arguments)
    data = Data(asked.rows)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mbaas-bench-")))
        folder.chmod(0o711)  # PostgreSQL's own account passes through
        sides: list[Server] = []
        for kind in (Ours, PocketBase):
            (folder / kind.name).mkdir(mode=0o755)
            side = kind(folder / kind.name, data)
            stack.callback(side.stop)
            began = time.monotonic()
            side.load()
            tell(f"{side.name}: {data.rows:,} posts loaded in {time.monotonic() - began:.1f} s")
            sides.append(side)
        workloads = [WORKLOADS[name] for name in asked.only]
        figures = run_rounds(sides, workloads, rounds=asked.rounds, seconds=asked.seconds, folder=folder, told=tell)
    print(summary(workloads, figures))


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000, help="posts in each collection (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each workload on each side in each round")
    parser.add_argument(
        "--only", type=_names, default=list(WORKLOADS), help=f"some of {','.join(WORKLOADS)}, parted by commas"
    )
    return parser.parse_args(arguments)


def _names(text: str) -> list[str]:
    names = [name for name in text.split(",") if name]
    for name in names:
        if name not in WORKLOADS:
            raise argparse.ArgumentTypeError(f"{name} is none of {', '.join(WORKLOADS)}")
    return names or list(WORKLOADS)


def tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
