"""Whatever is secret, once used, is in no line of the log, no metric, no error, and not in clear in a dump."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import re
import shutil
import subprocess
import tempfile
import time
import tomllib
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pyotp
import pytest

from mbaas.adapters.postgres.cluster.initialise import OWNER
from mbaas.adapters.postgres.embedded import EmbeddedPostgres, wheel_bin
from tests.contract.conftest import Server, run_sql, running
from tests.idp.scripted import APP, query, scripted_provider
from tests.integration.auth.test_oauth_certified import CHALLENGE, VERIFIER
from tests.phone_service import phone_service
from tests.postbox import Postbox, free_port, serving

ROOT = Path(__file__).parents[2]
SITE = "http://localhost:3000/in"
PHONE = "+4915112345678"
CRASH = """
from mbaas.plugin import Hooks, Proceed, Record, RecordCreate, User, UserCreate

def register(hooks: Hooks) -> None:
    @hooks.around(UserCreate)
    async def fail(event: UserCreate, proceed: Proceed[UserCreate, User]) -> User:
        if (event.email or "").startswith("hook"):
            raise RuntimeError(f"cannot go on with {event!r}")
        return await proceed(event)

    @hooks.around(RecordCreate, only="notes")
    async def leak(event: RecordCreate, proceed: Proceed[RecordCreate, Record]) -> Record:
        headers = {"authorization": f"Bearer {event.values['text']}"}
        raise RuntimeError(f"POST https://api.example.com/?token={event.values['text']} {headers}")
"""


class Journey:
    """One app's life on one server. secrets: what came up, by what it was; texts: what others get to see, likewise."""

    def __init__(self) -> None:
        self.secrets: dict[str, str] = {}
        self.texts: dict[str, str] = {}
        self.client = httpx.Client()
        self.postbox = Postbox()
        self.server: Server

    def keep(self, name: str, value: str) -> str:
        assert len(value) >= 6
        self.secrets[f"{name} {len(self.secrets)}"] = value
        return value

    def keep_session(self, session: dict[str, Any]) -> dict[str, Any]:
        for name in ("access_token", "refresh_token", "provider_token", "provider_refresh_token"):
            if name in session:
                self.keep(name, session[name])
        return session

    def ask(self, method: str, path: str, body: Any = None, *, token: str = "", key: str = "", **headers: str) -> Any:
        """Whatever the answer; one that refuses is something others see."""
        sent = {**self.server.headers(token or None, key=key or None), **headers}
        answer = self.client.request(method, self.server.url + path, json=body, headers=sent)
        if answer.status_code >= 400:
            self.texts[f"{len(self.texts)}: {answer.status_code} of {method} {urlsplit(path).path}"] = (
                str(answer.headers) + answer.text
            )
        return answer

    def good(self, method: str, path: str, body: Any = None, **options: Any) -> Any:
        answer = self.ask(method, path, body, **options)
        assert answer.status_code < 400, answer.text
        return answer.json() if answer.content else None

    def mail(self, to: str, number: int = 1) -> tuple[str, str]:
        """Link and code of the mail of that number to an address."""
        found = until(lambda: [one for one in self.postbox.received if one["to"] == to][number - 1 :])
        text = found[0].get_body(("plain",)).get_content()  # type: ignore[union-attr]
        link = re.search(r"https?://\S+/verify\S+", text)
        code = re.search(r"\b\d{10}\b", text)
        if link:
            self.keep("the token of a link", query(link[0])["token"])
        return link[0] if link else "", self.keep("a code by mail", code[0]) if code else ""


def until(found: Callable[[], Any], limit_s: float = 20) -> Any:
    ends = time.monotonic() + limit_s
    while time.monotonic() < ends:
        with contextlib.suppress(IndexError):
            if result := found():
                return result
        time.sleep(0.02)
    raise AssertionError("it did not come")


