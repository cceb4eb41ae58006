"""The example programs work as they are, with the server's settings in place of the user's."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import fixture
import pytest

FOLDER = fixture.REPOSITORY / "examples" / "python"

WITH_SETTINGS = """
import functools, json, runpy, sys
import rmux
settings = json.loads(sys.argv.pop(1))
rmux.connect = functools.partial(rmux.connect, **settings)
rmux.aio.connect = functools.partial(rmux.aio.connect, **settings)
given = {key: settings[key] for key in ("config_file", "options")}
rmux.aio.resolve = functools.partial(rmux.aio.resolve, **given)
rmux.aio.Pool = functools.partial(rmux.aio.Pool, config_file=settings["config_file"])
sys.argv.pop(0)
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture
def run(server: fixture.Server):  # type: ignore[no-untyped-def]
    def run(
        name: str, *args: str, reads: str = "", **changes: object
    ) -> subprocess.CompletedProcess[str]:
        settings = json.dumps(server.settings_with(**changes))  # type: ignore[arg-type]
        return subprocess.run(
            [sys.executable, "-c", WITH_SETTINGS, settings, str(FOLDER / name), *args],
            input=reads,
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


def test_agent(run) -> None:  # type: ignore[no-untyped-def]
    lines = "cd /usr; export STAGE=test\n[[ $STAGE == t* ]] && pwd; exit 3\nyes | head -n 3000\n"
    done = run("agent.py", "127.0.0.1", reads=lines)
    assert (done.returncode, done.stderr) == (0, ""), done
    told = done.stdout.splitlines()
    assert told[:2] == ["$ cd /usr; export STAGE=test", "[0 in /usr]"], done
    assert told[3:5] == ["/usr", "[3 in /usr]"], done
    assert told[-3:] == ["(2000 bytes more)", "[0 in /usr]", "changed: PAGER, STAGE, TERM"], done


def test_stream_command(run) -> None:  # type: ignore[no-untyped-def]
    done = run("stream_command.py", "127.0.0.1", "seq 3", "60")
    lines = [f"127.0.0.1: {n}" for n in (1, 2, 3)]
    assert done.stdout.splitlines() == [*lines, "it ended with 0"], done
    done = run("stream_command.py", "127.0.0.1", "while sleep 0.1; do echo on; done", "3")
    assert done.stdout.startswith("127.0.0.1: on\n"), done
    assert done.stdout.endswith("stopped after 3 s\n") and done.returncode == 0


def test_show_settings(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    config = tmp_path / "config"
    config.write_text(
        "Host dev\n  HostName dev.example.com\n  User me\n  IdentityFile /a\n  IdentityFile /b\n"
        "  ProxyJump gate\nHost *\n  User you\n  IdentityFile /c\n  LocalForward 1 h:2\n"
    )
    done = run("show_settings.py", "dev", "::1", config_file=str(config))
    assert done.stdout.splitlines() == [
        "dev: me@dev.example.com port 22, gate",
        *("  key /a", "  key /b", "  key /c", "  forward 1 [h]:2"),
        "::1: you@::1 port 22, directly",
        *("  key /c", "  forward 1 [h]:2"),
    ], done
    config.write_text("Prot 22\n")
    failed = run("show_settings.py", "dev", config_file=str(config))
    assert failed.returncode == 1
    assert failed.stderr.startswith(f"rmux: resolve: dev: {config} line 1: "), failed


def test_many_hosts(run, server: fixture.Server, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    config = tmp_path / "config"
    with fixture.server() as behind:
        hosts = [("gate", server), ("one", behind), ("uno", behind), ("closed", behind)]
        config.write_text(
            f"Host one uno\n ProxyJump gate\nHost closed\n Port {fixture.free_port()}\n"
            + fixture.host_blocks(hosts)
        )
        before = server.accepted
        done = run("many_hosts.py", "echo up", "one", "uno", "closed", config_file=str(config))
        assert (done.returncode, done.stderr) == (0, ""), done
        one, uno, closed, count = done.stdout.splitlines()
        assert (one, uno, count) == ("one: up", "uno: up", "2 connections"), done
        assert closed.startswith("closed: failed: connect: closed: "), done
        assert (server.accepted - before, behind.accepted) == (1, 1)


def test_edit_files(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "sub").mkdir()
    for name, text in (
        ("a.conf", "x\nport = 1\n"),
        ("sub/b.conf", "port = 1 port = 1"),
        ("c", "port"),
    ):
        (tmp_path / name).write_text(text)
    done = run("edit_files.py", "127.0.0.1", str(tmp_path), "*.conf", "port = 1", "port = 2")
    assert (done.returncode, done.stderr) == (0, ""), done
    lines = sorted(done.stdout.splitlines())
    assert lines[:3] == [
        f"{tmp_path}/a.conf: line 2",
        f"{tmp_path}/a.conf: replaced",
        f"{tmp_path}/sub/b.conf: line 1",
    ], done
    assert (
        lines[3].startswith("left alone: replace text: 127.0.0.1: ")
        and "more than once" in lines[3]
    )
    assert (tmp_path / "a.conf").read_text() == "x\nport = 2\n"
    assert (tmp_path / "sub" / "b.conf").read_text() == "port = 1 port = 1"


def test_copy_tree(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    source = tmp_path / "from"
    (source / ".git").mkdir(parents=True)
    for name in ("a", "b.tmp", ".git/c"):
        (source / name).write_text("text")
    there, back = tmp_path / "there", tmp_path / "back"
    done = run("copy_tree.py", "put", "127.0.0.1", str(source), str(there))
    assert (done.returncode, done.stderr) == (0, ""), done
    assert done.stdout.endswith("1 of 1 files, 4 bytes\n1 files copied, 0 left out\n"), done
    assert [path.name for path in there.iterdir()] == ["a"]
    again = run("copy_tree.py", "put", "127.0.0.1", str(source), str(there))
    assert again.stdout.endswith("0 files copied, 1 left out\n"), again
    (back / "a").mkdir(parents=True)
    failed = run("copy_tree.py", "get", "127.0.0.1", str(there), str(back))
    assert failed.returncode == 1 and failed.stderr.startswith(f"{there}/a: "), failed
