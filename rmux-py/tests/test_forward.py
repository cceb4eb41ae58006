"""Connections through the host and forwards, in both twins: the shared cases, and Python's own."""

from __future__ import annotations

import asyncio
import gc
import http.client
import http.server
import json
import socket
import socketserver
import struct
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Optional

import fixture
import pytest

import rmux

FOLDER = fixture.REPOSITORY / "rmux-testkit" / "cases"
FILES = [json.loads(path.read_text("utf-8")) for path in sorted(FOLDER.glob("*.json"))]
CASES: list[dict[str, Any]] = [
    case for file in FILES if file.get("kind") == "forward" for case in file["cases"]
]


def eventually(holds: Callable[[], object]) -> None:
    fixture.eventually(holds, "the figures")


class Echo(socketserver.BaseRequestHandler):
    """Answers with all that it was sent, in capitals, once that has ended."""

    def handle(self) -> None:
        heard = b""
        while piece := self.request.recv(65536):
            heard += piece
        self.request.sendall(heard.upper())


class PortEcho(socketserver.ThreadingTCPServer):
    daemon_threads = True


class SocketEcho(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True


@pytest.fixture(scope="module")
def server() -> Iterator[fixture.Server]:
    with fixture.server() as one:
        yield one


@pytest.fixture(scope="module")
def session(server: fixture.Server) -> Iterator[rmux.Session]:
    with rmux.connect(server.host, **server.settings) as one:
        yield one


@pytest.fixture
def port() -> Iterator[int]:
    with PortEcho(("127.0.0.1", 0), Echo) as echo:
        threading.Thread(target=echo.serve_forever, daemon=True).start()
        yield echo.server_address[1]
        echo.shutdown()


class World:
    """The places that a case names."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.port = port
        self.taken = socket.create_server(("127.0.0.1", 0))
        self.echo = SocketEcho(str(folder / "echo"), Echo)
        threading.Thread(target=self.echo.serve_forever, daemon=True).start()

    def target(self, name: str) -> Any:
        return {
            "port": ("127.0.0.1", self.port),
            "socket": self.folder / "echo",
            "closed": ("127.0.0.1", 1),
        }[name]

    def listen(self, name: str) -> Any:
        return {
            "port": 0,
            "socket": self.folder / "listen",
            "taken": ("127.0.0.1", self.taken.getsockname()[1]),
        }[name]

    def close(self) -> None:
        self.echo.shutdown()
        self.echo.server_close()
        self.taken.close()


@pytest.fixture
def world(tmp_path: Path, port: int) -> Iterator[World]:
    one = World(tmp_path, port)
    yield one
    one.close()


def call(listen: str, port: Optional[int], say: str, socks: Optional[int] = None) -> bytes:
    """What comes back from there."""
    if port is None:
        caller = socket.socket(socket.AF_UNIX)
        caller.connect(listen)
    else:
        caller = socket.create_connection(("127.0.0.1", port))
    with caller:
        caller.settimeout(fixture.PATIENCE)
        skip = 0
        if socks is not None:
            name = b"localhost\0"
            caller.sendall(b"\x04\x01" + struct.pack(">H", socks) + b"\0\0\0\1\0" + name)
            skip = 8
        heard = b""
        try:
            caller.sendall(say.encode())
            caller.shutdown(socket.SHUT_WR)
            while piece := caller.recv(65536):
                heard += piece
        except OSError:
            pass
        return heard[skip:]


def judged(case: dict[str, Any], heard: bytes, failed: int) -> None:
    expect = case["expect"]
    assert heard.decode() == expect.get("heard", "")
    assert failed == expect.get("failed", 0)


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_case(case: dict[str, Any], session: rmux.Session, world: World) -> None:
    assert set(case) <= {"name", "way", "at", "to", "say", "expect"}
    way, say, expect = case["way"], case.get("say", ""), case["expect"]
    if "error" in expect:
        with pytest.raises(rmux.Error) as caught:
            run(case, session, world, say)
        assert caught.value.kind == expect["error"]
        return
    heard, failed = run(case, session, world, say)
    judged(case, heard, failed)
    assert way in {"connect", "listen", "local", "remote", "dynamic", "remote-dynamic"}


def run(case: dict[str, Any], session: rmux.Session, world: World, say: str) -> tuple[bytes, int]:
    way = case["way"]
    if way == "connect":
        target = world.target(case["to"])
        made = (
            session.connect_unix(target)
            if isinstance(target, Path)
            else session.connect_tcp(*target)
        )
        with made as stream:
            stream.sendall(say.encode())
            stream.shutdown()
            return stream.makefile("rb").read(), 0
    if way == "listen":
        with session.listen(world.listen(case["at"])) as listener:
            answered = threading.Thread(target=answer, args=(listener,))
            answered.start()
            heard = call(listener.listen, listener.port, say)
            answered.join(fixture.PATIENCE)
            return heard, 0
    listen = world.listen(case["at"])
    if way == "dynamic":
        forward = session.forward_dynamic(listen)
    elif way == "remote-dynamic":
        forward = session.forward_remote(None, listen)
    elif way == "local":
        forward = session.forward_local(world.target(case["to"]), listen)
    else:
        forward = session.forward_remote(world.target(case["to"]), listen)
    with forward:
        socks = world.port if way.endswith("dynamic") else None
        heard = call(forward.listen, forward.port, say, socks)
        eventually(lambda: forward.stats().open == 0)
        wanted = case["expect"].get("failed", 0)
        eventually(lambda: forward.stats().failed == wanted)
        return heard, forward.stats().failed


def answer(listener: rmux.RemoteListener) -> None:
    stream, _ = listener.accept(fixture.PATIENCE)
    with stream:
        heard = stream.makefile("rb").read()
        stream.sendall(heard.upper())


def test_there_are_cases() -> None:
    assert len(CASES) > 10


def test_figures_and_the_list(session: rmux.Session, port: int) -> None:
    with session.forward_local(("127.0.0.1", port)) as forward:
        assert call(forward.listen, forward.port, "hello") == b"HELLO"
        eventually(lambda: forward.stats().open == 0)
        stats = forward.stats()
        assert (stats.total, stats.bytes_sent, stats.bytes_received) == (1, 5, 5)
        assert stats.kind == "local" and stats.listening and stats.target == f"127.0.0.1:{port}"
        assert [one.listen for one in session.forwards()] == [forward.listen]
        with socket.create_connection(("127.0.0.1", forward.port)) as caller:
            eventually(lambda: forward.stats().open == 1)
            [open] = forward.stats().connections
            assert open.from_address == "{}:{}".format(*caller.getsockname())
            forward.cut()
            assert is_cut(caller)
    eventually(lambda: session.forwards() == [])
    assert forward.wait_closed(fixture.PATIENCE) is None


def is_cut(caller: socket.socket) -> bool:
    caller.settimeout(fixture.PATIENCE)
    try:
        return caller.recv(1) == b""
    except ConnectionError:
        return True


def test_http_over_a_stream(session: rmux.Session) -> None:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "5")
            self.end_headers()
            self.wfile.write(b"hello")

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as web:
        threading.Thread(target=web.serve_forever, daemon=True).start()
        connection = http.client.HTTPConnection("web.internal")
        connection.sock = session.connect_tcp("127.0.0.1", web.server_port)
        for _ in range(2):
            connection.request("GET", "/")
            assert connection.getresponse().read() == b"hello"
        connection.close()
        web.shutdown()


def test_a_listener_that_is_closed_lets_who_waits_go(session: rmux.Session) -> None:
    listener = session.listen()
    ended: list[list[Any]] = []
    waiting = threading.Thread(target=lambda: ended.append(list(listener)))
    waiting.start()
    with pytest.raises(rmux.TimedOut):
        session.listen().accept(0.05)
    listener.close()
    waiting.join(fixture.PATIENCE)
    assert ended == [[]]
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", listener.port))


def test_a_forward_that_is_let_go_of_warns(session: rmux.Session) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        session.forward_dynamic()
        gc.collect()
    assert any("unclosed <rmux.Forward" in str(one.message) for one in caught)


def test_endpoints_that_are_none(session: rmux.Session) -> None:
    for wrong in (-1, 65536, "nowhere", "::1:80"):
        with pytest.raises(rmux.InvalidInput):
            session.forward_local(wrong)


def test_aio(server: fixture.Server, port: int) -> None:
    async def main() -> None:
        async with rmux.aio.connect(server.host, **server.settings) as session:
            reader, writer = await session.connect_tcp("127.0.0.1", port)
            await writer.write(b"hello")
            writer.close()
            assert await reader.read() == b"HELLO"
            with pytest.raises(rmux.ChannelRefused):
                await session.connect_tcp("127.0.0.1", 1)
            async with await session.forward_local(("127.0.0.1", port)) as forward:
                assert forward.port
                near, far = await asyncio.open_connection("127.0.0.1", forward.port)
                far.write(b"near")
                far.write_eof()
                assert await near.read() == b"NEAR"
                far.close()
                assert len(session.forwards()) == 1
            async with await session.listen() as listener:
                assert listener.port
                near, far = await asyncio.open_connection("127.0.0.1", listener.port)
                (reader, writer), made_by = await listener.accept()
                assert made_by is not None and made_by[0] == "127.0.0.1"
                far.write(b"listened")
                far.write_eof()
                await writer.write((await reader.read()).upper())
                writer.close()
                assert await near.read() == b"LISTENED"
                far.close()
            async for _ in listener:
                pytest.fail("it is closed")

    asyncio.run(main())
