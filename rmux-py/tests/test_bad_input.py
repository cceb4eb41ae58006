"""Everything that can be wrong with a connection: one clear line, the right class, in time, and
nothing left behind."""

from __future__ import annotations

import asyncio
import socket
import time
from pathlib import Path
from typing import Any

import fixture
import pytest

import rmux


def refused(
    kind: type[rmux.Error], settings: dict[str, Any], host: str = "127.0.0.1", within: float = 20
) -> rmux.Error:
    """Connects in both twins, which must fail alike."""
    # The first use starts threads and the like, which stay.
    before = fixture.descriptors()
    start = time.monotonic()
    with pytest.raises(rmux.Error) as caught:
        rmux.connect(host, **settings)
    error = caught.value
    assert time.monotonic() - start < within
    assert type(error) is kind, repr(error)
    assert "\n" not in str(error) and host in str(error), str(error)
    assert error.kind == kind.kind and error.operation

    async def again() -> None:
        await rmux.aio.connect(host, **settings)

    with pytest.raises(kind) as caught_again:
        asyncio.run(again())
    assert caught_again.value.kind == error.kind
    fixture.eventually(lambda: fixture.descriptors() <= before, "no descriptor is left")
    return error


@pytest.fixture(autouse=True)
def _used(session: rmux.Session) -> None:
    """The runtime runs, and a session of its own is open."""
    session.run(["true"])


def test_an_unknown_host(server: fixture.Server) -> None:
    error = refused(rmux.ConnectFailed, server.settings, host="no-such-host.invalid", within=40)
    assert isinstance(error, ConnectionError)


def test_a_port_that_refuses(server: fixture.Server) -> None:
    error = refused(rmux.ConnectFailed, server.settings_with(port=fixture.free_port()))
    assert isinstance(error, ConnectionError)


def test_a_silent_server(server: fixture.Server) -> None:
    connections: list[socket.socket] = []
    with fixture.listener(connections.append) as port:
        start = time.monotonic()
        settings = server.settings_with(port=port, connect_timeout=1)
        with pytest.raises(rmux.TimedOut, match=r"127\.0\.0\.1") as caught:
            rmux.connect("127.0.0.1", **settings)
        assert isinstance(caught.value, TimeoutError)
        assert 0.9 < time.monotonic() - start < 10
        # Our end is closed: the other one reads its end.
        connections[0].settimeout(fixture.PATIENCE)
        while connections[0].recv(1000):
            pass