@pytest.fixture(scope="module")
def journey(cluster: EmbeddedPostgres) -> Iterator[Journey]:
    """The demo app with all that has secrets, every log line there is, and a plugin that crashes."""
    seen, port, database = Journey(), free_port(), f"s{uuid.uuid4().hex}"
    chosen = {name: seen.keep(name, uuid.uuid4().hex) for name in ("smtp password", "sms token", "oauth secret")}
    asyncio.run(run_sql(cluster.admin_url("postgres"), f"create database {database} owner {OWNER}"))
    with (
        tempfile.TemporaryDirectory(prefix="mbaas-secrets-", ignore_cleanup_errors=True) as name,
        scripted_provider() as idp,
        phone_service() as phones,
        serving(seen.postbox, port, password=chosen["smtp password"]),
        pytest.MonkeyPatch.context() as patch,
    ):
        root = Path(name)
        root.chmod(0o755)
        shutil.copytree(ROOT / "sql", root / "sql")
        (root / "plugins" / "crash").mkdir(parents=True)
        (root / "plugins" / "crash" / "__init__.py").write_text(CRASH)
        provider = f'issuer = "{idp.url}"\nclient_id = "{APP}"\nclient_secret = "env:ACME"\nallow_private = true\n'
        demo = (ROOT / "mbaas.toml").read_text()
        (root / "mbaas.toml").write_text(f"{demo}\n[auth.providers.acme]\n{provider}")
        for setting, value in {
            "ACME": chosen["oauth secret"],
            "MBAAS_LOG__LEVEL": "debug",
            "MBAAS_LIMITS__RATE__ENABLED": "false",
            "MBAAS_AUTH__AUTOCONFIRM": "false",
            "MBAAS_AUTH__MAX_FREQUENCY_S": "0",
            "MBAAS_AUTH__OTP_LENGTH": "10",  # too long to come up by chance
            "MBAAS_MAIL__HOST": "127.0.0.1",
            "MBAAS_MAIL__PORT": str(port),
            "MBAAS_MAIL__USERNAME": "me",
            "MBAAS_MAIL__PASSWORD": chosen["smtp password"],
            "MBAAS_MAIL__TLS": "none",
            "MBAAS_SMS__PROVIDER": "http",
            "MBAAS_SMS__HTTP__URL": phones.url,
            "MBAAS_SMS__HTTP__TOKEN": chosen["sms token"],
            "MBAAS_SMS__HTTP__ALLOW_PRIVATE": "true",
        }.items():
            patch.setenv(setting, value)
        password = seen.keep("database password", uuid.uuid4().hex)
        url = cluster.url(database).replace(f"//{OWNER}@", f"//{OWNER}:{password}@")
        assert password in url
        with running(root, database_url=url) as seen.server:
            for name, value in tomllib.loads((root / ".mbaas" / "secrets.toml").read_text()).items():
                if name in ("anon_key", "publishable_key"):  # everybody's, and shown at the start
                    continue
                for one in value if isinstance(value, list) else [value]:
                    seen.keep(name, str(one["private_key"].splitlines()[1] if isinstance(one, dict) else one))
            live(seen, idp, phones)
            crash(seen, cluster.admin_url(database))
            seen.texts["metrics"] = seen.client.get(
                seen.server.url + "/metrics", headers=seen.server.headers(key=seen.server.service_key)
            ).text
            seen.texts["dump"] = dump(cluster.admin_url(database))
        seen.texts["log"] = (root / "serve.log").read_text()
        seen.texts["log of PostgreSQL"] = (cluster.directory / "postgres.log").read_text()
        yield seen
    seen.client.close()


def dump(url: str) -> str:
    done = subprocess.run([wheel_bin() / "pg_dump", "--no-owner", url], capture_output=True, text=True, check=True)
    return done.stdout


