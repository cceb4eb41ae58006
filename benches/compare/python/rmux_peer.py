"""rmux from Python: commands and files by the blocking calls, many at once by asyncio."""

import asyncio
import threading

import rmux
import rmux.aio
from driver import (
    ENDLESS, IDLE, NOTHING, PIECE, SINK, STALLED, TARGET,
    beside, files_of, require, serve, source,
)


def settings(port):
    return {
        "user": TARGET["user"],
        "port": port,
        "identity_files": [TARGET["client_key"]],
        "config_file": "none",
        "options": {
            "IdentityAgent": "none",
            "UserKnownHostsFile": TARGET["known_hosts"],
            "GlobalKnownHostsFile": "none",
        },
    }


class Peer:
    def __init__(self):
        self.session = None
        self.beside = None
        self.more = []
        self.children = []
        self.loop = asyncio.new_event_loop()

    def open(self, port):
        self.port = port
        self.session = rmux.connect("127.0.0.1", **settings(port))

    def close(self):
        for child in self.children:
            child.kill()
        self.children.clear()
        if self.beside is not None:
            self.loop.run_until_complete(self.beside.close())
            self.beside = None
        for session in self.more:
            session.close()
        self.more.clear()
        self.session.close()

    def cold(self, port):
        session = rmux.connect("127.0.0.1", **settings(port))
        child = session.popen("echo up", stdin=rmux.DEVNULL)
        require(child.stdout.read(1), "no output")

    def sessions(self, port, count):
        for _ in range(count):
            self.more.append(rmux.connect("127.0.0.1", **settings(port)))

    def exec(self):
        self.session.run(NOTHING, check=True)

    def many(self, count):
        return self.together(count)

    async def together(self, count):
        if self.beside is None:
            self.beside = await rmux.aio.connect("127.0.0.1", **settings(self.port))
            await self.beside.run(NOTHING, check=True)
        await asyncio.gather(*(self.beside.run(NOTHING, check=True) for _ in range(count)))

    def down(self, bytes):
        child = self.session.popen(source(bytes), stdin=rmux.DEVNULL)
        length = 0
        while piece := child.stdout.read1(PIECE):
            length += len(piece)
        child.wait()
        require(length == bytes, f"{length} bytes of {bytes}")

    def up(self, bytes):
        child = self.session.popen(SINK)
        piece = b"\0" * PIECE
        for _ in range(bytes // PIECE):
            child.stdin.write(piece)
        child.stdin.close()
        child.wait()

    def channels(self, count):
        for _ in range(count):
            self.children.append(self.session.popen(IDLE, stdin=rmux.DEVNULL))

    def stall(self):
        self.children.append(self.session.popen(STALLED, stdin=rmux.DEVNULL))

    def busy(self):
        child = self.session.popen(ENDLESS, stdin=rmux.DEVNULL)
        self.children.append(child)

        def drain():
            try:
                while child.stdout.read1(PIECE):
                    pass
            except (rmux.Error, ValueError):
                pass  # It was closed.

        threading.Thread(target=drain, daemon=True).start()

    def put(self, local, remote):
        self.session.put(local, remote)

    def get(self, remote, local):
        self.session.get(remote, local)

    def put_tree(self, local, remote):
        self.session.put(local, remote, recursive=True)

    def get_tree(self, remote, local):
        self.session.get(remote, local, recursive=True)

    def put_each(self, local, remote):
        for file in files_of(local):
            self.session.put(file, beside(file, remote))

    def get_each(self, remote, local):
        for file in files_of(local):
            self.session.get(beside(file, remote), file)

    def read(self, remote):
        self.session.path(remote).read_bytes()


peer = Peer()
serve(peer, peer.loop.run_until_complete)
