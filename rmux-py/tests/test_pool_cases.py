"""The cases of a pool that every language runs: rmux-testkit/cases/pool.json."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import fixture
import pytest

import rmux

FOLDER = fixture.REPOSITORY / "rmux-testkit" / "cases"
FILES = [json.loads(path.read_text("utf-8")) for path in sorted(FOLDER.glob("*.json"))]
CASES: list[dict[str, Any]] = [
    case for file in FILES if file.get("kind") == "pool" for case in file["cases"]
]

LIMITS = ("max_connections", "max_connections_per_host")

Servers = dict[str, fixture.Server]


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    with fixture.server() as a, fixture.server() as b, fixture.server() as c:
        yield {"a": a, "b": b, "c": c}


@pytest.fixture(params=CASES, ids=[case["name"] for case in CASES])
def case(request: pytest.FixtureRequest) -> dict[str, Any]:
    one: dict[str, Any] = request.param
    assert set(one) == {"name", "request", "expect"}
    assert set(one["request"]) <= {"hosts", "config", "linger", "rounds", *LIMITS}
    return one


def settings(case: dict[str, Any], servers: Servers, folder: Path) -> dict[str, Any]:
    """The pool's."""
    config = folder / "config"
    hosts = [(host, servers[name]) for host, name in case["request"]["hosts"].items()]
    config.write_text(case["request"].get("config", "") + fixture.host_blocks(hosts))
    limits = {name: case["request"].get(name) for name in LIMITS}
    return {"config_file": config, "linger": case["request"].get("linger", 0) / 1000, **limits}


def accepted(servers: Servers) -> dict[str, int]:
    return {name: server.accepted for name, server in servers.items()}


def judge(case: dict[str, Any], results: list[Any]) -> None:
    """Each result is a session's output, or an error."""
    for result in results:
        if "error" in case["expect"]:
            assert isinstance(result, rmux.Error) and result.kind == case["expect"]["error"]
        else:
            assert result == b"in\n"


def compare(case: dict[str, Any], before: dict[str, int], after: dict[str, int]) -> None:
    if "accepted" in case["expect"]:
        counts = {name: after[name] - before[name] for name in after}
        assert counts == {**dict.fromkeys(counts, 0), **case["expect"]["accepted"]}


def figures_fit(case: dict[str, Any], stats: rmux.PoolStats) -> None:
    if "accepted" in case["expect"]:
        assert stats.commands_started == sum(map(len, case["request"]["rounds"]))
        assert stats.waiting_for_room == 0


def test_sync(case: dict[str, Any], servers: Servers, tmp_path: Path) -> None:
    before = accepted(servers)
    with rmux.Pool(**settings(case, servers, tmp_path)) as pool, ThreadPoolExecutor(8) as threads:
        for names in case["request"]["rounds"]:

            def ask(name: str) -> Any:
                try:
                    return pool.session(name)
                except rmux.Error as error:
                    return error

            def use(asked: Any) -> Any:
                return asked if isinstance(asked, rmux.Error) else asked.run(["echo", "in"]).stdout

            all_asked = list(threads.map(ask, names))
            judge(case, list(threads.map(use, all_asked)))
            for asked in all_asked:
                if isinstance(asked, rmux.Session):
                    asked.release()
        figures_fit(case, pool.stats())
    compare(case, before, accepted(servers))


async def test_aio(case: dict[str, Any], servers: Servers, tmp_path: Path) -> None:
    before = accepted(servers)
    async with rmux.aio.Pool(**settings(case, servers, tmp_path)) as pool:

        async def use(asked: Any) -> Any:
            if isinstance(asked, rmux.Error):
                return asked
            async with asked as session:
                return (await session.run(["echo", "in"])).stdout

        for names in case["request"]["rounds"]:
            asking = (asyncio.ensure_future(pool.session(name)) for name in names)
            all_asked = await asyncio.gather(*asking, return_exceptions=True)
            judge(case, await asyncio.gather(*map(use, all_asked)))
        figures_fit(case, pool.stats())
    compare(case, before, accepted(servers))


def test_there_are_cases() -> None:
    assert len(CASES) > 5
