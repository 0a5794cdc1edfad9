"""The OpenAPI documents of a project, made once a role and snapshot."""

from __future__ import annotations

from collections.abc import Callable

from mbaas.config.settings import Config
from mbaas.core.identity import Role
from mbaas.core.rules.ruleset import RuleSet
from mbaas.modules.records.openapi import Info, openapi_bytes
from mbaas.modules.records.swagger import swagger_bytes


class Described:
    """What a role may reach. Who has no key sees what the anon key may reach."""

    def __init__(self, config: Config, live: Callable[[], RuleSet]) -> None:
        self._info = Info(title=config.app.name, server=(config.server.public_url or "").rstrip("/") + "/rest/v1")
        self._live = live
        self._made_for: RuleSet | None = None
        self._made: dict[tuple[Callable[..., bytes], Role], bytes] = {}

    def v3(self, role: Role) -> bytes:
        """OpenAPI 3.1."""
        return self._document(openapi_bytes, role)

    def v2(self, role: Role) -> bytes:
        """OpenAPI 2.0, as PostgREST gives it."""
        return self._document(swagger_bytes, role)

    def _document(self, describe: Callable[..., bytes], role: Role) -> bytes:
        rules = self._live()
        if rules is not self._made_for:
            self._made_for = rules
            self._made.clear()
        if (describe, role) not in self._made:
            self._made[describe, role] = describe(rules.catalog, info=self._info, role=role)
        return self._made[describe, role]
