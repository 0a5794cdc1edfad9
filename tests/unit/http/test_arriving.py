"""What is not there yet: who needs it waits, once."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from mbaas.http.arriving import Arriving, FirstUse
from mbaas.http.respond import Receive, Scope, Send


async def nothing(*_: Any) -> Any: ...


async def test_who_asks_for_an_app_before_it_is_there_waits_for_it() -> None:
    arriving, asked = Arriving(), []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        asked.append(scope["path"])

    early = asyncio.create_task(arriving({"path": "/early"}, nothing, nothing))
    await asyncio.sleep(0)
    assert not early.done()
    arriving.arrived(app)
    await arriving({"path": "/late"}, nothing, nothing)
    await early
    assert sorted(asked) == ["/early", "/late"]


async def test_the_first_use_loads_in_a_thread_and_the_others_wait() -> None:
    loaded, goes_on = [], threading.Event()

    def load() -> None:
        goes_on.wait(10)
        loaded.append(threading.current_thread())

    use = FirstUse(load)
    users = [asyncio.create_task(use()) for _ in range(3)]
    await asyncio.sleep(0)
    assert not use.done
    goes_on.set()
    await asyncio.gather(*users)
    assert use.done
    assert len(loaded) == 1
    assert loaded[0] is not threading.current_thread()


async def test_what_could_not_be_loaded_is_tried_again() -> None:
    tries = iter([ImportError("gone"), None])

    def load() -> None:
        if error := next(tries):
            raise error

    use = FirstUse(load)
    first, second = await asyncio.gather(use(), use(), return_exceptions=True)
    assert isinstance(first, ImportError)
    assert second is None
    assert use.done
