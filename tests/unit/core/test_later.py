"""What a start does without."""

from __future__ import annotations

import subprocess
import sys

import pytest

from mbaas.core.later import later

PUT_OFF = ("authlib", "email_validator", "graphql", "httpx", "jinja2", "phonenumbers", "webauthn")

_START = """
import sys
import mbaas.app
from mbaas.core.later import load_all
from mbaas.http.routed import Routed
Routed(openapi_config=None, logging_config=None)
print(sorted(name for name in sys.argv[1:] if name in sys.modules))
load_all()
print(sorted(name for name in sys.argv[1:] if name in sys.modules))
"""


def test_a_start_loads_no_library_that_waits_for_its_first_use() -> None:
    command = [sys.executable, "-c", _START, *PUT_OFF, "pydantic"]
    at_start, then = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert at_start == "[]"
    assert then == repr(sorted(PUT_OFF))


def test_a_module_is_loaded_when_something_of_it_is_asked_for() -> None:
    found = later("json.tool")
    assert found.main is sys.modules["json.tool"].main
    with pytest.raises(AttributeError, match="has no attribute 'nothing_such'"):
        _ = found.nothing_such
