"""A cable between a service and its database that a test can cut, also just after a COMMIT left."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from urllib.parse import urlsplit, urlunsplit


class Cable:
    def __init__(self, url: str) -> None:
        self._parts = urlsplit(url)
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self.port = 0
        self.cut_after_commit = False
        self._mute = False

    @property
    def url(self) -> str:
        account = self._parts.netloc.rpartition("@")[0]
        return urlunsplit(self._parts._replace(netloc=f"{account}@127.0.0.1:{self.port}"))

    async def plug_in(self) -> None:
        self._mute = False
        self._server = await asyncio.start_server(self._connect, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in list(self._writers):
            writer.close()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert self._parts.hostname is not None
        far = await asyncio.open_connection(self._parts.hostname, self._parts.port)
        self._writers |= {writer, far[1]}
        try:
            await asyncio.gather(
                self._pipe(reader, far[1], outward=True), self._pipe(far[0], writer, outward=False)
            )
        finally:
            self._writers -= {writer, far[1]}

    async def _pipe(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, outward: bool
    ) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65_536):
                if outward and self.cut_after_commit and b"COMMIT" in data:
                    # The server gets the commit, the client never its answer.
                    self.cut_after_commit = False
                    self._mute = True
                    writer.write(data)
                    await writer.drain()
                    await asyncio.sleep(0.1)
                    await self.cut()
                    return
                if self._mute and not outward:
                    continue
                writer.write(data)
                await writer.drain()
        writer.close()


@contextlib.asynccontextmanager
async def cable(url: str) -> AsyncIterator[Cable]:
    made = Cable(url)
    await made.plug_in()
    try:
        yield made
    finally:
        await made.cut()
