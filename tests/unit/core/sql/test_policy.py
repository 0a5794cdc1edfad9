"""Policies as PostgreSQL can plan them."""

from __future__ import annotations

import pytest

from mbaas.core.rules.compile import compile_rules
from mbaas.core.sql.policy import render_policies
from tests.strategies_rules import with_rule


@pytest.mark.parametrize(
    ("rule", "using"),
    [
        ("now() = now()", "using ((now() is not null))"),
        ("flag and (n = 1 and current_date = current_date)", '("flag" and (("n" = 1) and (current_date is not null)))'),
        ("n = n", 'using (("n" = "n"))'),
        ("not (now() = now())", "using ((not (now() = now())))"),
    ],
)
def test_what_asks_nothing_of_the_row_is_not_compared_with_itself(rule: str, using: str) -> None:
    assert using in ";".join(render_policies(compile_rules(with_rule(rule)), "things"))
