"""The cases of contexts that every language runs: rmux-testkit/cases/context.json."""

from __future__ import annotations

import base64
import json
from typing import Any, Optional

import fixture
import pytest

import rmux

FOLDER = fixture.REPOSITORY / "rmux-testkit" / "cases"
FILES = [json.loads(path.read_text("utf-8")) for path in sorted(FOLDER.glob("*.json"))]
CASES: list[dict[str, Any]] = [
    case for file in FILES if file.get("kind") == "context" for case in file["cases"]
]
STEP = {"argv", "shell", "stdin", "env", "cwd", "timeout", "code", "error", "stdout", "stderr"}


@pytest.fixture(params=CASES, ids=[case["name"] for case in CASES])
def case(request: pytest.FixtureRequest) -> dict[str, Any]:
    one: dict[str, Any] = request.param
    assert set(one) <= {"name", "request", "steps", "expect"}
    assert set(one.get("request", {})) <= {"interpreter", "cwd", "env"}
    assert set(one.get("expect", {})) <= {"cwd", "env"}
    for step in one["steps"]:
        assert set(step) <= STEP
    return one


def data(given: Any) -> bytes:
    """What the bytes of a case are."""
    if isinstance(given, str):
        return given.encode()
    if "base64" in given:
        return base64.b64decode(given["base64"])
    return (given["repeat"] * given["times"]).encode()


def call(step: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """How a step is run."""
    keywords = {name: step[name] for name in ("env", "cwd", "timeout") if name in step}
    if "stdin" in step:
        keywords["input"] = data(step["stdin"])
    return step.get("argv", step.get("shell")), keywords


def judge(
    step: dict[str, Any],
    done: Optional[rmux.CompletedProcess[bytes]],
    error: Optional[rmux.Error],
) -> None:
    assert (error and error.kind) == step.get("error"), step
    if done is None:
        return
    assert done.returncode == step.get("code", 0), (step, done)
    for wanted, got in ((step.get("stdout", ""), done.stdout), (step.get("stderr", ""), done.stderr)):
        if isinstance(wanted, dict) and "contains" in wanted:
            assert wanted["contains"] in got.decode(), (step, done)
        else:
            assert got == data(wanted), (step, done)


def left(case: dict[str, Any], context: Any) -> None:
    expect = case.get("expect", {})
    assert context.cwd == expect.get("cwd", context.cwd)
    assert context.env == expect.get("env", context.env)


def test_sync(case: dict[str, Any], server: fixture.Server) -> None:
    with rmux.connect(server.host, **server.settings) as session:
        context = session.context(**case.get("request", {}))
        for step in case["steps"]:
            args, keywords = call(step)
            try:
                judge(step, context.run(args, **keywords), None)
            except rmux.Error as error:
                judge(step, None, error)
        left(case, context)


async def test_aio(case: dict[str, Any], server: fixture.Server) -> None:
    async with rmux.aio.connect(server.host, **server.settings) as session:
        context = session.context(**case.get("request", {}))
        for step in case["steps"]:
            args, keywords = call(step)
            try:
                judge(step, await context.run(args, **keywords), None)
            except rmux.Error as error:
                judge(step, None, error)
        left(case, context)


def test_there_are_cases() -> None:
    assert len(CASES) > 15
