"""The cases of a fan-out that every language runs: rmux-testkit/cases/fan-out.json."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fixture
import pytest

import rmux

FOLDER = fixture.REPOSITORY / "rmux-testkit" / "cases"
FILES = [json.loads(path.read_text("utf-8")) for path in sorted(FOLDER.glob("*.json"))]
CASES: list[dict[str, Any]] = [
    case for file in FILES if file.get("kind") == "fan-out" for case in file["cases"]
]

Servers = dict[str, fixture.Server]


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    with fixture.server() as a, fixture.server() as b, fixture.server() as c:
        yield {"a": a, "b": b, "c": c}


@pytest.fixture(params=CASES, ids=[case["name"] for case in CASES])
def case(request: pytest.FixtureRequest) -> dict[str, Any]:
    one: dict[str, Any] = request.param
    assert set(one) == {"name", "request", "expect"}
    assert set(one["expect"]) <= {"results", "accepted"}
    return one


def config(case: dict[str, Any], servers: Servers, folder: Path) -> Path:
    file = folder / "config"
    hosts = [(host, servers[name]) for host, name in case["request"]["hosts"].items()]
    file.write_text(case["request"].get("config", "") + fixture.host_blocks(hosts))
    return file


def keywords(case: dict[str, Any]) -> dict[str, Any]:
    """How to run it."""
    given = dict(case["request"])
    for known in ("hosts", "config"):
        given.pop(known, None)
    keywords = {"hosts": given.pop("run"), "args": given.pop("shell"), "text": True}
    keywords["input"] = given.pop("stdin", None)
    for time in ("timeout", "deadline"):
        if time in given:
            keywords[time] = given.pop(time) / 1000
    for name in ("limit", "ordered", "fail_fast", "max_output", "on_excess"):
        if name in given:
            keywords[name] = given.pop(name)
    assert not given
    return keywords


def judge(case: dict[str, Any], results: list[rmux.HostResult[str]]) -> None:
    if not case["request"].get("ordered", True):
        results.sort(key=lambda result: result.index)
    assert [result.index for result in results] == list(range(len(results)))
    assert [result.host for result in results] == case["request"]["run"]
    ends = []
    for result in results:
        if result.error is not None:
            assert result.completed is None
            kept = getattr(result.error, "stdout", None) or ""
            ends.append({"error": result.error.kind, "stdout": kept, "stdout_dropped": 0})
            continue
        done = result.check() if result.ok else result.completed
        assert done is not None
        kept = {"stdout": done.stdout, "stdout_dropped": done.stdout_dropped}
        ends.append({"code": done.returncode, **kept})
    nothing = {"stdout": "", "stdout_dropped": 0}
    wanted = [
        {**nothing, **one} if "error" in one else {"code": 0, **nothing, **one}
        for one in case["expect"]["results"]
    ]
    assert ends == wanted


def accepted(servers: Servers) -> dict[str, int]:
    return {name: server.accepted for name, server in servers.items()}


def compare(case: dict[str, Any], before: dict[str, int], after: dict[str, int]) -> None:
    if "accepted" in case["expect"]:
        counts = {name: after[name] - before[name] for name in after}
        assert counts == {**dict.fromkeys(counts, 0), **case["expect"]["accepted"]}


def test_sync(case: dict[str, Any], servers: Servers, tmp_path: Path) -> None:
    before = accepted(servers)
    with rmux.Pool(config_file=config(case, servers, tmp_path)) as pool:
        judge(case, list(pool.run_many(**keywords(case))))
    compare(case, before, accepted(servers))


async def test_aio(case: dict[str, Any], servers: Servers, tmp_path: Path) -> None:
    before = accepted(servers)
    async with rmux.aio.Pool(config_file=config(case, servers, tmp_path)) as pool:
        judge(case, [one async for one in pool.run_many(**keywords(case))])
    compare(case, before, accepted(servers))


def test_there_are_cases() -> None:
    assert len(CASES) > 5
