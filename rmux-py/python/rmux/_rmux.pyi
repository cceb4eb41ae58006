"""The native half of rmux. Use the package's public classes instead."""

from collections.abc import Callable
from typing import Any, final

__all__ = [
    "Child",
    "Operation",
    "Question",
    "Reader",
    "Session",
    "Writer",
    "connect",
    "start_logging",
    "stop_delivery",
]

def start_logging() -> None: ...
def stop_delivery() -> None: ...
def connect(
    host: str,
    *,
    user: str | None,
    port: int | None,
    identity_files: list[str],
    config_file: str | None,
    options: list[tuple[str, str]],
    password: str | None,
    host_key_policy: str | None,
    connect_timeout: float | None,
    answers: list[str],
    on_event: Callable[..., None] | None,
) -> Operation: ...

@final
class Operation:
    def wait(
        self,
        timeout: float | None = None,
        answer: Callable[[Question], object] | None = None,
    ) -> Any: ...
    def start(
        self,
        deliver: Callable[[Any, BaseException | None], object],
        ask: Callable[[Question], object] | None = None,
    ) -> None: ...
    def cancel(self) -> None: ...

@final
class Question:
    @property
    def kind(self) -> str: ...
    @property
    def fields(self) -> tuple[Any, ...]: ...
    def reply(self, answer: object) -> None: ...
    def fail(self, exception: BaseException) -> None: ...

@final
class Session:
    @property
    def host(self) -> tuple[str, str, str, int, list[str], list[str]]: ...
    @property
    def closed(self) -> bool: ...
    def run(
        self,
        words: bytes | list[bytes],
        *,
        input: bytes | None,
        env: list[tuple[bytes, bytes]],
        cwd: bytes | None,
        timeout: float | None,
    ) -> Operation: ...
    def spawn(
        self,
        words: bytes | list[bytes],
        *,
        stdin: str,
        stdout: str,
        stderr: str,
        env: list[tuple[bytes, bytes]],
        cwd: bytes | None,
        pty: tuple[str, int, int] | None,
    ) -> Operation: ...
    def close(self) -> Operation: ...
    def wait_closed(self) -> Operation: ...

@final
class Child:
    def wait(self) -> Operation: ...
    def poll(self) -> tuple[int | None, str | None] | None: ...
    def communicate(self, input: bytes | None) -> Operation: ...
    def leave(self) -> Operation: ...
    def signal(self, name: str) -> None: ...
    def kill(self) -> None: ...
    def resize(self, columns: int, rows: int) -> None: ...

@final
class Reader:
    def read(self, limit: int) -> Operation: ...
    def close(self) -> None: ...

@final
class Writer:
    def write(self, data: bytes) -> Operation: ...
    def flush(self) -> Operation: ...
    def close(self) -> None: ...
