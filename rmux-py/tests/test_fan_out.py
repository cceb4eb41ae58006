"""One command on many hosts: failures, limits, and that nothing is left running."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from pathlib import Path
from typing import Any

import fixture
import pytest

import rmux


def hosts(server: fixture.Server, folder: Path, *names: str, more: str = "") -> dict[str, Any]:
    """The settings of a pool that knows one server by these names."""
    config = folder / "config"
    apart = "".join(f"Host {name}\n SetEnv RMUX_NAME={name}\n" for name in names)
    blocks = fixture.host_blocks([(name, server) for name in names])
    config.write_text(more + apart + blocks)
    return {"config_file": config}


def test_results_say_what_came_of_each(server: fixture.Server, tmp_path: Path) -> None:
    down = "Host down\n ProxyCommand false\n"
    settings = hosts(server, tmp_path, "one", "down", more=down)
    results = list(rmux.run_many(["one", "down"], ["echo", "a  b"], text=True, **settings))
    one, failed = results
    assert (one.index, one.host, one.ok, one.error) == (0, "one", True, None)
    assert one.check().stdout == "a  b\n" and one.check().host == "one"
    assert not failed.ok and isinstance(failed.error, rmux.ConnectFailed)
    with pytest.raises(rmux.ConnectFailed):
        failed.check()
    (status,) = rmux.run_many(["one"], "echo no >&2; exit 3", **settings)
    assert status.completed is not None and status.completed.stderr == b"no\n"
    with pytest.raises(rmux.CalledProcessError, match="exit status 3: no"):
        status.check()
    with pytest.raises(TypeError):
        rmux.run_many("one", "true", **settings)
    with pytest.raises(rmux.InvalidInput):
        rmux.run_many(["one"], [], **settings)


def test_a_hundred_times_the_same_host(server: fixture.Server) -> None:
    # Fewer at a time than the server takes on one connection.
    before = server.accepted
    with rmux.Pool(**server.settings) as pool:
        results = list(pool.run_many([server.host] * 100, "echo up", limit=6, text=True))
    assert [result.check().stdout for result in results] == ["up\n"] * 100
    assert server.accepted - before == 1


def test_leaving_the_block_ends_all(server: fixture.Server, tmp_path: Path) -> None:
    mark = fixture.Mark()
    line = f"exec sleep {mark.seconds}"
    with rmux.Pool(**hosts(server, tmp_path, "one", "two")) as pool:
        with pool.run_many(["one", "two"], line, timeout=60) as results:
            waiting = threading.Thread(target=lambda: next(results, None))
            waiting.start()
            fixture.eventually(lambda: mark.runs, "it runs")
        # Who waited for a result is told.
        waiting.join(30)
        assert not waiting.is_alive()
        fixture.eventually(lambda: not mark.runs, "nothing runs any more")
        assert list(results) == []


def test_ctrl_c_ends_all(server: fixture.Server, tmp_path: Path) -> None:
    mark = fixture.Mark()

    def interrupt() -> None:
        fixture.eventually(lambda: mark.runs, "it runs")
        os.kill(os.getpid(), signal.SIGINT)

    with rmux.Pool(**hosts(server, tmp_path, "one", "two")) as pool:
        threading.Thread(target=interrupt).start()
        with pytest.raises(KeyboardInterrupt):
            list(pool.run_many(["one", "two"], mark.sleep))
        fixture.eventually(lambda: not mark.runs, "nothing runs any more")


def test_the_first_failure_ends_the_rest(server: fixture.Server, tmp_path: Path) -> None:
    mark = fixture.Mark()
    down = "Host down\n ProxyCommand sleep 2\n"
    settings = hosts(server, tmp_path, "one", "down", "never", more=down)
    names = ["one", "down", "never"]
    results = list(rmux.run_many(names, mark.sleep, limit=2, fail_fast=True, **settings))
    kinds = [result.error and result.error.kind for result in results]
    assert kinds == ["CANCELLED", "CONNECT_FAILED", "CANCELLED"]
    fixture.eventually(lambda: not mark.runs, "nothing runs any more")


def test_callbacks_answer_while_results_are_waited_for(
    questioner: fixture.Server,
) -> None:
    asked: list[str] = []

    def password(prompt: rmux.PasswordPrompt) -> str:
        asked.append(prompt.host)
        return "open sesame"

    settings = questioner.settings_with(password=password, identity_files=[os.devnull])
    settings["options"] = {**settings["options"], "PreferredAuthentications": "password"}
    with rmux.Pool(**settings) as pool:
        (result,) = pool.run_many([questioner.host], "echo in", text=True)
        assert result.check().stdout == "in\n"
    assert asked == [questioner.host]


async def test_aio_cancelling_and_leaving(server: fixture.Server, tmp_path: Path) -> None:
    mark = fixture.Mark()
    async with rmux.aio.Pool(**hosts(server, tmp_path, "one", "two")) as pool:
        async with pool.run_many(["one", "two"], mark.sleep) as results:
            waiting = asyncio.ensure_future(anext(results))
            await asyncio.to_thread(fixture.eventually, lambda: mark.runs, "it runs")
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            # Nothing else ended by that.
            assert mark.runs
        await asyncio.to_thread(
            fixture.eventually, lambda: not mark.runs, "nothing runs any more"
        )
        assert [one async for one in results] == []
        told = [
            (one.host, one.check().stdout)
            async for one in pool.run_many(["two", "one"], "echo up", text=True)
        ]
    assert told == [("two", "up\n"), ("one", "up\n")]
