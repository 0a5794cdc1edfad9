"""Every setting with its default. Sizes in bytes, times in seconds; a ``None`` is explained where it stands.

The docs' reference of settings is checked against these structs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import msgspec

from mbaas.core.schema.catalog import Catalog

Port: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=65535)]
Count: TypeAlias = Annotated[int, msgspec.Meta(ge=1)]
Seconds: TypeAlias = Annotated[float, msgspec.Meta(ge=0)]
WholeSeconds: TypeAlias = Annotated[int, msgspec.Meta(ge=0)]
PerSecond: TypeAlias = Annotated[float, msgspec.Meta(ge=0)]


class AppSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[app]``: who this backend is for.

    name: in mails and in the API's documentation. site_url: where links in mails lead by default. redirect_urls:
    further allowed targets; ``*`` stands for anything but ``.`` and ``/``, ``**`` for anything.
    """

    name: str = "mbaas"
    site_url: str = "http://localhost:3000"
    redirect_urls: tuple[str, ...] = ()


class ServerSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[server]``: the HTTP edge.

    host: where to listen. port: 0 takes a free one. public_url: how clients reach us, for links and token issuers;
    requests may come with its path or without; ``None``: ``http://host:port``. trusted_proxies: addresses or networks
    whose ``X-Forwarded-For`` is believed. cors_origins: exact origins, or ``*``. drain_s: how long running requests may
    go on after SIGTERM. docs: whether ``/docs`` and ``/openapi.json`` are served.
    """

    host: str = "127.0.0.1"
    port: Port = 8000
    public_url: str | None = None
    trusted_proxies: tuple[str, ...] = ()
    cors_origins: tuple[str, ...] = ("*",)
    drain_s: Seconds = 30.0
    docs: bool = True


class RateSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[limits.rate]``: token buckets, refilled per second, twice that in a burst. 0 switches one off.

    enabled: false switches all off. per_ip: requests of one address. per_user: requests of one signed-in user.
    per_key: requests of one API key. auth_per_ip: sign-up, sign-in and what sends mails, of one address.
    """

    enabled: bool = True
    per_ip: PerSecond = 200.0
    per_user: PerSecond = 200.0
    per_key: PerSecond = 5000.0
    auth_per_ip: PerSecond = 10.0


class LimitSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[limits]``: what one request may cost.

    max_body, max_url: in bytes. json_depth: levels of a body. max_rows: the longest list, whatever ``limit`` says.
    filter_terms: conditions of one query. filter_depth, embed_depth: levels of one query. body_timeout_s: until a body
    has arrived. request_timeout_s: until the whole answer is sent.
    """

    max_body: Count = 1_048_576
    max_url: Count = 32_768
    json_depth: Count = 32
    max_rows: Count = 1000
    filter_terms: Count = 100
    filter_depth: Count = 8
    embed_depth: Count = 6
    body_timeout_s: Seconds = 15.0
    request_timeout_s: Seconds = 30.0
    rate: RateSettings = RateSettings()


class DatabaseSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[database]``: PostgreSQL.

    url: a PostgreSQL 15 or newer; ``None``: we start our own in the data directory. connections: at most so many.
    acquire_timeout_s: how long a request waits for a free connection. anon_statement_timeout_s,
    authenticated_statement_timeout_s, service_statement_timeout_s: the longest statement, by role. coalesce: whether
    short statements of concurrent requests share round trips.
    """

    url: str | None = None
    connections: Count = 8
    acquire_timeout_s: Seconds = 2.0
    anon_statement_timeout_s: Seconds = 3.0
    authenticated_statement_timeout_s: Seconds = 8.0
    service_statement_timeout_s: Seconds = 60.0
    coalesce: bool = True


class MailSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[mail]``: how mails leave.

    host: the SMTP server; ``None``: mails are files in ``mail/`` of the data directory. port: of the SMTP server.
    username, password: for that server, when it asks. starttls: whether to encrypt by STARTTLS. sender: the
    address mails come from.
    """

    host: str | None = None
    port: Port = 587
    username: str | None = None
    password: str | None = None
    starttls: bool = True
    sender: str = "mbaas <no-reply@localhost>"


class AuthSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[auth]``: sign-up, sign-in, tokens.

    email: sign-up and sign-in with an address. autoconfirm: an address needs no confirmation. disable_signup: nobody
    new. anonymous: accounts without an address. password_min_length: characters. access_token_lifetime_s: until a
    client refreshes. session_lifetime_s: until one has to sign in again, however often the client refreshed; 0:
    never. reuse_interval_s: how long the previous refresh token still answers with the current one. otp_length:
    digits of a code, 6 to 10. otp_lifetime_s: of the link in a mail. code_lifetime_s: of the code beside it.
    max_frequency_s: the pause between two mails to one address; 0: none.
    """

    email: bool = True
    autoconfirm: bool = False
    disable_signup: bool = False
    anonymous: bool = False
    password_min_length: Count = 8
    access_token_lifetime_s: WholeSeconds = 3600
    session_lifetime_s: WholeSeconds = 0
    reuse_interval_s: WholeSeconds = 10
    otp_length: Annotated[int, msgspec.Meta(ge=6, le=10)] = 6
    otp_lifetime_s: WholeSeconds = 3600
    code_lifetime_s: WholeSeconds = 600
    max_frequency_s: WholeSeconds = 60


class LogSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[log]``: what is told on standard error.

    level: the least that is told. format: ``auto`` is ``console`` on a terminal, ``json`` elsewhere. requests: a line
    for each request.
    """

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "console", "json"] = "auto"
    requests: bool = True


class PluginSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[plugins]``: code of your own in the server.

    directory: where they are, relative to ``mbaas.toml``. disabled: names that are not loaded. timeout_s: of each hook.
    """

    directory: str = "plugins"
    disabled: tuple[str, ...] = ()
    timeout_s: Seconds = 5.0


class GraphQLSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[graphql]``: ``/graphql/v1``.

    enabled: whether it is served. max_depth: collections in each other, the outermost included. max_cost: records that
    one answer may hold, each list as long as it may be times the lists around it. introspection: who may ask for the
    schema: nobody (``off``), the ``service`` key, ``authenticated`` users as well, or ``everyone`` with a key.
    """

    enabled: bool = True
    max_depth: Count = 8
    max_cost: Count = 10_000
    introspection: Literal["off", "service", "authenticated", "everyone"] = "authenticated"


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """Everything ``mbaas.toml`` and the environment say.

    root: the folder of ``mbaas.toml``; data: ``.mbaas`` in it. functions_sql: the text of each declared function.
    places: the file and line of each key below ``collections``. files: patterns of all that was read, relative to root.
    """

    root: Path
    data: Path
    catalog: Catalog
    functions_sql: dict[str, str] = {}
    places: dict[str, str] = {}
    files: tuple[str, ...] = ()
    app: AppSettings = AppSettings()
    server: ServerSettings = ServerSettings()
    limits: LimitSettings = LimitSettings()
    database: DatabaseSettings = DatabaseSettings()
    mail: MailSettings = MailSettings()
    auth: AuthSettings = AuthSettings()
    log: LogSettings = LogSettings()
    plugins: PluginSettings = PluginSettings()
    graphql: GraphQLSettings = GraphQLSettings()
