"""The oldest PostgreSQL we support, Debian's: the same tests, and what only this build offers to test, TLS."""

# ruff: noqa: F403
import asyncio
import datetime
import ipaddress
import os
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from mbaas.adapters.postgres.database import Database, Timeouts
from mbaas.adapters.postgres.embedded import EmbeddedPostgres
from mbaas.core.errors import ConfigError, Timeout
from mbaas.core.sql.fragment import Statement
from tests.adversity.test_connections_stay_clean import *
from tests.integration.test_database import *
from tests.integration.test_server_check import *
from tests.integration.test_uuidv7 import *
from tests.throwaway import throw_away_directory

BIN = Path("/usr/lib/postgresql/15/bin")
_INSTALL = (
    "apt-get update -qq && apt-get install -y -qq --no-install-recommends -o DPkg::Lock::Timeout=120 postgresql-15"
)


@pytest.fixture(scope="module")
def programs() -> Path:
    """Where its programs are; installed when missing, by root."""
    if not (BIN / "postgres").exists() and os.geteuid() == 0 and Path("/usr/bin/apt-get").exists():
        # Run level 1: the cluster that the package makes for itself is not started.
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
        subprocess.run(_INSTALL, shell=True, env=quiet, capture_output=True, timeout=300, check=False)
    if not (BIN / "postgres").exists():
        pytest.skip("PostgreSQL 15 is not installed: apt-get install postgresql-15")
    return BIN


@pytest.fixture(scope="module")
def cluster(programs: Path) -> Iterator[EmbeddedPostgres]:
    with throw_away_directory("mbaas-15-") as name:
        loop = asyncio.new_event_loop()
        server = EmbeddedPostgres(Path(name) / "pg", bin_path=programs, settings={"fsync": "off"}, unsafe_dev=True)
        loop.run_until_complete(server.start())
        yield server
        loop.run_until_complete(server.stop())
        loop.close()


async def test_it_is_15(database: Database) -> None:
    row = await database.fetch_row(Statement("show server_version"))
    assert row is not None
    assert str(row[0]).startswith("15.")


async def test_text_compares_by_code_point(database: Database) -> None:
    ordered = "select array_agg(t order by t) from unnest(array['b', 'B', 'a', 'ä', 'A', 'z']) as t"
    assert await database.fetch_row(Statement(ordered)) == (["A", "B", "a", "b", "z", "ä"],)


# TLS


@pytest.fixture
async def tls_url(programs: Path) -> AsyncIterator[str]:
    """The URL, with a password, of a server that speaks TLS; its certificate lies beside, in ``cert.pem``."""
    with throw_away_directory("mbaas-tls-") as name:
        place = Path(name)
        server = EmbeddedPostgres(place / "pg", bin_path=programs, settings={"fsync": "off"}, unsafe_dev=True)
        await server.start()
        admin = await asyncpg.connect(server.admin_url())
        await admin.execute("alter role mbaas_owner password 'a b%c'")
        await admin.close()
        await server.stop()
        _certificate(place)
        _certificate(place, "other")
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        owner = {}
        if os.geteuid() == 0:
            os.chown(place / "key.pem", 65534, 65534)
            owner = {"user": 65534, "group": 65534, "extra_groups": []}
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": port,
            "unix_socket_directories": "",
            "mbaas.unsafe_dev": "on",
            "ssl": "on",
            "ssl_cert_file": place / "cert.pem",
            "ssl_key_file": place / "key.pem",
        }
        arguments = [text for key, value in settings.items() for text in ("-c", f"{key}={value}")]
        command = [programs / "postgres", "-D", place / "pg" / "data", *arguments]
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL, cwd="/", **owner)
        yield f"postgresql://mbaas_owner:a%20b%25c@127.0.0.1:{port}/mbaas?sslrootcert={place}/cert.pem"
        process.terminate()
        process.wait()


def _certificate(place: Path, prefix: str = "") -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{prefix}localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (place / f"{prefix}cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (place / f"{prefix}key.pem").write_bytes(key.private_bytes(*private))
    (place / f"{prefix}key.pem").chmod(0o600)


async def test_tls_and_the_password_come_from_the_url(tls_url: str) -> None:
    database = Database(f"{tls_url}&sslmode=verify-full", connections=2, timeouts=Timeouts(anon=0.1))
    await database.open()
    secured = Statement("select ssl, version from pg_stat_ssl where pid = pg_backend_pid()")
    assert await database.fetch_row(secured) == ("t", "TLSv1.3")
    with pytest.raises(Timeout):  # the request to cancel goes over TLS as well
        await database.fetch_row(Statement("select pg_sleep(60)"), role="anon")
    await database.close()

    strangers = tls_url.replace("/cert.pem", "/othercert.pem")
    with pytest.raises(ConfigError) as caught:
        await Database(f"{strangers}&sslmode=verify-full", connections=1).open()
    assert "certificate" in caught.value.message

    with pytest.raises(ConfigError) as caught:
        await Database(tls_url.replace("a%20b%25c", "wrong"), connections=1).open()
    assert "password" in caught.value.message
    assert "wrong" not in caught.value.message