def test_what_is_no_ssh_server(server: fixture.Server) -> None:
    def greet(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
        connection.close()

    with fixture.listener(greet) as port:
        with pytest.raises(rmux.Error, match=r"127\.0\.0\.1") as caught:
            rmux.connect("127.0.0.1", **server.settings_with(port=port, connect_timeout=5))
        assert type(caught.value) in (rmux.ConnectFailed, rmux.ProtocolViolation)


def test_a_wrong_key(server: fixture.Server) -> None:
    settings = server.settings_with(identity_files=server.about["stranger_key"])
    assert isinstance(refused(rmux.AuthFailed, settings), PermissionError)


def test_a_missing_identity_file(server: fixture.Server) -> None:
    error = refused(rmux.AuthFailed, server.settings_with(identity_files="/no/such/key"))
    assert "/no/such/key" in str(error)


def test_a_wrong_passphrase(questioner: fixture.Server) -> None:
    settings = questioner.settings_with(
        identity_files=questioner.about["client_key_encrypted"], passphrase="wrong"
    )
    settings["options"]["PreferredAuthentications"] = "publickey"
    assert "wrong" not in str(refused(rmux.AuthFailed, settings)).split("passphrase")[0]


def test_an_unknown_and_a_changed_host_key(server: fixture.Server, tmp_path: Path) -> None:
    known = tmp_path / "known_hosts"
    known.write_text("")
    options = {"UserKnownHostsFile": str(known)}
    for policy in ("strict", "ask", lambda prompt: False):
        error = refused(rmux.HostKeyUnknown, server.settings_with(options, host_key_policy=policy))
        assert "SHA256:" in str(error)
    assert known.read_text() == ""
    key = "AAAAC3NzaC1lZDI1NTE5AAAAIFIVnjD5u7ehWkPvblVwWu8Hc2I1wrlNuLLDvNb/ysMe"
    known.write_text(f"[127.0.0.1]:{server.port} ssh-ed25519 {key}\n")
    for policy in ("strict", "accept-new", lambda prompt: True):
        changed = server.settings_with(options, host_key_policy=policy)
        assert isinstance(refused(rmux.HostKeyChanged, changed), rmux.HostKeyError)
    _, _, public = server.about["host_public_key"].partition(" ")
    known.write_text(f"@revoked * ssh-ed25519 {public.split()[0]}\n")
    refused(rmux.HostKeyRevoked, server.settings_with(options))


def test_settings_that_are_wrong(server: fixture.Server) -> None:
    wrong: list[dict[str, Any]] = [
        {"port": 0},
        {"port": 65536},
        {"port": -1},
        {"options": {"NoSuchOption": "x"}},
        {"options": {"Port": "many"}},
        {"options": {"Port": 1.5}},
        {"host_key_policy": "whatever"},
        {"host_key_policy": "strict", "danger_accept_any_host_key": True},
        {"connect_timeout": 0},
        {"connect_timeout": -1},
        {"connect_timeout": float("nan")},
    ]
    for changes in wrong:
        error = refused(rmux.ConfigInvalid, server.settings_with(**changes))
        assert isinstance(error, ValueError), changes
    for host in ("", "-oProxyCommand=touch", "a b", "ssh://h:0"):
        with pytest.raises(rmux.ConfigInvalid):
            rmux.connect(host, **server.settings)
    with pytest.raises(rmux.Error, match="no_config_here"):
        rmux.connect("127.0.0.1", **server.settings_with(config_file="/no_config_here"))


def test_a_server_that_dies_mid_output() -> None:
    with fixture.server() as dying:
        told: list[rmux.SessionEvent] = []
        session = rmux.connect(dying.host, **dying.settings, on_event=told.append)
        before = fixture.descriptors()
        child = session.popen(["yes"])
        other = session.popen(["sleep", "60"])
        assert child.stdout and child.stdout.read(2) == b"y\n"
        dying.tell("kill")
        start = time.monotonic()
        with pytest.raises(rmux.Disconnected, match=r"127\.0\.0\.1") as caught:
            while child.stdout.read(1 << 20):
                pass
        assert isinstance(caught.value, ConnectionError)
        for call in (
            lambda: session.run(["true"]),
            lambda: session.popen(["true"]),
            child.wait,
            other.wait,
        ):
            with pytest.raises(rmux.Disconnected, match=r"127\.0\.0\.1"):
                call()
        assert isinstance(session.wait_closed(fixture.PATIENCE), rmux.Disconnected)
        assert session.closed and time.monotonic() - start < 10
        session.close()
        fixture.eventually(lambda: fixture.descriptors() < before, "the socket is closed")
        fixture.eventually(lambda: told[-1].name == "lost", "the loss is told")
        assert isinstance(told[-1].reason, rmux.Disconnected)


async def test_everything_settles_when_the_server_dies() -> None:
    with fixture.server() as dying:
        async with rmux.aio.connect(dying.host, **dying.settings) as session:
            child = await session.popen(["cat"])
            assert child.stdout
            waiting = [
                asyncio.ensure_future(each)
                for each in (session.run(["sleep", "60"]), child.wait(), child.stdout.readline())
            ]
            closed = asyncio.ensure_future(session.wait_closed())
            await asyncio.sleep(0.5)
            dying.tell("kill")
            done, pending = await asyncio.wait(waiting, timeout=10)
            assert not pending
            assert all(isinstance(task.exception(), rmux.Disconnected) for task in done)
            assert isinstance(await closed, rmux.Disconnected)


def test_nothing_is_left_on_the_server() -> None:
    with fixture.server() as lonely:
        for _ in range(3):
            with pytest.raises(rmux.AuthFailed):
                rmux.connect(
                    lonely.host, **lonely.settings_with(identity_files=lonely.about["stranger_key"])
                )
        fixture.eventually(lambda: lonely.tell("status")["connections"] == 0, "no connection")