def live(seen: Journey, idp: Any, phones: Any) -> None:
    ada = "ada@example.com"
    password = seen.keep("password", "a Long pass word of Ada's")
    captcha = {"captcha_token": seen.keep("captcha token", "captcha-" + uuid.uuid4().hex)}
    seen.good("POST", "/auth/v1/signup", {"email": ada, "password": password, "gotrue_meta_security": captcha})
    link, _ = seen.mail(ada)
    landed = seen.client.get(link).headers["location"]
    seen.keep_session({name: values[0] for name, values in parse_qs(urlsplit(landed).fragment).items()})
    assert "access_token" in landed
    seen.client.get(link)  # a second time
    for wrong in (seen.keep("a wrong password", "a Quite wrong pass word"), password + "x"):
        seen.ask("POST", "/auth/v1/token?grant_type=password", {"email": ada, "password": wrong})
    seen.ask("POST", "/auth/v1/token?grant_type=password", {"email": password, "password": ada})  # the wrong way round
    grant = {"email": ada, "password": password}
    session = seen.keep_session(seen.good("POST", "/auth/v1/token?grant_type=password", grant))
    for _ in range(2):
        turn = {"refresh_token": session["refresh_token"]}
        session = seen.keep_session(seen.good("POST", "/auth/v1/token?grant_type=refresh_token", turn))
    token = session["access_token"]
    refused(seen, token)
    # A code and a link by mail, a code by SMS.
    seen.good("POST", "/auth/v1/otp", {"email": ada})
    _, code = seen.mail(ada, 2)
    seen.ask("POST", "/auth/v1/verify", {"type": "email", "email": "eve@example.com", "token": code})
    seen.keep_session(seen.good("POST", "/auth/v1/verify", {"type": "email", "email": ada, "token": code}))
    seen.good("POST", "/auth/v1/otp", {"phone": PHONE})
    (asked,) = until(lambda: phones.asked)
    code = seen.keep("a code by sms", re.findall(rb"\b\d{10}\b", asked.body)[0].decode())
    seen.keep_session(seen.good("POST", "/auth/v1/verify", {"type": "sms", "phone": PHONE, "token": code}))
    # A second factor and recovery codes.
    made = seen.good("POST", "/auth/v1/factors", {"factor_type": "totp"}, token=token)
    secret = seen.keep("a totp secret", made["totp"]["secret"])
    verify = f"/auth/v1/factors/{made['id']}/verify"
    for code in ("123123", pyotp.TOTP(secret).now()):
        challenge = seen.good("POST", f"/auth/v1/factors/{made['id']}/challenge", token=token)["id"]
        answer = seen.ask("POST", verify, {"challenge_id": challenge, "code": code}, token=token)
    token = seen.keep_session(answer.json())["access_token"]
    for code in seen.good("POST", "/auth/v1/factors/recovery-codes", {}, token=token)["codes"]:
        seen.keep("a recovery code", code)
    seen.ask("POST", "/auth/v1/factors/recovery-codes/verify", {"code": code}, token=token)
    seen.ask("POST", "/auth/v1/factors/recovery-codes/verify", {"code": code}, token=token)
    new = seen.keep("password", "Another pass word of Ada's")
    seen.good("PUT", "/auth/v1/user", {"password": new}, token=token)
    # A provider: one flow to its end, one whose tokens wait to be fetched.
    seen.keep("a PKCE verifier", VERIFIER)
    for redeemed in (True, False):
        code = through_provider(seen, idp)
        if redeemed:
            body = {"auth_code": code, "code_verifier": VERIFIER}
            seen.keep_session(seen.good("POST", "/auth/v1/token?grant_type=pkce", body))
            seen.ask("POST", "/auth/v1/token?grant_type=pkce", body)
    seen.keep("a provider's token", "provider-access")
    seen.keep("a provider's token", "provider-refresh")
    # What cannot be sent yet waits in the outbox.
    admin = seen.server.service_key
    body = {"type": "magiclink", "email": ada}
    made = seen.good("POST", "/auth/v1/admin/generate_link", body, key=admin)
    seen.keep("a code by the service key", made["email_otp"])
    seen.keep("a link by the service key", made["hashed_token"])
    seen.postbox.answer = "451 4.3.0 later"
    tries = seen.postbox.tries
    seen.good("POST", "/auth/v1/recover", {"email": ada})
    until(lambda: seen.postbox.tries > tries)


def refused(seen: Journey, token: str) -> None:
    """Secrets where they should not be, and tokens that do not hold."""
    head, claims, signature = token.split(".")
    seen.keep("a signature", signature)
    key = {name: value for name, value in seen.secrets.items() if name.startswith(("service_key", "secret_key"))}
    service, secret = key.values()
    url = seen.server.url
    for path in (
        f"/rest/v1/posts?apikey={service}", f"/rest/v1/posts?select=id&apikey={secret}", f"/rest/v1/{token}",
        f"/nothing/{token}", f"/auth/v1/verify?token={signature}&type=signup", f"/auth/v1/user?access_token={token}",
        f"/rest/v1/posts?token=eq.{token}", f"/auth/v1/{secret}", f"/graphql/v1?apikey={secret}",
    ):  # fmt: skip
        seen.ask("GET", path, token=token)
        seen.ask("GET", path, token=f"{head}.{claims}.{signature[::-1]}")
        answer = seen.client.get(url + path)  # with no header at all
        seen.texts[f"{len(seen.texts)}: {answer.status_code} bare"] = answer.text if answer.status_code >= 400 else ""
    seen.keep("a token that does not hold", f"{head}.{claims}.{signature[::-1]}")
    for headers in (
        {"apikey": secret + "x"}, {"apikey": service[:-3]}, {"authorization": f"Basic {token}"}, {"cookie": f"sb={token}"},
        {"apikey": secret, "origin": "https://app.example.com", "user-agent": "Mozilla/5.0", "sec-fetch-mode": "cors"},
    ):  # fmt: skip
        seen.ask("GET", "/auth/v1/admin/users", **headers)
    for body in ({"refresh_token": token}, {"refresh_token": signature}, {"refresh_token": [token]}):
        seen.ask("POST", "/auth/v1/token?grant_type=refresh_token", body)
    seen.ask("POST", "/auth/v1/token?grant_type=id_token", {"provider": "acme", "id_token": token})
    seen.ask(
        "POST", "/auth/v1/signup", {"email": 7, "password": {"deep": seen.keep("password", "Pass word of a child")}}
    )
    weak = seen.keep("a weak password", "qwertyuiop")
    seen.ask("POST", "/auth/v1/signup", {"email": "weak@example.com", "password": weak})
    seen.client.post(url + "/auth/v1/signup", content=f'{{"password": "{weak}"', headers=seen.server.headers())


