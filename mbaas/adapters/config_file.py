"""A running server looks at its own ``mbaas.toml``: a fault is told when it is made, not at the next start.

Nothing of a changed file is in force by itself: collections, rules and functions come by ``mbaas migrate apply``, which
every node follows; all other settings by a restart. What is still to be done is told once a change.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NoReturn

from mbaas.adapters.live import Live
from mbaas.config.changed import fingerprint, needs_restart
from mbaas.config.settings import Config
from mbaas.core.errors import ConfigError
from mbaas.core.observe import ConfigNotTaken, ConfigWaits, Observe

POLL_S = 1.0


async def watch_config(running: Config, load: Callable[[], Config], live: Live, observe: Observe) -> NoReturn:
    """Until cancelled. running: what the server was started with. load: reads it anew; raises ConfigError."""
    known, seen = running, fingerprint(running)
    while True:
        await asyncio.sleep(POLL_S)
        now = fingerprint(known)
        if now == seen:
            continue
        seen = now
        try:
            before, known = known, await asyncio.to_thread(load)
        except ConfigError as error:
            observe(ConfigNotTaken(error.message, error.hint))
            continue
        seen = fingerprint(known)
        unapplied = not live.serves(known.catalog) or known.functions_sql != before.functions_sql
        restart = needs_restart(running, known)
        if unapplied or restart:
            observe(ConfigWaits(unapplied, restart))
