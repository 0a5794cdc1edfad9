"""Whatever is asked of a server, it answers as its own description says: schemathesis reads ``/openapi.json`` and tries."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mbaas.adapters.postgres.embedded import EmbeddedPostgres
from tests.contract.conftest import HERE, Server, serving, sign_up

SOAK = bool(os.environ.get("MBAAS_SOAK"))
ROOT = HERE.parents[1]
APPS = {
    "contract": {name: HERE / "project" / name for name in ("mbaas.toml", "sql", "migrations")},
    "demo": {name: ROOT / name for name in ("mbaas.toml", "sql", "plugins")},
}
CHECKS = ",".join(
    "not_a_server_error status_code_conformance content_type_conformance response_schema_conformance "
    "response_headers_conformance negative_data_rejection nobody_else_keeps_it".split()
)
SOME = "^/((posts|spots|rpc/(echo|pick|published_posts))$|$)"
BRIEF = ("--phases", "fuzzing", "--max-examples", "2", "--generation-deterministic", "--include-path-regex", SOME)
LONG = ("--phases", "coverage,fuzzing", "--max-time", "300")


@pytest.fixture(scope="module", params=APPS if SOAK else ["contract"])
def fuzzed(request: pytest.FixtureRequest, cluster: EmbeddedPostgres) -> Iterator[Server]:
    """A server of its own: nothing there lasts, and with time enough any message is sent."""
    with serving(cluster, APPS[request.param], MBAAS_LIMITS__RATE__ENABLED="false") as started:
        yield started


@pytest.mark.parametrize("actor", ["anon", "user", "service"])
def test_every_answer_is_one_of_those_described(fuzzed: Server, actor: str, tmp_path: Path) -> None:
    key = fuzzed.service_key if actor == "service" else fuzzed.anon_key
    token = sign_up(fuzzed).token if actor == "user" else key
    tried = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "--no-color", "run", f"{fuzzed.url}/openapi.json"),
            *("--header", f"apikey: {key}", "--header", f"authorization: Bearer {token}", "--checks", CHECKS),
            *("--exclude-path-regex", "^/rpc/(busy|fail)$"),  # which raise a 5xx on purpose
            *("--warnings", "off", "--continue-on-failure", *(LONG if SOAK else BRIEF)),
        ],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "SCHEMATHESIS_HOOKS": "tests.contract.openapi_hooks"},
        capture_output=True,
        text=True,
    )
    assert tried.returncode == 0, tried.stdout[-20_000:] + tried.stderr
