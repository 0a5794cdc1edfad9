"""The passwords that guessing begins with: the 30,000 most used ones, as zxcvbn brings them along."""

from __future__ import annotations

import functools
import importlib.machinery
from importlib.metadata import distribution
from types import ModuleType


def is_common(password: str) -> bool:
    """Whether a password is among those everybody tries first, whatever its case.

    >>> is_common("Password1"), is_common("correct horse battery")
    (True, False)
    """
    return password.lower() in common_passwords()


@functools.cache
def common_passwords() -> frozenset[str]:
    """All of them, in lower case. The first call takes some 30 ms."""
    # The file alone: importing the package builds dictionaries of names and films as well, 20 MB of them.
    path = str(distribution("zxcvbn").locate_file("zxcvbn/frequency_lists.py"))
    module = ModuleType("frequency_lists")
    importlib.machinery.SourceFileLoader("frequency_lists", path).exec_module(module)
    return frozenset(module.FREQUENCY_LISTS["passwords"])
