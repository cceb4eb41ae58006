"""The questions of connecting, and the callbacks that answer them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable

from rmux import _rmux


@dataclass(frozen=True)
class HostKeyPrompt:
    """A host key nobody has vouched for yet. Answer True to trust and remember it."""

    #: The host as the caller named it.
    host: str
    #: The name it is looked up by in ``known_hosts``, for example ``[127.0.0.1]:2222``.
    known_as: str
    #: For example ``ssh-ed25519``.
    algorithm: str
    #: As OpenSSH prints it: ``SHA256:`` and base64.
    fingerprint: str


@dataclass(frozen=True)
class PassphrasePrompt:
    """An encrypted private key. Answer with its passphrase; None skips the key."""

    host: str
    #: The key file.
    path: str
    #: 1 for the first question about this file, 2 after one wrong answer, and so on.
    attempt: int


@dataclass(frozen=True)
class PasswordPrompt:
    """The server asks for the account's password. None gives up on passwords."""

    host: str
    user: str
    #: 1 for the first question, 2 after one wrong answer, and so on.
    attempt: int


@dataclass(frozen=True)
class Question:
    """One question of a keyboard-interactive round."""

    text: str
    #: Whether what is typed may be shown.
    echo: bool


@dataclass(frozen=True)
class KeyboardInteractivePrompt:
    """One round of questions. Answer with a list of str, one a question; None gives up."""

    host: str
    user: str
    #: The server's title; often empty.
    name: str
    #: The server's instructions; often empty.
    instructions: str
    questions: tuple[Question, ...]


@dataclass(frozen=True)
class AgentKeyPrompt:
    """A private key let the user in, and the agent could keep it, as ``AddKeysToAgent ask`` has it.
    Answer True to give it to the agent."""

    host: str
    #: The key file.
    path: str
    #: The key's comment, or the file's name where it has none.
    comment: str
    #: As OpenSSH prints it: ``SHA256:`` and base64.
    fingerprint: str


@dataclass(frozen=True)
class KeyFingerprint:
    """A key, as a question shows it."""

    #: For example ``ssh-ed25519``.
    algorithm: str
    #: As OpenSSH prints it: ``SHA256:`` and base64.
    fingerprint: str


@dataclass(frozen=True)
class HostKeysPrompt:
    """A trusted server has other host keys than ``known_hosts`` says, and has proved that they are
    its own; ``UpdateHostKeys ask`` has it so. Answer True to write them down."""

    host: str
    #: The name it is looked up by in ``known_hosts``, for example ``[127.0.0.1]:2222``.
    known_as: str
    #: The keys that would be added.
    learned: tuple[KeyFingerprint, ...]
    #: The keys that would be removed: the server has them no more.
    outdated: tuple[KeyFingerprint, ...]


#: What answers each kind of question.
Callbacks = dict[str, Callable[[Any], Any]]


def callbacks(
    *,
    host_key: Any,
    password: Any,
    passphrase: Any,
    keyboard_interactive: Any,
    agent_key: Any,
    host_keys: Any,
) -> Callbacks:
    """The callbacks among these keywords of ``connect``."""
    found: Callbacks = {}
    if callable(host_key):
        found["host_key"] = host_key
    if callable(password):
        found["password"] = password
    if callable(passphrase):
        found["passphrase"] = passphrase
    elif isinstance(passphrase, str):
        # A second question means that it was wrong.
        found["passphrase"] = lambda prompt: passphrase if prompt.attempt == 1 else None
    if keyboard_interactive is not None:
        found["keyboard_interactive"] = keyboard_interactive
    if agent_key is not None:
        found["agent_key"] = agent_key
    if host_keys is not None:
        found["host_keys"] = host_keys
    return found


def answering(callbacks: Callbacks) -> Callable[[_rmux.Question], None]:
    """Has the callback answer, in this thread."""

    def answer(question: _rmux.Question) -> None:
        try:
            answer = callbacks[question.kind](prompt_of(question))
        except Exception as error:
            # Connecting ends with this as the cause.
            question.fail(error)
        except BaseException:
            # Ctrl-C and the like end this wait, and not that of others for the same connection.
            question.leave()
            raise
        else:
            question.reply(answer)

    return answer


def prompt_of(question: _rmux.Question) -> object:
    """What the callback is called with."""
    fields = question.fields
    if question.kind == "host_key":
        return HostKeyPrompt(*fields)
    if question.kind == "passphrase":
        return PassphrasePrompt(*fields)
    if question.kind == "password":
        return PasswordPrompt(*fields)
    if question.kind == "agent_key":
        return AgentKeyPrompt(*fields)
    if question.kind == "host_keys":
        host, known_as, *keys = fields
        learned, outdated = (tuple(KeyFingerprint(*each) for each in some) for some in keys)
        return HostKeysPrompt(host, known_as, learned, outdated)
    host, user, name, instructions, questions = fields
    questions = tuple(Question(*each) for each in questions)
    return KeyboardInteractivePrompt(host, user, name, instructions, questions)
