"""The example programs work as they are, with the server's settings in place of the user's."""

from __future__ import annotations

import json
import subprocess
import sys

import fixture
import pytest

FOLDER = fixture.REPOSITORY / "examples" / "python"

WITH_SETTINGS = """
import functools, json, runpy, sys
import rmux
settings = json.loads(sys.argv.pop(1))
rmux.connect = functools.partial(rmux.connect, **settings)
rmux.aio.connect = functools.partial(rmux.aio.connect, **settings)
sys.argv.pop(0)
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture
def run(server: fixture.Server):  # type: ignore[no-untyped-def]
    def run(name: str, *args: str, **changes: object) -> subprocess.CompletedProcess[str]:
        settings = json.dumps(server.settings_with(**changes))  # type: ignore[arg-type]
        return subprocess.run(
            [sys.executable, "-c", WITH_SETTINGS, settings, str(FOLDER / name), *args],
            capture_output=True,
            text=True,
            timeout=120,
        )

    return run


def test_run_commands(run) -> None:  # type: ignore[no-untyped-def]
    done = run("run_commands.py", "127.0.0.1")
    assert (done.returncode, done.stderr) == (0, ""), done
    assert "HELLO\nfrom rmux\n" in done.stdout and "their sum is 10100" in done.stdout
    assert "as it should be: run: 127.0.0.1: exit status 1" in done.stdout
    failed = run("run_commands.py", "127.0.0.1", port=fixture.free_port())
    assert failed.returncode == 1 and failed.stderr.startswith("rmux: connect: 127.0.0.1: ")
    assert run("run_commands.py").returncode == 1


def test_stream_command(run) -> None:  # type: ignore[no-untyped-def]
    done = run("stream_command.py", "127.0.0.1", "seq 3", "60")
    lines = [f"127.0.0.1: {n}" for n in (1, 2, 3)]
    assert done.stdout.splitlines() == [*lines, "it ended with 0"], done
    done = run("stream_command.py", "127.0.0.1", "while sleep 0.1; do echo on; done", "3")
    assert done.stdout.startswith("127.0.0.1: on\n"), done
    assert done.stdout.endswith("stopped after 3 s\n") and done.returncode == 0
