"""Callbacks: what they are asked, where they run, what becomes of their failures."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fixture
import pytest

import rmux


def asking(questioner: fixture.Server, method: str, **changes: Any) -> dict[str, Any]:
    """Settings that leave one method."""
    options = {"PreferredAuthentications": method}
    return questioner.settings_with(options, identity_files=[], **changes)


def works(questioner: fixture.Server, settings: dict[str, Any]) -> None:
    with rmux.connect(questioner.host, **settings) as session:
        assert session.run(["echo", "in"]).stdout == b"in\n"


def test_a_password(questioner: fixture.Server) -> None:
    works(questioner, asking(questioner, "password", password="open sesame"))
    asked: list[rmux.PasswordPrompt] = []

    def password(prompt: rmux.PasswordPrompt) -> str:
        asked.append(prompt)
        assert threading.current_thread() is threading.main_thread()
        return "open sesame" if prompt.attempt == 2 else "wrong"

    works(questioner, asking(questioner, "password", password=password))
    assert [prompt.attempt for prompt in asked] == [1, 2]
    assert asked[0].host == "127.0.0.1" and asked[0].user == questioner.about["user"]
    for wrong in ("wrong", lambda prompt: None):
        with pytest.raises(rmux.AuthFailed, match=r"127\.0\.0\.1"):
            rmux.connect(questioner.host, **asking(questioner, "password", password=wrong))


def test_questions(questioner: fixture.Server) -> None:
    asked: list[str] = []

    def answer(prompt: rmux.KeyboardInteractivePrompt) -> list[str]:
        asked.extend(question.text for question in prompt.questions)
        assert not any(question.echo for question in prompt.questions)
        return ["red" if "Colour" in question.text else "blue" for question in prompt.questions]

    works(questioner, asking(questioner, "keyboard-interactive", keyboard_interactive=answer))
    assert asked == ["Colour? ", "Another? "]


ROUNDS: list[dict[str, Any]] = [
    {
        "name": "First of two",
        "instructions": "Say who you are.\nTake your time.",
        "prompts": [
            {"text": "Name: ", "answer": "älice", "echo": True},
            {"text": "Code: ", "answer": "123 456", "echo": False},
        ],
    },
    # A round that only shows something.
    {"name": "", "instructions": "Well done.", "prompts": []},
    {"name": "", "instructions": "", "prompts": [{"text": "Sure? ", "answer": "", "echo": True}]},
]


@pytest.fixture(scope="module")
def rounds() -> Iterator[fixture.Server]:
    """A server that asks the rounds."""
    args = [word for each in ROUNDS for word in ("--round", json.dumps(each))]
    with fixture.server("--embedded", *args) as one:
        yield one


class Answering:
    """A person who knows the answers."""

    def __init__(self, server: fixture.Server) -> None:
        self.server = server
        self.left = list(ROUNDS)

    def __call__(self, prompt: rmux.KeyboardInteractivePrompt) -> list[str]:
        asked = self.left.pop(0)
        assert prompt == rmux.KeyboardInteractivePrompt(
            host="127.0.0.1",
            user=self.server.about["user"],
            name=asked["name"],
            instructions=asked["instructions"],
            questions=tuple(rmux.Question(one["text"], one["echo"]) for one in asked["prompts"]),
        )
        return [one["answer"] for one in asked["prompts"]]


def test_rounds_of_questions(rounds: fixture.Server) -> None:
    answering = Answering(rounds)
    works(rounds, asking(rounds, "keyboard-interactive", keyboard_interactive=answering))
    assert answering.left == []


async def test_rounds_of_questions_in_aio(rounds: fixture.Server) -> None:
    answering = Answering(rounds)

    async def later(prompt: rmux.KeyboardInteractivePrompt) -> list[str]:
        await asyncio.sleep(0.01)
        return answering(prompt)

    settings = asking(rounds, "keyboard-interactive", keyboard_interactive=later)
    await (await rmux.aio.connect(rounds.host, **settings)).close()
    assert answering.left == []


@pytest.mark.parametrize("count", [0, 1, 3])
def test_another_number_of_answers(rounds: fixture.Server, count: int) -> None:
    settings = asking(
        rounds, "keyboard-interactive", keyboard_interactive=lambda _: ["123 456"] * count
    )
    with pytest.raises(rmux.Error, match=r"127\.0\.0\.1") as caught:
        rmux.connect(rounds.host, **settings)
    assert "123 456" not in str(caught.value)


def test_a_passphrase(questioner: fixture.Server) -> None:
    key = questioner.about["client_key_encrypted"]
    asked: list[rmux.PassphrasePrompt] = []

    def passphrase(prompt: rmux.PassphrasePrompt) -> str:
        asked.append(prompt)
        return "key words"

    works(questioner, questioner.settings_with(identity_files=key, passphrase=passphrase))
    assert [(prompt.path, prompt.attempt) for prompt in asked] == [(key, 1)]
    works(questioner, questioner.settings_with(identity_files=key, passphrase="key words"))


def test_keys_for_the_agent(server: fixture.Server, agent: fixture.Agent) -> None:
    asked: list[rmux.AgentKeyPrompt] = []

    def keep(answer: bool | None) -> dict[str, Any]:
        def agent_key(prompt: rmux.AgentKeyPrompt) -> Any:
            asked.append(prompt)
            assert threading.current_thread() is threading.main_thread()
            return answer

        options = {"IdentityAgent": agent.socket, "AddKeysToAgent": "ask"}
        return server.settings_with(options, agent_key=agent_key)

    # Who is not asked gives nothing.
    works(server, {**keep(True), "agent_key": None})
    for no in (None, False):
        works(server, keep(no))
        assert agent.keys == []
    works(server, keep(True))
    key = server.about["client_key"]
    assert agent.keys == [fixture.public_key(key)]
    # From now on the agent signs, and nobody is asked.
    works(server, keep(True))
    expected = rmux.AgentKeyPrompt("127.0.0.1", key, "rmux-testkit", fixture.fingerprint(key))
    assert asked == [expected] * 3


async def test_keys_for_the_agent_in_aio(server: fixture.Server, agent: fixture.Agent) -> None:
    async def agent_key(prompt: rmux.AgentKeyPrompt) -> bool:
        await asyncio.sleep(0.01)
        return prompt.path == str(server.about["client_key"])

    options = {"IdentityAgent": agent.socket, "AddKeysToAgent": "ask"}
    settings = server.settings_with(options, agent_key=agent_key)
    async with rmux.aio.Pool(**settings) as pool, pool.session(server.host):
        assert agent.keys == [fixture.public_key(server.about["client_key"])]


def test_host_keys(server: fixture.Server, tmp_path: Path) -> None:
    known = tmp_path / "known_hosts"
    known.write_text("")
    asked: list[rmux.HostKeyPrompt] = []

    def trust(prompt: rmux.HostKeyPrompt) -> bool:
        asked.append(prompt)
        return True

    options = {"UserKnownHostsFile": str(known)}
    works(server, server.settings_with(options, host_key_policy=trust))
    (prompt,) = asked
    assert prompt.known_as == f"[127.0.0.1]:{server.port}"
    assert prompt.fingerprint.startswith("SHA256:")
    works(server, server.settings_with(options, host_key_policy=trust))
    works(server, server.settings_with(options, host_key_policy="strict"))
    assert len(asked) == 1
    known.write_text("")
    works(server, server.settings_with(options, danger_accept_any_host_key=True))
    assert known.read_text() == ""
    works(server, server.settings_with(options, host_key_policy="accept-new"))
    assert known.read_text().count("\n") == 1


def test_a_callback_that_fails(questioner: fixture.Server) -> None:
    def password(prompt: rmux.PasswordPrompt) -> str:
        raise KeyError("a secret")

    with pytest.raises(rmux.Cancelled, match=r"127\.0\.0\.1.*password") as caught:
        rmux.connect(questioner.host, **asking(questioner, "password", password=password))
    assert isinstance(caught.value.__cause__, KeyError)
    assert "a secret" not in str(caught.value)

    with pytest.raises(rmux.Cancelled) as caught:
        rmux.connect(questioner.host, **asking(questioner, "password", password=lambda _: 5))
    assert isinstance(caught.value.__cause__, TypeError)


def test_an_interrupted_callback(questioner: fixture.Server) -> None:
    def password(prompt: rmux.PasswordPrompt) -> str:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rmux.connect(questioner.host, **asking(questioner, "password", password=password))


@pytest.mark.parametrize("is_async", [False, True])
async def test_aio_callbacks_run_on_the_loop(questioner: fixture.Server, is_async: bool) -> None:
    loop = asyncio.get_running_loop()

    def at_once(prompt: rmux.PasswordPrompt) -> str:
        assert asyncio.get_running_loop() is loop
        return "open sesame"

    async def later(prompt: rmux.PasswordPrompt) -> str:
        await asyncio.sleep(0.1)
        return at_once(prompt)

    settings = asking(questioner, "password", password=later if is_async else at_once)
    async with rmux.aio.connect(questioner.host, **settings) as session:
        assert (await session.run(["echo", "in"])).stdout == b"in\n"


async def test_an_aio_callback_that_fails(questioner: fixture.Server) -> None:
    async def password(prompt: rmux.PasswordPrompt) -> str:
        raise KeyError

    with pytest.raises(rmux.Cancelled) as caught:
        await rmux.aio.connect(questioner.host, **asking(questioner, "password", password=password))
    assert isinstance(caught.value.__cause__, KeyError)


async def test_cancelling_connect_cancels_the_callback(questioner: fixture.Server) -> None:
    asked, cancelled = asyncio.Event(), asyncio.Event()

    async def password(prompt: rmux.PasswordPrompt) -> str:
        asked.set()
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            cancelled.set()
            raise
        return ""

    async def connect() -> None:
        await rmux.aio.connect(questioner.host, **asking(questioner, "password", password=password))

    task = asyncio.create_task(connect())
    await asyncio.wait_for(asked.wait(), fixture.PATIENCE)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.wait_for(cancelled.wait(), fixture.PATIENCE)
