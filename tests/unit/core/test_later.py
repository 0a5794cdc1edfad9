"""What a start does without."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys

import pytest

from mbaas.core.later import later, without

PUT_OFF = ("authlib", "email_validator", "httpx", "jinja2", "phonenumbers", "webauthn")
BEHIND = ("litestar", "piccolo")
NEVER = ("graphql", "pydantic", "rich", "sqlglot", "typer")

_START = """
import sys
def there():
    print(sorted(name for name in sys.argv[1:] if name in sys.modules))
import mbaas_cli.serving, mbaas.serve, mbaas.app
there()
import mbaas.router
from mbaas.http.routed import Routed
Routed(openapi_config=None, logging_config=None)
there()
from mbaas.core.later import load_all
load_all()
there()
"""


def test_a_start_loads_no_library_that_waits_for_its_first_use() -> None:
    command = [sys.executable, "-c", _START, *PUT_OFF, *BEHIND, *NEVER]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    first_answer, everything, first_sign_in = map(ast.literal_eval, said)
    assert first_answer == []
    assert everything == sorted(BEHIND)
    assert set(first_sign_in) - {"rich"} == {*PUT_OFF, *BEHIND}  # httpx draws with it, where it finds it


def test_a_command_loads_nothing_that_only_others_use() -> None:
    others = ("asyncpg", "httpx", "joserfc", "litestar", "piccolo", "sqlglot", "tomlkit")
    start = "import sys, mbaas_cli.main; print(sorted(name for name in sys.argv[1:] if name in sys.modules))"
    said = subprocess.run([sys.executable, "-c", start, *others], capture_output=True, text=True, check=True).stdout
    assert ast.literal_eval(said) == []


def test_what_is_hidden_is_hidden_from_those_who_ask_meanwhile() -> None:
    sys.modules.pop("this", None)
    with without("this"), pytest.raises(ImportError):
        importlib.import_module("this")
    assert "this" not in sys.modules
    with without("json"):
        assert importlib.import_module("json") is sys.modules["json"]  # it was there before


def test_a_module_is_loaded_when_something_of_it_is_asked_for() -> None:
    found = later("json.tool")
    assert found.main is sys.modules["json.tool"].main
    with pytest.raises(AttributeError, match="has no attribute 'nothing_such'"):
        _ = found.nothing_such
