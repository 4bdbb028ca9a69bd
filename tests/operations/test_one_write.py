"""Answers in one piece: what is written in one turn of the loop leaves in one write."""

import asyncio

import pytest
from uvicorn import Config

from operations.one_write import JoiningTransport, OneWriteProtocol
from operations.run import ONE_WRITE


class Recording(asyncio.Transport):
    """Remembers what is done to it."""

    def __init__(self) -> None:
        super().__init__()
        self.done: list[bytes | str] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.done.append(bytes(data))

    def close(self) -> None:
        self.done.append("closed")

    def is_closing(self) -> bool:
        return "closed" in self.done


@pytest.fixture
async def recording() -> Recording:
    return Recording()


@pytest.fixture
async def joining(recording: Recording) -> JoiningTransport:
    return JoiningTransport(recording, asyncio.get_running_loop())


async def test_head_and_body_leave_together(
    joining: JoiningTransport, recording: Recording
) -> None:
    joining.write(b"head")
    joining.write(b"body")
    assert recording.done == []

    await asyncio.sleep(0)

    assert recording.done == [b"headbody"]


async def test_each_turn_is_sent_by_itself_and_in_order(
    joining: JoiningTransport, recording: Recording
) -> None:
    for part in (b"first", b"second"):
        joining.write(part)
        await asyncio.sleep(0)

    assert recording.done == [b"first", b"second"]


async def test_closing_sends_what_was_written_first(
    joining: JoiningTransport, recording: Recording
) -> None:
    joining.write(b"last words")
    joining.close()
    await asyncio.sleep(0)

    assert recording.done == [b"last words", "closed"]


async def test_what_was_written_to_somebody_who_left_is_dropped(
    joining: JoiningTransport, recording: Recording
) -> None:
    joining.write(b"too late")
    recording.close()
    await asyncio.sleep(0)

    assert recording.done == ["closed"]


def test_uvicorn_knows_the_protocol_by_the_name_it_is_started_with() -> None:
    config = Config("main:app", http=ONE_WRITE)
    config.load_app = lambda: None  # type: ignore[method-assign]  # the application is not asked here
    config.load()

    assert config.http_protocol_class is OneWriteProtocol
