"""The servers and sessions that tests share."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import fixture
import pytest
import pytest_asyncio

import rmux


#: What runs on every kind of event loop.
_ON_EVERY_LOOP = {"test_aio.py", "test_aio_files.py", "test_cancelling.py"}


def pytest_asyncio_loop_factories(
    item: pytest.Item,
) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The kinds of event loops that a test runs on, one after the other."""
    kinds = {"asyncio": asyncio.new_event_loop}
    if item.path.name in _ON_EVERY_LOOP and sys.platform != "win32":
        import uvloop

        kinds["uvloop"] = uvloop.new_event_loop
    return kinds


@pytest.fixture(scope="session")
def server() -> Iterator[fixture.Server]:
    """An sshd."""
    with fixture.server() as one:
        yield one


@pytest.fixture(scope="session")
def questioner() -> Iterator[fixture.Server]:
    """A server that takes the password "open sesame", or the answers "red" and "blue"."""
    questions = ["--question", "Colour? =red", "--question", "Another? =blue"]
    password = ["--password", "open sesame", "--passphrase", "key words"]
    with fixture.server("--embedded", *password, *questions) as one:
        yield one


@pytest.fixture
def agent() -> Iterator[fixture.Agent]:
    """An ssh-agent."""
    # Not the test's own folder: the name of a socket must be short.
    with tempfile.TemporaryDirectory() as folder:
        one = fixture.Agent(Path(folder))
        try:
            yield one
        finally:
            one.stop()


@pytest.fixture
def session(server: fixture.Server) -> Iterator[rmux.Session]:
    """A session with the sshd."""
    with rmux.connect(server.host, **server.settings) as one:
        yield one


@pytest_asyncio.fixture
async def aio_session(server: fixture.Server) -> AsyncIterator[rmux.aio.Session]:
    """A session with the sshd, for asyncio."""
    async with rmux.aio.connect(server.host, **server.settings) as one:
        yield one
