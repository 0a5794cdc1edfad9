"""``env:NAME`` and ``MBAAS_SECTION__KEY``: what they set, and that what they hold is never told."""

from __future__ import annotations

import pytest

from tests.unit.config.project import Project

SECRET = "sk_live_4eC39HqLyjW"
POSTS = "[collections.posts.fields]\nviews = { type = 'int' }\n"


def test_a_variable_overrides_the_file(project: Project) -> None:
    assert project.load("[server]\nport = 1\n", {"MBAAS_SERVER__PORT": "9000"}).server.port == 9000


def test_a_variable_makes_the_section_that_the_file_left_out(project: Project) -> None:
    config = project.load("", {"MBAAS_LIMITS__RATE__PER_IP": "5", "MBAAS_LOG__REQUESTS": "false"})
    assert config.limits.rate.per_ip == 5.0
    assert config.limits.rate.per_user == 200.0
    assert config.log.requests is False


def test_a_list_in_a_variable_is_written_as_in_the_file(project: Project) -> None:
    config = project.load("", {"MBAAS_SERVER__CORS_ORIGINS": '["https://a.example", "https://b.example"]'})
    assert config.server.cors_origins == ("https://a.example", "https://b.example")


@pytest.mark.parametrize("text", ["12345", "true", '"quoted"', "[1]", "a = b", "2026-01-31", "", " x\n[y]"])
def test_a_text_in_a_variable_is_taken_as_it_stands(project: Project, text: str) -> None:
    given = "[mail]\nusername = 'env:PASSWORD'\n"
    config = project.load(given, {"PASSWORD": text, "MBAAS_MAIL__PASSWORD": text})
    assert (config.mail.username, config.mail.password) == (text, text)


def test_env_values_take_the_type_of_their_key(project: Project) -> None:
    text = (
        "[server]\nport = 'env:PORT'\ncors_origins = 'env:ORIGINS'\n[limits]\nrate = 'env:RATE'\n"
        "[log]\nlevel = 'env:LEVEL'\n[app]\nredirect_urls = ['a', 'env:URL']\n"
    )
    environ = {"PORT": "1", "ORIGINS": "['a']", "RATE": "{ per_ip = 3 }", "LEVEL": "error", "URL": "b"}
    config = project.load(text, environ)
    assert (config.server.port, config.server.cors_origins, config.limits.rate.per_ip) == (1, ("a",), 3.0)
    assert (config.log.level, config.app.redirect_urls) == ("error", ("a", "b"))


def test_an_override_stands_before_an_env_value_that_is_missing(project: Project) -> None:
    config = project.load("[mail]\npassword = 'env:NOT_SET'\n", {"MBAAS_MAIL__PASSWORD": "x"})
    assert config.mail.password == "x"


def test_a_key_of_a_collection_may_be_overridden(project: Project) -> None:
    environ = {"MBAAS_COLLECTIONS__POSTS__REALTIME": "true", "MBAAS_COLLECTIONS__POSTS__FIELDS__VIEWS__DEFAULT": "7"}
    posts = project.load(POSTS, environ).catalog.collections["posts"]
    field = posts.field("views")
    assert posts.realtime
    assert field is not None
    assert field.default == "7"


def test_env_values_may_be_inside_of_a_json_default(project: Project) -> None:
    text = "[collections.posts.fields]\nmeta = { type = 'json', default = { by = ['env:WHO'] } }\n"
    field = project.load(text, {"WHO": "ana"}).catalog.collections["posts"].field("meta")
    assert field is not None
    assert field.default == """'{"by":["ana"]}'::jsonb"""


@pytest.mark.parametrize("name", ["MBAAS_CONFIG", "MBAAS_URL", "SERVER__PORT", "MBAAS", "mbaas_server__port"])
def test_other_variables_are_left_alone(project: Project, name: str) -> None:
    assert project.load("", {name: "1"}).server.port == 8000


