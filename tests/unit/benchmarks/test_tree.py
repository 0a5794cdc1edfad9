"""CPU and memory are those of the whole tree, also of what has ended."""

import contextlib
import subprocess
import sys

import psutil
import pytest

from benchmarks.tree import Tree

BURN = """
import sys, time
while time.process_time() < 0.3:
    pass
print("burnt", flush=True)
if {stays}:
    sys.stdin.read()
"""
PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", {burn!r}], stdout=sys.stdout)
if not {stays}:
    child.wait()
    print("ended", flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def burning(*, stays):
    """A process that works little and has a child that takes 0.3 s of CPU and then waits, or ends."""
    code = PARENT.format(burn=BURN.format(stays=stays), stays=stays)
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with process:
        try:
            assert process.stdout.readline() == "burnt\n"
            yield process
        finally:
            process.stdin.close()


def test_a_child_at_work_counts():
    with burning(stays=True) as process:
        used, alone = Tree(process.pid).cpu_s(), psutil.Process(process.pid).cpu_times()

    assert used >= 0.28
    assert alone.user + alone.system < 0.28


def test_a_child_that_ended_still_counts_and_only_once():
    with burning(stays=False) as process:
        assert process.stdout.readline() == "ended\n"
        used, alone = Tree(process.pid).cpu_s(), psutil.Process(process.pid).cpu_times()

    assert used >= 0.28
    assert used == pytest.approx(sum(alone[:4]), abs=0.02)  # the kernel gives the parent what its child took


def test_memory_is_that_of_all_processes_with_shared_pages_shared_out():
    with burning(stays=True) as process:
        root = psutil.Process(process.pid)
        (child,) = root.children()
        memory = Tree(process.pid).memory_mib() * 1024**2
        both = root.memory_full_info(), child.memory_full_info()

    assert max(each.uss for each in both) < memory
    assert memory <= 1.1 * sum(each.rss for each in both)
