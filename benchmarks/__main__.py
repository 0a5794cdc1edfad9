"""``make bench``: servers from nothing, the same rows, then rounds of every workload; see README.md."""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks import pgbench, result
from benchmarks.at_rest import measure_at_rest
from benchmarks.chart import draw
from benchmarks.check import check_alike, check_answered
from benchmarks.data import Data
from benchmarks.growth import KEYED, growth_page, growth_table
from benchmarks.measure import run_rounds
from benchmarks.ours import Ours
from benchmarks.pgbench import Raw
from benchmarks.pocketbase import PocketBase
from benchmarks.report import page, raw_table, rest_table, speed_table
from benchmarks.result import RESULTS, Result, this_place, today
from benchmarks.server import Server
from benchmarks.workloads import WORKLOADS, Workload

KEPT_FROM = 3  # rounds; fewer are a look


def main(arguments: Sequence[str]) -> None:
    asked = parse_arguments(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # and so everything we started is stopped, too
    with alone(), tempfile.TemporaryDirectory(prefix="mbaas-bench-") as made, contextlib.ExitStack() as stack:
        folder = Path(made)
        folder.chmod(0o711)  # PostgreSQL's own account passes through
        if asked.growth:
            grow(asked, folder, stack)
        else:
            compare(asked, folder, stack)


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """One benchmark at a time on a machine: two would measure each other."""
    with (Path(tempfile.gettempdir()) / "mbaas-bench.lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            tell("another benchmark is running on this machine; waiting for it to end")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def compare(asked: argparse.Namespace, folder: Path, stack: contextlib.ExitStack) -> None:
    """Ours beside PocketBase and the raw limit."""
    place = this_place()
    data = Data(asked.rows)
    ours = Ours("mbaas", folder / "mbaas", data)
    sides = [ours, PocketBase("PocketBase", folder / "pocketbase", data)]
    load(sides, stack)
    complete = asked.only is None and asked.rounds >= KEPT_FROM
    at_rest = [measure_at_rest(side) for side in sides] if complete else []
    raw: list[Raw] = []

    def beside(workload: Workload, number: int) -> None:
        if pgbench.has_script(workload):
            raw.append(pgbench.run(workload, ours, number=number, seconds=asked.seconds))
            tell(f"round {number + 1}  {workload.name:8} {'pgbench':11} {raw[-1].per_second:9,.0f} tps")

    figures = run_rounds(
        sides,
        [WORKLOADS[name] for name in asked.only or WORKLOADS],
        rounds=asked.rounds,
        seconds=asked.seconds,
        folder=folder,
        check=check_alike,
        beside=beside,
        told=tell,
    )
    found = Result(
        date=today(),
        rows=asked.rows,
        rounds=asked.rounds,
        seconds=asked.seconds,
        place=place,
        sides=[side.name for side in sides],
        figures=figures,
        raw=raw,
        at_rest=at_rest,
    )
    print("\n\n".join([speed_table(found), raw_table(found), *([rest_table(at_rest)] if at_rest else [])]))
    if complete:
        name = f"{found.date}-{found.rows}"
        draw(found, RESULTS / f"{name}.svg")
        keep(name, found, page(found, f"{name}.svg"))


def grow(asked: argparse.Namespace, folder: Path, stack: contextlib.ExitStack) -> None:
    """Ours beside ours with more rows."""
    place = this_place()
    sides = [Ours(f"{rows:,} posts", folder / str(rows), Data(rows)) for rows in (asked.rows, asked.growth)]
    load(sides, stack)
    figures = run_rounds(
        sides,
        [WORKLOADS[name] for name in asked.only or KEYED],
        rounds=asked.rounds,
        seconds=asked.seconds,
        folder=folder,
        check=check_answered,
        beside=lambda workload, number: None,
        told=tell,
    )
    found = Result(
        date=today(),
        rows=asked.growth,
        rounds=asked.rounds,
        seconds=asked.seconds,
        place=place,
        sides=[side.name for side in sides],
        figures=figures,
    )
    print(growth_table(found))
    if asked.only is None and asked.rounds >= KEPT_FROM:
        keep(f"{found.date}-growth-{found.rows}", found, growth_page(found))


def load(sides: Sequence[Server], stack: contextlib.ExitStack) -> None:
    """All of them running with their rows; they stop with ``stack``."""
    for side in sides:
        side.folder.mkdir(mode=0o755)
        stack.callback(side.stop)
        began = time.monotonic()
        side.load()
        tell(f"{side.name}: {side.data.rows:,} posts loaded in {time.monotonic() - began:.1f} s")


def keep(name: str, found: Result, text: str) -> None:
    result.write(RESULTS / f"{name}.json", found)
    (RESULTS / f"{name}.md").write_text(text + "\n")
    tell(f"kept as benchmarks/results/{name}.md, .json")


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000, help="posts in each collection (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each workload on each side in each round")
    parser.add_argument(
        "--only", type=_names, default=None, help=f"some of {','.join(WORKLOADS)}, parted by commas; nothing is kept"
    )
    parser.add_argument("--growth", type=int, metavar="ROWS", help="compare ours with so many posts and with --rows")
    return parser.parse_args(arguments)


def _names(text: str) -> list[str]:
    names = [name for name in text.split(",") if name]
    for name in names:
        if name not in WORKLOADS:
            raise argparse.ArgumentTypeError(f"{name} is none of {', '.join(WORKLOADS)}")
    return names


def tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
