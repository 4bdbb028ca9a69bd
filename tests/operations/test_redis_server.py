"""The Redis-compatible server that `wallet run` starts."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from operations import redis_server
from operations.sentinel import Sentinel


@pytest.fixture(autouse=True)
def _own_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(redis_server, "DATA", tmp_path)
    monkeypatch.setattr(redis_server, "LOG", tmp_path / "server.log")


@pytest.fixture
def sentinel() -> Iterator[Sentinel]:
    sentinel = Sentinel()
    yield sentinel
    sentinel.close()


def setting(url: str, name: str) -> object:
    with redis.Redis.from_url(url, decode_responses=True) as client:
        settings = client.config_get(name)
    assert isinstance(settings, dict)
    return settings[name]


def test_it_answers_and_keeps_its_data(sentinel: Sentinel) -> None:
    for expected in (None, b"1"):
        server, url = redis_server.start(environment=os.environ, sentinel=sentinel)
        with redis.Redis.from_url(url) as client:
            assert client.get("key") == expected
            client.set("key", "1")
        assert server.stop() == 0


def test_a_second_one_in_the_same_checkout_does_not_touch_the_first_ones_data(
    sentinel: Sentinel,
) -> None:
    first, first_url = redis_server.start(environment=os.environ, sentinel=sentinel)
    second, second_url = redis_server.start(environment=os.environ, sentinel=sentinel)
    try:
        assert setting(first_url, "appendonly") == "yes"
        assert setting(second_url, "appendonly") == "no"
        assert setting(second_url, "save") == ""
    finally:
        second.stop()
        first.stop()


def test_one_that_cannot_start_is_reported(
    sentinel: Sentinel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_server, "find_binary", lambda: Path("/bin/false"))

    with pytest.raises(redis_server.RedisServerError, match=r"server\.log"):
        redis_server.start(environment=os.environ, sentinel=sentinel)


def test_a_missing_package_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)

    with pytest.raises(redis_server.RedisServerError, match="set REDIS_URL"):
        redis_server.find_binary()
