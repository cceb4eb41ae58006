"""Sessions of several connections: when there are more than one. Counted by the sshd."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import fixture
import pytest

import rmux
from rmux import aio


@pytest.fixture
def narrow() -> Iterator[fixture.Server]:
    """An sshd that grants two commands at a time on a connection."""
    with fixture.server("--option", "MaxSessions 2") as one:
        yield one


def crowd(session: rmux.Session) -> None:
    """More commands at once than one connection takes."""
    with ThreadPoolExecutor(8) as pool:
        ended = list(pool.map(lambda _: session.run("sleep 1"), range(8)))
    assert all(one.returncode == 0 for one in ended)


def test_spreads_where_no_login_asks(narrow: fixture.Server) -> None:
    with rmux.connect(narrow.host, **narrow.settings) as session:
        crowd(session)
    assert 2 <= narrow.accepted <= 4


@pytest.mark.parametrize("setting", [{"max_links": 1}, {"further_logins": "never"}])
def test_stays_at_one_connection(narrow: fixture.Server, setting: dict[str, Any]) -> None:
    with rmux.Pool(**narrow.settings, **setting) as pool:
        with pool.session(narrow.host) as session:
            crowd(session)
            assert session.run(["true"], lane="bulk").returncode == 0
    assert narrow.accepted == 1


def test_bulk_has_its_own_connection(server: fixture.Server) -> None:
    before = server.accepted
    with rmux.connect(server.host, **server.settings) as session:
        with session.popen(["cat"], lane="bulk") as child:
            assert server.accepted - before == 2
            assert session.run(["echo", "in"]).stdout == b"in\n"
            assert child.communicate(b"much")[0] == b"much"
        # Not worth a login: there is a connection already, and it goes with the others.
        small = session.run(["true"], lane="bulk", expected_size=1)
        assert small.returncode == 0
    assert server.accepted - before == 2


def test_bulk_has_its_own_connection_with_asyncio(server: fixture.Server) -> None:
    async def main() -> None:
        before = server.accepted
        async with aio.connect(server.host, **server.settings, max_links=2) as session:
            async with session.popen(["cat"], lane="bulk") as child:
                assert server.accepted - before == 2
                assert (await session.run(["echo", "in"], lane="interactive")).stdout == b"in\n"
                assert (await child.communicate(b"much"))[0] == b"much"
            assert (await session.run(["true"], lane="bulk")).returncode == 0
        assert server.accepted - before == 2

    asyncio.run(main())


@pytest.mark.parametrize("wrong", [{"max_links": 0}, {"max_links": -1}, {"further_logins": "yes"}])
def test_settings_that_mean_nothing(server: fixture.Server, wrong: dict[str, Any]) -> None:
    with pytest.raises(rmux.ConfigInvalid):
        rmux.connect(server.host, **server.settings, **wrong)


@pytest.mark.parametrize(
    "wrong",
    [{"lane": "fast"}, {"expected_size": 1}, {"lane": "bulk", "expected_size": -1}],
)
def test_lanes_that_mean_nothing(session: rmux.Session, wrong: dict[str, Any]) -> None:
    with pytest.raises(rmux.InvalidInput):
        session.run(["true"], **wrong)
    with pytest.raises(rmux.InvalidInput):
        session.popen(["true"], **wrong)
