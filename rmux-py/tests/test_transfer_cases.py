"""The cases of transfers that every language runs: rmux-testkit/cases/transfers.json."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fixture
import pytest
from test_files_cases import FILES, Case, data, folder_of, found

import rmux

CASES: list[Case] = [
    case for file in FILES if file.get("kind") == "transfers" for case in file["cases"]
]
NAMES = ("include", "exclude", "links", "conflict", "update", "check")
FLAGS = ("recursive", "times", "modes", "resume", "checksum", "sync")


@pytest.fixture(params=CASES, ids=[case["name"] for case in CASES])
def case(request: pytest.FixtureRequest) -> Case:
    one: Case = request.param
    assert set(one) <= {"name", "tree", "request", "expect", "after"}
    assert set(one["request"]) <= {"do", "source", "target", *NAMES, *FLAGS}
    return one


def call(case: Case, session: Any, folder: bytes) -> Callable[[], Any]:
    """What does it."""
    asked = dict(case["request"])
    verb = getattr(session, asked.pop("do"))
    source, target = (os.path.join(folder, data(asked.pop(name))) for name in ("source", "target"))
    if case["request"]["do"] == "send":
        return lambda: verb(source, session, target, **asked)
    return lambda: verb(source, target, **asked)


def told(report: rmux.TransferReport, folder: bytes) -> Any:
    """A report as the case's ``expect`` has it."""
    prefix = os.fsdecode(folder) + "/"
    return {
        "files": report.files,
        "directories": report.directories,
        "bytes": report.bytes,
        "resumed_bytes": report.resumed_bytes,
        "skipped": sorted([one.path.removeprefix(prefix), one.reason] for one in report.skipped),
        "failures": sorted(
            [one.path.removeprefix(prefix), one.error.kind] for one in report.failures
        ),
    }


def expected(case: Case) -> Any:
    counts = dict.fromkeys(("files", "directories", "bytes", "resumed_bytes"), 0)
    wanted = case["expect"]
    return wanted if "error" in wanted else {**counts, "skipped": [], "failures": [], **wanted}


def test_sync(case: Case, shared: rmux.Session, tmp_path: Path) -> None:
    folder, after = folder_of(case, tmp_path)
    try:
        got = told(call(case, shared, folder)(), folder)
    except rmux.Error as error:
        got = {"error": error.kind}
    assert got == expected(case)
    assert found(folder, after) == after


async def test_aio(case: Case, aio_session: rmux.aio.Session, tmp_path: Path) -> None:
    folder, after = folder_of(case, tmp_path)
    try:
        got = told(await call(case, aio_session, folder)(), folder)
    except rmux.Error as error:
        got = {"error": error.kind}
    assert got == expected(case)
    assert found(folder, after) == after


@pytest.fixture(scope="module")
def shared(server: fixture.Server) -> Any:
    with rmux.connect(server.host, **server.settings) as one:
        yield one


def test_there_are_cases() -> None:
    assert len(CASES) > 50
