"""Ends a request's work when its client goes away."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeVar

T = TypeVar("T")

LOOK_AFTER_S = 0.05
"""Work that is done sooner is not watched: watching takes a task, and what it could save is little."""


class ClientGone(Exception):
    """The client closed its connection before it was answered."""


async def unless_gone(receive: Callable[[], Awaitable[MutableMapping[str, Any]]], work: Awaitable[T]) -> T:
    """The outcome of ``work``, which is cancelled when the client disconnects: ClientGone.

    ``receive`` is the ASGI channel, its body read to the end.
    """
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    gone = False
    watching: list[asyncio.Task[None]] = []

    async def watch() -> None:
        nonlocal gone
        while (await receive())["type"] != "http.disconnect":
            pass
        gone = True
        task.cancel()

    timer = loop.call_later(LOOK_AFTER_S, lambda: watching.append(loop.create_task(watch())))
    try:
        return await work
    except asyncio.CancelledError:
        if not gone:
            raise
        task.uncancel()
        raise ClientGone from None
    finally:
        timer.cancel()
        for watcher in watching:
            watcher.cancel()
