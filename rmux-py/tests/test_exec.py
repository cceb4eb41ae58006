"""What a command is: its output is its own, and it runs on its host or nowhere."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import fixture
import pytest

import rmux
from rmux import aio

NOISY = 'ForceCommand echo noise; exec sh -c "$SSH_ORIGINAL_COMMAND"'


def test_verbatim_is_all_that_comes() -> None:
    with fixture.server("--option", NOISY) as server:
        with rmux.connect(server.host, **server.settings) as session:
            assert session.run("echo out").stdout == b"out\n"
            assert session.run("echo out", verbatim=True).stdout == b"noise\nout\n"
            for verbatim, expected in ((False, b"out\n"), (True, b"noise\nout\n")):
                with session.popen(["echo", "out"], verbatim=verbatim) as child:
                    assert child.communicate()[0] == expected

        async def awaited() -> None:
            async with aio.connect(server.host, **server.settings) as session:
                done = await session.run("echo out", verbatim=True)
                assert done.stdout == b"noise\nout\n"
                async with session.popen("echo out", verbatim=True) as child:
                    assert (await child.communicate())[0] == b"noise\nout\n"
                assert (await session.run("echo out")).stdout == b"out\n"

        asyncio.run(awaited())


def test_variables_of_a_session_are_those_of_each_command(server: fixture.Server) -> None:
    env = {"RMUX_MARK": "a b", "RMUX_OTHER": "x"}
    with rmux.connect(server.host, env=env, **server.settings) as session:
        assert session.run(["printenv", "RMUX_MARK"]).stdout == b"a b\n"
        done = session.run("echo $RMUX_MARK $RMUX_OTHER", env={"RMUX_OTHER": "y"})
        assert done.stdout == b"a b y\n"

    async def awaited() -> None:
        async with aio.connect(server.host, env=env, **server.settings) as session:
            assert (await session.run(["printenv", "RMUX_MARK"])).stdout == b"a b\n"
        async with aio.Pool(env=env, **server.settings) as pool:
            async with pool.session(server.host) as session:
                assert (await session.run(["printenv", "RMUX_MARK"])).stdout == b"a b\n"

    asyncio.run(awaited())
    with rmux.Pool(env=env, **server.settings) as pool, pool.session(server.host) as session:
        assert session.run(["printenv", "RMUX_MARK"]).stdout == b"a b\n"


def test_nothing_is_run_here_where_there_is_no_session(
    server: fixture.Server, tmp_path: Path
) -> None:
    mark = tmp_path / "mark"
    changes: list[tuple[str, dict[str, Any], type[Exception]]] = [
        ("no-such-host.invalid", {}, rmux.ConnectFailed),
        (server.host, {"port": fixture.free_port()}, rmux.ConnectFailed),
        (server.host, {"identity_files": server.about["stranger_key"]}, rmux.AuthFailed),
    ]
    for host, change, error in changes:
        settings = server.settings_with(**change)
        with pytest.raises(error), rmux.connect(host, **settings) as session:
            session.run(["touch", str(mark)])

        async def awaited(host: str, settings: dict[str, Any]) -> None:
            async with aio.connect(host, **settings) as session:
                await session.run(["touch", str(mark)])

        with pytest.raises(error):
            asyncio.run(awaited(host, settings))
    assert not mark.exists()


def test_nothing_is_run_here_where_the_session_is_gone(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    touch: list[Any] = [["touch", str(mark)], f"touch {mark}"]
    with fixture.server() as server:

        def lose() -> None:
            server.tell("kill-connections")

        for ends, error in ((None, rmux.Closed), (lose, rmux.Disconnected)):
            session = rmux.connect(server.host, **server.settings)
            session.close() if ends is None else ends()
            session.wait_closed(fixture.PATIENCE)
            for words in touch:
                with pytest.raises(error):
                    session.run(words)
                with pytest.raises(error):
                    session.popen(words)

            async def awaited(lost: bool, error: type[Exception]) -> None:
                session = await aio.connect(server.host, **server.settings)
                if lost:
                    lose()
                else:
                    await session.close()
                await session.wait_closed()
                for words in touch:
                    with pytest.raises(error):
                        await session.run(words)

            asyncio.run(awaited(ends is not None, error))
        assert not mark.exists()
        # The command is one that would have left it.
        with rmux.connect(server.host, **server.settings) as session:
            session.run(touch[0], check=True)
        assert mark.exists()
