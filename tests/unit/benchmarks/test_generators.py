"""What wrk and pgbench print becomes figures, or an error that shows what they printed."""

import io

import pytest

from benchmarks import pgbench, wrk

WRK = """\
Running 3s test @ http://127.0.0.1:40001
  1 threads and 32 connections
  Requests/sec:   1389.01
{"requests": 4180, "duration_us": 3009000, "p50_us": 20800, "p99_us": 41600, "refused": 2, "broken": 1}
"""
PGBENCH = """\
transaction type: get.sql
number of transactions actually processed: 47920
number of failed transactions: 0 (0.000%)
latency average = 0.668 ms
initial connection time = 18.236 ms
tps = 15973.307 (without initial connection time)
"""


def test_the_line_of_our_script_is_read_from_what_wrk_prints():
    load = wrk.parse(WRK)

    assert load == wrk.Load(requests=4180, duration_us=3_009_000, p50_us=20_800, p99_us=41_600, refused=2, broken=1)
    assert load.per_second == pytest.approx(1389.17, abs=0.01)


@pytest.mark.parametrize("output", ["", "unable to connect\n", '{"requests": 4180}\n', WRK.replace("4180", '"many"')])
def test_output_without_figures_is_an_error_that_shows_it(output):
    with pytest.raises(ValueError, match="wrk did not say") as raised:
        wrk.parse(output)
    assert output in str(raised.value)


def test_requests_are_written_with_their_lengths_in_bytes(tmp_path):
    requests = [b"GET / HTTP/1.1\r\n\r\n", "größe\n\n".encode(), b"x"]

    wrk.write_requests(tmp_path / "requests", requests)

    file = io.BytesIO((tmp_path / "requests").read_bytes())
    assert [file.read(int(line)) for line in iter(file.readline, b"")] == requests


def test_the_figures_of_pgbench_are_read():
    raw = pgbench.parse(PGBENCH, workload="get", number=2, cpu_s=1.4376)

    assert (raw.workload, raw.round, raw.transactions) == ("get", 2, 47920)
    assert (raw.per_second, raw.mean_ms) == (15973.307, 0.668)
    assert raw.cpu_s_per_1000 == pytest.approx(0.03)


@pytest.mark.parametrize(
    "output",
    [
        "",
        PGBENCH.replace("processed: 47920", "processed: 0"),
        PGBENCH.replace("failed transactions: 0 (0.000%)", "failed transactions: 3 (0.006%)"),
    ],
)
def test_a_run_of_pgbench_that_failed_is_no_figure(output):
    with pytest.raises(RuntimeError, match="did not do its work"):
        pgbench.parse(output, workload="get", number=0, cpu_s=1.0)
