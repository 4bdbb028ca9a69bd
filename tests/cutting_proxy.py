"""A way to PostgreSQL on which the answer to a COMMIT is lost."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit, urlunsplit


@asynccontextmanager
async def cutting_proxy(url: str, cuts: int) -> AsyncIterator[tuple[str, list[str]]]:
    """Forward to a PostgreSQL server; pass a COMMIT on, but lose its answer, `cuts` times.

    Yields the URL to go by, and the list of what was cut so far.
    """
    target = urlsplit(url)
    cut: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_connection(target.hostname, target.port)
        answers = asyncio.create_task(pump(up_reader, writer))
        while data := await reader.read(65536):
            commit = re.search(rb"COMMIT[A-Z ]*", data)
            if commit and len(cut) < cuts:
                cut.append(commit[0].decode())
                answers.cancel()
                up_writer.write(data)
                await up_writer.drain()
                break
            up_writer.write(data)
        await asyncio.gather(answers, return_exceptions=True)
        writer.close()
        # The server commits, whoever listens.
        await asyncio.sleep(0.05)
        up_writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        yield urlunsplit(target._replace(netloc=f"postgres@127.0.0.1:{port}")), cut


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
    writer.close()
