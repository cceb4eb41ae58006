"""The cases of files that every language runs: rmux-testkit/cases/files.json."""

from __future__ import annotations

import base64
import json
import os
import stat
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import fixture
import pytest

import rmux

FOLDER = fixture.REPOSITORY / "rmux-testkit" / "cases"
FILES = [json.loads(path.read_text("utf-8")) for path in sorted(FOLDER.glob("*.json"))]
CASES: list[dict[str, Any]] = [
    case for file in FILES if file.get("kind") == "files" for case in file["cases"]
]

Case = dict[str, Any]
#: A kind, contents or target, and permission bits.
Node = tuple[str, bytes, Any]


@pytest.fixture(params=CASES, ids=[case["name"] for case in CASES])
def case(request: pytest.FixtureRequest) -> Case:
    one: Case = request.param
    assert set(one) <= {"name", "tree", "request", "expect", "after"}
    return one


def data(value: Any) -> bytes:
    if isinstance(value, str):
        return value.encode()
    if "base64" in value:
        return base64.b64decode(value["base64"])
    return str(value["repeat"]).encode() * int(value["times"])


def nodes(tree: list[dict[str, Any]]) -> dict[bytes, Node]:
    def node(one: dict[str, Any]) -> Node:
        if "file" in one:
            return "file", data(one["file"]), one.get("mode")
        return ("link", data(one["link"]), None) if "link" in one else ("directory", b"", None)

    return {data(one["path"]): node(one) for one in tree}


def plant(folder: bytes, tree: dict[bytes, Node]) -> None:
    for path, (kind, content, mode) in sorted(tree.items()):
        path = os.path.join(folder, path)
        if kind == "directory":
            os.mkdir(path)
        elif kind == "link":
            os.symlink(content, path)
        else:
            with open(path, "wb") as file:
                file.write(content)
            if mode is not None:
                os.chmod(path, mode)


def found(folder: bytes, wanted: dict[bytes, Node]) -> dict[bytes, Node]:
    """What is in a folder, with the permission bits that are asked for."""
    tree: dict[bytes, Node] = {}
    for top, directories, files in os.walk(folder):
        for name in directories + files:
            path = os.path.join(top, name)
            below = os.path.relpath(path, folder)
            known = os.lstat(path)
            if stat.S_ISLNK(known.st_mode):
                tree[below] = ("link", os.readlink(path), None)
            elif stat.S_ISDIR(known.st_mode):
                tree[below] = ("directory", b"", None)
            else:
                mode = stat.S_IMODE(known.st_mode)
                asked = wanted.get(below, ("", b"", None))[2] is not None
                tree[below] = (
                    "file",
                    Path(os.fsdecode(path)).read_bytes(),
                    mode if asked else None,
                )
    return tree


def calls(case: Case, folder: bytes) -> tuple[str, list[Any], dict[str, Any]]:
    """The verb of ``Files`` that a case is about, and its arguments."""
    asked = dict(case["request"])
    verb = asked.pop("do")
    path = os.path.join(folder, data(asked.pop("path")))
    given: list[Any] = [path]
    for name in ("data", "old", "new", "pattern", "mode"):
        if name in asked and not (name == "mode" and verb == "write"):
            value = asked.pop(name)
            given.append(data(value) if name == "data" else value)
    if "target" in asked:
        target = data(asked.pop("target"))
        # As it stands in a link, and a file of the folder elsewhere.
        given = [target, path] if verb == "symlink" else [path, os.path.join(folder, target)]
    if asked.get("parents"):
        asked["exist_ok"] = True
    return verb, given, asked


def outcome(case: Case, verb: str, result: Any, folder: bytes) -> Any:
    """A result as the case's ``expect`` has it."""
    below = len(folder) + 1
    if verb in ("read", "readlink"):
        return {"bytes": result if isinstance(result, bytes) else os.fsencode(result)}
    if verb == "exists":
        return {"is": result}
    if verb == "list":
        return {"names": sorted(os.fsencode(entry.name) for entry in result)}
    if verb == "glob":
        return {"names": sorted(bytes(entry.path)[below:] for entry in result)}
    if verb == "resolve":
        return {"names": [os.fsencode(result)[below:]]}
    if verb in ("stat", "lstat"):
        kinds = {"file": result.is_file, "directory": result.is_dir, "link": result.is_symlink}
        known = {
            "kind": [kind for kind, holds in kinds.items() if holds][0],
            "length": result.st_size,
            "mode": stat.S_IMODE(result.st_mode),
        }
        return {"known": {key: known[key] for key in case["expect"]["known"]}}
    assert result is None
    return {}


def expected(case: Case) -> Any:
    wanted = dict(case.get("expect", {}))
    if "bytes" in wanted:
        wanted["bytes"] = data(wanted["bytes"])
    if "names" in wanted:
        wanted["names"] = [data(name) for name in wanted["names"]]
    return wanted


def folder_of(case: Case, tmp_path: Path) -> tuple[bytes, dict[bytes, Node]]:
    folder = os.fsencode(tmp_path.resolve())
    before = nodes(case.get("tree", []))
    plant(folder, before)
    return folder, nodes(case["after"]) if "after" in case else before


def test_sync(case: Case, shared: rmux.Session, tmp_path: Path) -> None:
    folder, after = folder_of(case, tmp_path)
    verb, given, keywords = calls(case, folder)
    files = shared.files
    if "if_unmodified_as" in keywords:
        seen = os.path.join(folder, data(keywords.pop("if_unmodified_as")))
        keywords["if_unmodified"] = files.stat(seen)
    try:
        result = getattr(files, verb)(*given, **keywords)
        got = outcome(case, verb, result, folder)
    except rmux.Error as error:
        got = {"error": error.kind}
    assert got == expected(case)
    assert found(folder, after) == after


async def test_aio(case: Case, aio_shared: rmux.aio.Session, tmp_path: Path) -> None:
    folder, after = folder_of(case, tmp_path)
    verb, given, keywords = calls(case, folder)
    files = aio_shared.files
    if "if_unmodified_as" in keywords:
        seen = os.path.join(folder, data(keywords.pop("if_unmodified_as")))
        keywords["if_unmodified"] = await files.stat(seen)
    try:
        result = getattr(files, verb)(*given, **keywords)
        if verb in ("list", "glob"):
            result = [entry async for entry in result]
        else:
            result = await result
        got = outcome(case, verb, result, folder)
    except rmux.Error as error:
        got = {"error": error.kind}
    assert got == expected(case)
    assert found(folder, after) == after


@pytest.fixture(scope="module")
def without() -> Iterator[fixture.Server]:
    """A server that has no SFTP."""
    with fixture.server("--option", "Subsystem none /bin/false") as one:
        yield one


@pytest.fixture(scope="module", params=["sftp", "shell"])
def reached(
    request: pytest.FixtureRequest, server: fixture.Server, without: fixture.Server
) -> tuple[str, fixture.Server]:
    """By what files are reached, and where."""
    return request.param, server if request.param == "sftp" else without


@pytest.fixture(scope="module")
def shared(reached: tuple[str, fixture.Server]) -> Iterator[rmux.Session]:
    by, server = reached
    with rmux.connect(server.host, **server.settings) as one:
        assert one.capabilities().files == by
        yield one


@pytest.fixture
async def aio_shared(reached: tuple[str, fixture.Server]) -> AsyncIterator[rmux.aio.Session]:
    by, server = reached
    async with rmux.aio.connect(server.host, **server.settings) as one:
        assert (await one.capabilities()).files == by
        yield one


def test_there_are_cases() -> None:
    assert len(CASES) > 50
