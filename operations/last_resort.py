"""Ends a worker process that does not end by itself."""

import os
import threading
from typing import Any, Final

import dramatiq

# Longer than sending a mail may take, and shorter than `./wallet run` waits before it kills.
ENDS_WITHIN_SECONDS: Final = 13


class LastResort(dramatiq.Middleware):
    """A Dramatiq middleware: bounds the time from being asked to end until the process ends.

    Without Redis, Dramatiq's worker cannot give messages back, raises, and then waits for its own
    threads for ever. What was left undone is handed over again when its lease ends.
    """

    def before_worker_shutdown(self, _broker: Any, _worker: Any) -> None:
        """Start the clock. It does not keep a process alive that ends in time."""
        clock = threading.Timer(ENDS_WITHIN_SECONDS, os._exit, (1,))
        clock.daemon = True
        clock.start()
