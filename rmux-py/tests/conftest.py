"""The servers and sessions that tests share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import fixture
import pytest
import pytest_asyncio

import rmux


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
def session(server: fixture.Server) -> Iterator[rmux.Session]:
    """A session with the sshd."""
    with rmux.connect(server.host, **server.settings) as one:
        yield one


@pytest_asyncio.fixture
async def aio_session(server: fixture.Server) -> AsyncIterator[rmux.aio.Session]:
    """A session with the sshd, for asyncio."""
    async with rmux.aio.connect(server.host, **server.settings) as one:
        yield one
