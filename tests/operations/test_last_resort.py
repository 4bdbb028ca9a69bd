"""A worker that is hindered from ending ends all the same."""

import subprocess
import sys
import time

from operations.children import ROOT

# As Dramatiq's worker is without Redis: asked to end, and waiting for a thread that never does.
HINDERED = """if True:
    import threading
    from operations import last_resort
    last_resort.ENDS_WITHIN_SECONDS = 0.3
    last_resort.LastResort().before_worker_shutdown(None, None)
    threading.Thread(target=threading.Event().wait).start()
"""
UNHINDERED = """if True:
    from operations import last_resort
    last_resort.LastResort().before_worker_shutdown(None, None)
"""


def test_a_hindered_worker_ends_before_long() -> None:
    ended = subprocess.run([sys.executable, "-c", HINDERED], cwd=ROOT, timeout=20, check=False)

    assert ended.returncode == 1


def test_a_worker_that_ends_by_itself_does_not_wait() -> None:
    started = time.monotonic()

    ended = subprocess.run([sys.executable, "-c", UNHINDERED], cwd=ROOT, timeout=20, check=False)

    assert ended.returncode == 0
    assert time.monotonic() - started < 10
