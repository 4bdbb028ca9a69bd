"""`wallet sweep`: leaves a message for a worker, or says why it cannot."""

import json
import os
import subprocess
import sys

import redis

from operations.children import ROOT
from operations.listening import free_port

# A Redis database that no worker of another test listens to.
OWN_DATABASE = 9


def run(redis_url: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "cli.py", "sweep"],
        cwd=ROOT,
        env={**os.environ, "REDIS_URL": redis_url},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_worker_is_asked(redis_url: str) -> None:
    own_url = f"{redis_url.rpartition('/')[0]}/{OWN_DATABASE}"

    done = run(own_url)

    assert (done.returncode, done.stderr) == (0, "")
    assert "Asked a worker" in done.stdout
    with redis.Redis.from_url(own_url) as client:
        messages = client.hvals("dramatiq:default.msgs")
        assert isinstance(messages, list)
        assert [json.loads(message)["actor_name"] for message in messages] == [
            "delete_expired_tokens"
        ]


def test_without_redis_one_sentence_tells_why() -> None:
    done = run(f"redis://127.0.0.1:{free_port()}/0")

    assert done.returncode == 3
    assert done.stderr.startswith("Redis, which carries the request to a worker, cannot be reached")
    assert "Traceback" not in done.stderr
