"""What the tests run against: real servers of their own, and processes they can look at."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]

#: How long anything that should happen at once may take on a busy machine, in seconds.
PATIENCE = 30.0


@lru_cache
def program(name: str) -> str:
    """A program of rmux-testkit: the one that the environment names, else it is built."""
    named = os.environ.get(name.upper().replace("-", "_"))
    if named:
        return named
    command = ["cargo", "build", "-p", "rmux-testkit", "--bins", "--message-format", "json"]
    built = subprocess.run(command, cwd=REPOSITORY, stdout=subprocess.PIPE, check=True)
    for line in built.stdout.splitlines():
        executable = json.loads(line).get("executable")
        if executable and Path(executable).stem == name:
            return str(executable)
    raise FileNotFoundError(f"cargo built no {name}")


class Server:
    """An SSH server. ``settings`` is what ``connect`` needs to know of it."""

    def __init__(self, *args: str) -> None:
        self._process = subprocess.Popen(
            [program("rmux-testd"), *args],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout
        self.about: dict[str, Any] = json.loads(self._process.stdout.readline())
        self.host: str = self.about["host"]
        self.port: int = self.about["port"]

    @property
    def settings(self) -> dict[str, Any]:
        return {
            "user": self.about["user"],
            "port": self.port,
            "identity_files": self.about["client_key"],
            "config_file": "none",
            "options": {
                "IdentityAgent": "none",
                "UserKnownHostsFile": self.about["known_hosts"],
                "GlobalKnownHostsFile": "none",
            },
        }

    def settings_with(
        self, options: dict[str, Any] | None = None, **changes: Any
    ) -> dict[str, Any]:
        """The settings with some changed; None leaves a setting out."""
        settings = {**self.settings, **changes}
        settings["options"] = {**self.settings["options"], **(options or {})}
        return {key: value for key, value in settings.items() if value is not None}

    def tell(self, command: str) -> dict[str, Any]:
        """Sends a command; `rmux-testd --help` lists them."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        assert "error" not in answer, answer
        return answer

    @property
    def accepted(self) -> int:
        """How many connections an sshd has accepted since its start."""
        return int(self.tell("status")["accepted"])

    @property
    def connections(self) -> int:
        """How many there are now."""
        return int(self.tell("status")["connections"])

    def stop(self) -> None:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.close()
        self._process.wait(PATIENCE)
        self._process.stdout.close()


@contextlib.contextmanager
def server(*args: str) -> Iterator[Server]:
    """A server for the time of a block."""
    one = Server(*args)
    try:
        yield one
    finally:
        one.stop()


class Agent:
    """An ssh-agent that holds nothing yet."""

    def __init__(self, folder: Path) -> None:
        self.socket = str(folder / "agent")
        # Given a command, the agent lives as long as it does.
        self._life = subprocess.Popen(
            ["ssh-agent", "-a", self.socket, "cat"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
        )
        eventually(lambda: os.path.exists(self.socket), "an agent (Debian: openssh-client)")

    @property
    def keys(self) -> list[str]:
        """The public keys it holds, each as type and base64."""
        environment = {**os.environ, "SSH_AUTH_SOCK": self.socket}
        listed = subprocess.run(["ssh-add", "-L"], env=environment, capture_output=True, text=True)
        assert listed.returncode in (0, 1), listed.stderr
        lines = listed.stdout.splitlines() if listed.returncode == 0 else []
        return [" ".join(line.split()[:2]) for line in lines]

    def stop(self) -> None:
        assert self._life.stdin
        self._life.stdin.close()
        self._life.wait(PATIENCE)


def public_key(file: str) -> str:
    """Type and base64 of a private key's public half."""
    return " ".join(Path(file + ".pub").read_text().split()[:2])


def fingerprint(file: str) -> str:
    """As ssh-keygen prints it."""
    listed = subprocess.run(
        ["ssh-keygen", "-l", "-f", file], stdout=subprocess.PIPE, text=True, check=True
    )
    return listed.stdout.split()[1]


def host_blocks(hosts: Iterable[tuple[str, Server]]) -> str:
    """Lines of an ``ssh_config`` that name servers, and nothing of the user's."""
    blocks = [
        f"Host {name}\n HostName 127.0.0.1\n Port {server.port}\n User {server.about['user']}\n"
        f" IdentityFile {server.about['client_key']}\n"
        f" UserKnownHostsFile {server.about['known_hosts']}\n"
        for name, server in hosts
    ]
    rest = ["GlobalKnownHostsFile none", "IdentityAgent none", "StrictHostKeyChecking yes"]
    return "".join(blocks) + "Host *\n" + "".join(f" {line}\n" for line in rest)


@contextlib.contextmanager
def listener(greet: Callable[[socket.socket], None]) -> Iterator[int]:
    """A port whose connections are given to ``greet`` and then kept open."""
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(socket.create_server(("127.0.0.1", 0)))

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listening.accept()
                    stack.enter_context(connection)
                    greet(connection)

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield listening.getsockname()[1]
        # Closing alone does not wake a thread that accepts.
        with contextlib.suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)
        thread.join(PATIENCE)


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


class Mark:
    """Something long that a command can wait in, and that is found among this machine's
    processes."""

    def __init__(self) -> None:
        self.seconds = f"300.{uuid.uuid4().int % 10**12:012d}"

    @property
    def sleep(self) -> list[str]:
        return ["sleep", self.seconds]

    @property
    def runs(self) -> bool:
        word = self.seconds.encode()
        for process in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                words = process.read_bytes().split(b"\0")
                if word in words and words[0].endswith(b"sleep"):
                    return True
        return False


def eventually(holds: Callable[[], object], what: str, limit: float = PATIENCE) -> None:
    """Waits until it holds."""
    end = time.monotonic() + limit
    while not holds():
        assert time.monotonic() < end, f"not within {limit} s: {what}"
        time.sleep(0.05)


def descriptors() -> int:
    """How many files and sockets this process has open."""
    return len(os.listdir("/proc/self/fd"))