def through_provider(seen: Journey, idp: Any) -> str:
    """The code that the app gets."""
    more = f"&redirect_to={SITE}&code_challenge={CHALLENGE}&code_challenge_method=s256"
    begun = seen.client.get(f"{seen.server.url}/auth/v1/authorize?provider=acme{more}").headers["location"]
    told = query(begun)
    for name in ("state", "nonce"):
        seen.keep(name, told[name])
    code = seen.keep("a code of the provider", idp.code_for(begun))
    callback = f"{seen.server.url}/auth/v1/callback"
    back = seen.client.get(callback, params={"code": code, "state": told["state"]}).headers["location"]
    seen.keep("the verifier sent to the provider", idp.asked[-1][1].get("code_verifier", VERIFIER))
    for value in seen.client.cookies.values():
        seen.keep("a cookie", value)
    again = seen.client.get(callback, params={"code": code, "state": told["state"]})
    seen.texts[f"{len(seen.texts)}: a state used again"] = again.headers["location"]
    return seen.keep("a code for the app", query(back)["code"])


def crash(seen: Journey, admin_url: str) -> None:
    """A plugin fails with a secret in hand; a table is not what it was; a row is refused and told."""
    password = seen.keep("password of a crash", "Pass word before a crash")
    assert seen.ask("POST", "/auth/v1/signup", {"email": "hook@example.com", "password": password}).status_code == 500
    grant = {
        "email": "ada@example.com",
        "password": next(v for k, v in seen.secrets.items() if v.startswith("Another")),
    }
    token = seen.keep_session(seen.good("POST", "/auth/v1/token?grant_type=password", grant))["access_token"]
    note = {"text": seen.keep("a secret in a record", uuid.uuid4().hex)}
    assert seen.ask("POST", "/rest/v1/notes", note, token=token).status_code == 500
    asyncio.run(run_sql(admin_url, "alter table auth.sessions rename column amr to gone"))
    assert seen.ask("POST", "/auth/v1/token?grant_type=password", grant).status_code == 500
    asyncio.run(run_sql(admin_url, "alter table auth.sessions rename column gone to amr"))
    asyncio.run(run_sql(admin_url, "alter table auth.users add constraint odd check (email <> 'row@example.com')"))
    assert seen.ask("POST", "/auth/v1/signup", {"email": "row@example.com", "password": password}).status_code == 500
    seen.keep("a hash of a password", "$argon2id$")


def forms(secret: str) -> Iterator[str]:
    """How a secret may stand in a text."""
    raw = [secret.encode()]
    if re.fullmatch(r"[A-Z2-7]{32}", secret):
        raw.append(base64.b32decode(secret))
    yield secret
    for one in raw:
        yield one.hex()
        yield base64.b64encode(one).decode().rstrip("=")
        yield base64.urlsafe_b64encode(one).decode().rstrip("=")


def found_in(seen: Journey, text: str, *, but: tuple[str, ...] = ()) -> list[str]:
    """Names of the secrets in a text. but: those whose names begin like that."""
    return [
        name
        for name, secret in seen.secrets.items()
        if not name.startswith(but) and any(form.lower() in text.lower() for form in forms(secret))
    ]


def test_a_dump_of_the_database_has_no_secret_in_clear(journey: Journey) -> None:
    dumped = journey.texts["dump"]
    for table in (
        "auth.mfa_factors",
        "auth.one_time_tokens",
        "auth.flow_state",
        "mbaas.outbox",
        "auth.audit_log_entries",
    ):
        rows = dumped.partition(f"COPY {table} ")[2].partition("\n")[2]
        assert rows, table
        assert not rows.startswith("\\."), f"{table} is empty"
    assert found_in(journey, dumped, but=("a hash of a password",)) == []


def test_no_secret_is_in_a_log_line(journey: Journey) -> None:
    log = journey.texts["log"]
    for told in ("sign_in_failed", "RuntimeError", "hook_failed", "/auth/v1/verify", "send_failed"):
        assert told in log, told
    assert found_in(journey, log) == []
    assert "ready to accept connections" in journey.texts["log of PostgreSQL"]
    assert found_in(journey, journey.texts["log of PostgreSQL"]) == []


def test_no_secret_is_in_metrics_or_errors(journey: Journey) -> None:
    assert "mbaas_events" in journey.texts["metrics"]
    others = {name: text for name, text in journey.texts.items() if name not in ("dump", "log")}
    assert len(others) > 40
    assert {name: found for name, text in others.items() if (found := found_in(journey, text))} == {}
