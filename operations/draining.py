"""Ends a server in order: /readyz says no, the door closes, what is inside is finished."""

import asyncio
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def draining_on_sigterm(draining: threading.Event, *, seconds: float) -> Iterator[None]:
    """Within this block a SIGTERM sets `draining`, and reaches the server `seconds` later.

    Load balancers so have time to notice before connections are refused. Where nobody handles
    SIGTERM (in a test, say) there is nothing to put off.
    """
    server_handler = signal.getsignal(signal.SIGTERM)
    if not callable(server_handler) or threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()

    def drain(number: int, frame: FrameType | None) -> None:
        draining.set()
        loop.call_soon_threadsafe(loop.call_later, seconds, server_handler, number, frame)

    signal.signal(signal.SIGTERM, drain)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, server_handler)
