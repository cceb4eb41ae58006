"""asyncssh, as it comes."""

import asyncio
import os

import asyncssh
from driver import (
    ENDLESS, IDLE, NOTHING, PIECE, SINK, STALLED, TARGET,
    beside, files_of, require, serve, source,
)


async def connect(port):
    return await asyncssh.connect(
        "127.0.0.1",
        port,
        username=TARGET["user"],
        client_keys=[TARGET["client_key"]],
        known_hosts=TARGET["known_hosts"],
        config=None,
        agent_path=None,
    )


class Peer:
    def __init__(self):
        self.connection = None
        self.files = None
        self.more = []
        self.children = []
        self.tasks = []

    async def open(self, port):
        self.connection = await connect(port)

    async def close(self):
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        self.tasks.clear()
        self.children.clear()
        self.files = None
        for connection in [*self.more, self.connection]:
            connection.abort()
        self.more.clear()

    async def sftp(self):
        # Kept, as rmux keeps its own.
        if self.files is None:
            self.files = await self.connection.start_sftp_client()
        return self.files

    async def cold(self, port):
        connection = await connect(port)
        child = await connection.create_process("echo up", encoding=None)
        require(await child.stdout.read(1), "no output")

    async def sessions(self, port, count):
        for _ in range(count):
            self.more.append(await connect(port))

    async def exec(self):
        await self.connection.run(NOTHING, check=True)

    async def many(self, count):
        await asyncio.gather(*(self.connection.run(NOTHING, check=True) for _ in range(count)))

    async def down(self, bytes):
        child = await self.connection.create_process(source(bytes), encoding=None)
        length = 0
        while piece := await child.stdout.read(PIECE):
            length += len(piece)
        await child.wait()
        require(length == bytes, f"{length} bytes of {bytes}")

    async def up(self, bytes):
        child = await self.connection.create_process(SINK, encoding=None)
        piece = b"\0" * PIECE
        for _ in range(bytes // PIECE):
            child.stdin.write(piece)
            await child.stdin.drain()
        child.stdin.write_eof()
        await child.wait()

    async def channels(self, count):
        for _ in range(count):
            self.children.append(await self.connection.create_process(IDLE, encoding=None))

    async def stall(self):
        self.children.append(await self.connection.create_process(STALLED, encoding=None))

    async def busy(self):
        child = await self.connection.create_process(ENDLESS, encoding=None)
        self.children.append(child)

        async def drain():
            while await child.stdout.read(PIECE):
                pass

        self.tasks.append(asyncio.ensure_future(drain()))

    async def put(self, local, remote):
        await (await self.sftp()).put(local, remote)

    async def get(self, remote, local):
        await (await self.sftp()).get(remote, local)

    async def put_tree(self, local, remote):
        await (await self.sftp()).put(local, remote, recurse=True)

    async def get_tree(self, remote, local):
        await (await self.sftp()).get(remote, local, recurse=True)

    async def put_each(self, local, remote):
        for file in files_of(local):
            await self.put(file, beside(file, remote))

    async def get_each(self, remote, local):
        for file in files_of(local):
            await self.get(beside(file, remote), file)

    async def read(self, remote):
        async with (await self.sftp()).open(remote, "rb") as file:
            await file.read()


loop = asyncio.new_event_loop()
asyncio.set_event_loop(loop)
os.environ.pop("SSH_AUTH_SOCK", None)
serve(Peer(), loop.run_until_complete)
