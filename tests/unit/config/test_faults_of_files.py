"""Each fault of a file is told with file, line, key and a way to mend it."""

from __future__ import annotations

import pytest

from mbaas.config.load import load
from mbaas.core.errors import ConfigError
from tests.unit.config.project import Project

POSTS = "[collections.posts.fields]\ntitle = { type = 'text' }\n"

FAULTS = {
    "an unknown section": ("[sever]\n", "mbaas.toml:1: sever: unknown section | did you mean 'server'?"),
    "a section unlike any": (
        "\nqqq = 1\n",
        "mbaas.toml:2: qqq: unknown section | one of app, server, limits, rest, idempotency, database, mail, sms, outbox, auth, log, plugins, collections, functions",
    ),
    "an unknown key": ("[server]\nprot = 1\n", "mbaas.toml:2: server.prot: unknown key | did you mean 'port'?"),
    "a key unlike any": (
        "[log]\nqqq = 1\n",
        "mbaas.toml:2: log.qqq: unknown key | one of level, format, requests",
    ),
    "an unknown key below a section": (
        "[limits.rate]\n\nper_pi = 1\n",
        "mbaas.toml:3: limits.rate.per_pi: unknown key | did you mean 'per_ip'?",
    ),
    "text for a number": (
        "[server]\nport = '1'\n",
        "mbaas.toml:2: server.port: needs a whole number, not text | digits without quotes: 8000",
    ),
    "half a port": (
        "[server]\nport = 1.5\n",
        "mbaas.toml:2: server.port: needs a whole number, not a number | digits without quotes: 8000",
    ),
    "a port beyond all": ("[server]\nport = 70000\n", "mbaas.toml:2: server.port: is out of range | a number <= 65535"),
    "time that goes backwards": (
        "[server]\ndrain_s = -1\n",
        "mbaas.toml:2: server.drain_s: is out of range | a number >= 0.0",
    ),
    "a number for text": (
        "[app]\nname = 1\n",
        'mbaas.toml:2: app.name: needs text, not a whole number | text stands in quotes: "..."',
    ),
    "a date for text": (
        "[app]\nname = 2026-01-31\n",
        'mbaas.toml:2: app.name: needs text, not a date or time | text stands in quotes: "..."',
    ),
    "text for a switch": (
        "[log]\nrequests = 'yes'\n",
        "mbaas.toml:2: log.requests: needs true or false, not text | true or false, without quotes",
    ),
    "a dotted key": (
        "[limits]\nrate.per_ip = 'x'\n",
        "mbaas.toml:2: limits.rate.per_ip: needs a number, not text | a number without quotes: 2.5",
    ),
    "a key of an inline table": (
        "[limits]\nmax_rows = 5\nrate = { per_ip = 'x' }\n",
        "mbaas.toml:3: limits.rate.per_ip: needs a number, not text | a number without quotes: 2.5",
    ),
    "text for a list": (
        "[server]\ncors_origins = '*'\n",
        'mbaas.toml:2: server.cors_origins: needs a list, not text | cors_origins = ["...", "..."]',
    ),
    "one element of a list": (
        "[server]\ncors_origins = [\n  '*', # any\n  3,\n]\n",
        'mbaas.toml:4: server.cors_origins.1: needs text, not a whole number | text stands in quotes: "..."',
    ),
    "none of the choices": (
        "[log]\nlevel = 'wanring'\n",
        "mbaas.toml:2: log.level: is none of its values | did you mean 'warning'?",
    ),
    "a number for a section": (
        "server = 3\n",
        "mbaas.toml:1: server: is a table, not a whole number | server = { ... }, or [server]",
    ),
    "a list for collections": (
        "collections = []\n",
        "mbaas.toml:1: collections: is a table of tables, not a list | [collections.<name>]",
    ),
    "a field that is text": (
        "[collections.posts.fields]\n\ntitle = 'text'\n",
        "mbaas.toml:3: collections.posts.fields.title: is a table, not text"
        " | title = { ... }, or [collections.posts.fields.title]",
    ),
    "an unknown key of a field": (
        "[collections.posts.fields]\ntitle = { type = 'text', requird = true }\n",
        "mbaas.toml:2: collections.posts.fields.title.requird: unknown key | did you mean 'required'?",
    ),
    "an operation that no rule has": (
        POSTS + "[collections.posts.rules]\nselec = 'true'\n",
        "mbaas.toml:4: collections.posts.rules.selec: unknown key | did you mean 'select'?",
    ),
    "a rule without quotes": (
        POSTS + "[collections.posts.rules]\nselect = true\n",
        'mbaas.toml:4: collections.posts.rules.select: needs text, not true or false | text stands in quotes: "..."',
    ),
    "the second of two indexes": (
        POSTS
        + "[[collections.posts.indexes]]\nfields = ['title']\n[[collections.posts.indexes]]\nfields = []\nuniq = 1\n",
        "mbaas.toml:7: collections.posts.indexes.1.uniq: unknown key | did you mean 'unique'?",
    ),
    "an index without fields": (
        POSTS + "[[collections.posts.indexes]]\nunique = true\n",
        "mbaas.toml:3: collections.posts.indexes.0: needs `fields` | fields = ...",
    ),
    "a function without its file": (
        "[functions.f]\nsql = 'sql/f.sql'\n",
        "mbaas.toml:2: functions.f.sql: cannot read 'sql/f.sql' | relative to mbaas.toml",
    ),
    "what looks like a key inside of text": (
        "[app]\nname = '''\n[server]\nport = 1\n'''\n[server]\nport = 'x'\n",
        "mbaas.toml:7: server.port: needs a whole number, not text | digits without quotes: 8000",
    ),
    "a key given twice": (
        "[server]\nport = 1\nport = 2\n",
        "mbaas.toml:3: Cannot overwrite a value | see https://toml.io for the syntax",
    ),
    "an include that is text": (
        "include = 'collections/*.toml'\n",
        'mbaas.toml:1: include: is a list of file patterns | include = ["collections/*.toml"], relative to mbaas.toml',
    ),
    "an include that is nowhere": (
        "\ninclude = ['posts.toml']\n",
        "mbaas.toml:2: include: there is no file 'posts.toml' | paths are relative to mbaas.toml",
    ),
    "an include from the root": (
        "include = ['/etc/*.toml']\n",
        "mbaas.toml:1: include: '/etc/*.toml' is no relative pattern"
        ' | include = ["collections/*.toml"], relative to mbaas.toml',
    ),
}