FAULTS = {
    "a missing variable": (
        "[mail]\npassword = 'env:NOPE'\n",
        {},
        "mbaas.toml:2: mail.password: needs the environment variable NOPE | export NOPE=... before the start",
    ),
    "a variable of no section": (
        "",
        {"MBAAS_SEVER__PORT": SECRET},
        "environment variable MBAAS_SEVER__PORT: there is no section 'sever' | did you mean MBAAS_SERVER__PORT?",
    ),
    "a variable unlike any section": (
        "",
        {"MBAAS_Q__R": SECRET},
        "environment variable MBAAS_Q__R: there is no section 'q' | MBAAS_SECTION__KEY, such as MBAAS_SERVER__PORT",
    ),
    "a variable of a section without a key": (
        "",
        {"MBAAS_SERVER__": SECRET},
        "environment variable MBAAS_SERVER__: names no key of 'server' | MBAAS_SERVER__KEY",
    ),
    "a variable of an unknown key": (
        "",
        {"MBAAS_SERVER__PROT": SECRET},
        "environment variable MBAAS_SERVER__PROT: server.prot: unknown key | did you mean 'port'?",
    ),
    "a variable of a deep unknown key": (
        "",
        {"MBAAS_LIMITS__RATE__PER_PI": SECRET},
        "environment variable MBAAS_LIMITS__RATE__PER_PI: limits.rate.per_pi: unknown key | did you mean 'per_ip'?",
    ),
    "a variable below a value": (
        "[server]\nport = 1\n",
        {"MBAAS_SERVER__PORT__X": SECRET},
        "environment variable MBAAS_SERVER__PORT__X: one key above it is no table | set the whole key",
    ),
    "an override of the wrong type": (
        "",
        {"MBAAS_SERVER__PORT": SECRET},
        "environment variable MBAAS_SERVER__PORT: server.port: needs a whole number, not text"
        " | digits without quotes: 8000",
    ),
    "a list without brackets": (
        "",
        {"MBAAS_SERVER__CORS_ORIGINS": SECRET},
        "environment variable MBAAS_SERVER__CORS_ORIGINS: server.cors_origins: needs a list, not text"
        ' | cors_origins = ["...", "..."]',
    ),
    "an env value of the wrong type": (
        "[server]\n\nport = 'env:PORT'\n",
        {"PORT": SECRET},
        "mbaas.toml:3: server.port: needs a whole number, not text (from the environment variable PORT)"
        " | digits without quotes: 8000",
    ),
    "a choice that is none": (
        "",
        {"MBAAS_LOG__LEVEL": SECRET},
        "environment variable MBAAS_LOG__LEVEL: log.level: is none of its values | one of debug, info, warning, error",
    ),
    "a whole section": (
        "mail = 'env:MAIL'\n",
        {"MAIL": SECRET},
        "mbaas.toml:1: mail: is a table, not text (from the environment variable MAIL) | mail = { ... }, or [mail]",
    ),
}


@pytest.mark.parametrize(("text", "environ", "told"), FAULTS.values(), ids=FAULTS)
def test_a_fault_names_the_variable(project: Project, text: str, environ: dict[str, str], told: str) -> None:
    assert project.fault(text, environ) == told


PLACES = {
    "a number": "[server]\nport = 'env:SECRET'\n",
    "a switch": "[log]\nrequests = 'env:SECRET'\n",
    "a choice": "[log]\nlevel = 'env:SECRET'\n",
    "a list": "[server]\ncors_origins = 'env:SECRET'\n",
    "a default": "[collections.posts.fields]\na = { type = 'int', default = 'env:SECRET' }\n",
    "an element of a default": "[collections.posts.fields]\na = { type = 'int', default = ['env:SECRET'] }\n",
    "a limit": "[collections.posts.fields]\na = { type = 'int', min = 'env:SECRET' }\n",
    "a type": "[collections.posts.fields]\na = { type = 'env:SECRET' }\n",
    "a reference": "[collections.posts.fields]\na = { references = 'env:SECRET' }\n",
    "a value of an enum": "[collections.posts.fields]\na = { type = 'enum', values = ['env:SECRET'], default = 'x' }\n",
    "an index": POSTS + "[[collections.posts.indexes]]\nfields = ['env:SECRET']\n",
    "a method": POSTS + "[[collections.posts.indexes]]\nfields = ['views']\nmethod = 'env:SECRET'\n",
    "a relation": POSTS + "[collections.posts.relations.tags]\nto = 'env:SECRET'\n",
    "a junction": POSTS + "[collections.posts.relations.tags]\nto = 'posts'\nthrough = 'env:SECRET'\n",
    "a file": "[functions.f]\nsql = 'env:SECRET'\n",
    "a role": "[functions.f]\nsql = 'mbaas.toml'\nexecute = ['env:SECRET']\n",
}


@pytest.mark.parametrize("secret", [SECRET, "hunter2.hunter3", "it's\\n"], ids=["plain", "dotted", "quoted"])
@pytest.mark.parametrize("text", PLACES.values(), ids=PLACES)
def test_no_fault_tells_what_a_variable_holds(project: Project, text: str, secret: str) -> None:
    told = project.fault(text, {"SECRET": secret})
    for part in (secret, repr(secret)[1:-1], *secret.split(".")):
        assert part not in told


def test_no_fault_tells_what_an_override_holds(project: Project) -> None:
    for key in ("SERVER__PORT", "LOG__LEVEL", "COLLECTIONS__POSTS__FIELDS__VIEWS__DEFAULT", "COLLECTIONS__POSTS"):
        assert SECRET not in project.fault(POSTS, {f"MBAAS_{key}": SECRET})