@pytest.mark.parametrize(("text", "told"), FAULTS.values(), ids=FAULTS)
def test_a_fault_is_told_with_its_place_and_a_fix(project: Project, text: str, told: str) -> None:
    assert project.fault(text) == told


def test_a_function_runs_for_two_roles_only(project: Project) -> None:
    (project.root / "f.sql").write_text("select 1")
    told = project.fault("[functions.f]\nsql = 'f.sql'\nexecute = ['admin']\n")
    assert told == (
        "mbaas.toml:3: functions.f.execute: execute names 'admin' | anon, authenticated; the service key may always"
    )


def test_every_fault_is_told_at_once(project: Project) -> None:
    told = project.fault(
        "[server]\nport = 'x'\nprot = 1\n[mail]\npassword = 'env:NO'\n[collections.posts.fields]\nselect = { type = 'text' }\n",
        {"MBAAS_SEVER__HOST": "x"},
    )
    lines = [line.strip() for line in told.split("\n")]
    assert lines[0] == "5 faults in the configuration"
    assert [line.split(": ")[:2] for line in lines[1:]] == [
        ["environment variable MBAAS_SEVER__HOST", "there is no section 'sever' (did you mean MBAAS_SERVER__HOST?)"],
        ["mbaas.toml:5", "mail.password"],
        ["mbaas.toml:2", "server.port"],
        ["mbaas.toml:3", "server.prot"],
        ["mbaas.toml:7", "collections.posts.fields.select"],
    ]


def test_a_missing_file_says_how_to_begin(project: Project) -> None:
    with pytest.raises(ConfigError, match="there is no") as raised:
        load(project.root / "mbaas.toml", {})
    assert raised.value.hint == "`mbaas init` writes one to begin with"


def test_a_file_that_is_no_text_is_said_to_be_so(project: Project) -> None:
    project.write(mbaas="")
    (project.root / "mbaas.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=r"^mbaas.toml cannot be read") as raised:
        load(project.root / "mbaas.toml", {})
    assert raised.value.hint == "it must be a readable file of UTF-8 text"


def test_an_empty_file_is_a_configuration_of_defaults(project: Project) -> None:
    config = project.load("")
    assert config.server.port == 8000
    assert config.catalog.collections == {}
    assert config.data == config.root / ".mbaas"


def test_a_whole_number_is_a_duration_too(project: Project) -> None:
    assert project.load("[server]\ndrain_s = 3\n").server.drain_s == 3.0


# --- include -----------------------------------------------------------------------------------------------------------


def test_included_files_add_to_the_same_tables(project: Project) -> None:
    project.write(
        collections__posts="[collections.posts.fields]\ntitle = { type = 'text' }\n",
        collections__tags="[collections.tags.fields]\nname = { type = 'text' }\n[server]\nport = 9\n",
    )
    config = project.load("include = ['collections/*.toml']\n[server]\nhost = '0.0.0.0'\n")
    assert set(config.catalog.collections) == {"posts", "tags"}
    assert (config.server.host, config.server.port) == ("0.0.0.0", 9)
    assert config.places["collections.posts.fields.title"] == "collections/posts.toml:2"


def test_a_key_set_in_two_files_names_both(project: Project) -> None:
    project.write(more="[server]\n\nport = 2\n")
    told = project.fault("include = ['more.toml']\n[server]\nport = 1\n")
    assert told == "mbaas.toml:3: server.port: is set again in more.toml:3 | keep one of the two"


def test_a_fault_in_an_included_file_names_that_file(project: Project) -> None:
    project.write(collections__posts="# posts\n[collections.posts.fields]\ntitle = { typ = 'text' }\n")
    told = project.fault("include = ['collections/*.toml']\n")
    assert told == "collections/posts.toml:3: collections.posts.fields.title.typ: unknown key | did you mean 'type'?"


def test_an_included_file_includes_no_further_one(project: Project) -> None:
    project.write(more="include = ['again.toml']\n")
    told = project.fault("include = ['more.toml']\n")
    assert told == "more.toml:1: include: stands in mbaas.toml alone | name every file there, or use a pattern"


def test_a_pattern_that_finds_the_file_itself_does_not_read_it_twice(project: Project) -> None:
    project.write(more="[server]\nport = 2\n")
    assert project.load("include = ['*.toml']\n[app]\nname = 'x'\n").server.port == 2
