"""The list of public names, the stubs and the exceptions against what is there."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import fixture
import pytest

import rmux
from rmux import _errors

HERE = Path(__file__).resolve().parent
PACKAGE = Path(rmux.__file__).parent

#: The keywords that a pool has beside those of ``connect``.
POOLS_OWN = {"linger", "max_connections", "max_connections_per_host", "acquire_timeout"}


def surface() -> list[str]:
    """Every public name, with the members of classes."""
    names = []
    for module in (rmux, rmux.aio):
        for name in module.__all__:
            thing = getattr(module, name)
            names.append(f"{module.__name__}.{name}")
            if inspect.isclass(thing) and thing.__module__.startswith("rmux"):
                members = {
                    member
                    for cls in thing.__mro__
                    if cls.__module__.startswith("rmux")
                    for member in [*vars(cls), *vars(cls).get("__annotations__", ())]
                    if not member.startswith("_")
                }
                names.extend(f"{module.__name__}.{name}.{member}" for member in members)
    return sorted(names)


def test_the_public_names_are_those_of_the_list() -> None:
    listed = (HERE / "surface.txt").read_text().split()
    # A name that is gone breaks programs, a new one is a promise: change the list on purpose.
    assert surface() == listed


def test_nothing_else_is_public() -> None:
    for module in (rmux, rmux.aio):
        modules = {"aio", "fsspec"}
        public = {name for name in vars(module) if not name.startswith("_")} | modules
        assert public - modules == set(module.__all__) - modules


def test_the_twins_take_the_same_keywords() -> None:
    connect = set(inspect.signature(rmux.connect).parameters)
    assert connect == set(inspect.signature(rmux.aio.connect).parameters)
    for pool in (rmux.Pool, rmux.aio.Pool):
        assert set(inspect.signature(pool).parameters) == connect - {"host"} | POOLS_OWN
    only_sync = {"popen": {"bufsize"}, "wait_closed": {"timeout"}, "wait": {"timeout"}}
    only_sync["communicate"] = {"timeout"}
    only_sync["open"] = {"buffering"}
    for name in ("Session", "ShellContext", "Pool", "Popen", "Files", "RemotePath"):
        sync, twin = getattr(rmux, name), getattr(rmux.aio, name)
        public = {name for name in vars(sync) if not name.startswith("_")}
        assert public == {name for name in vars(twin) if not name.startswith("_")}
        for name in public:
            if inspect.isfunction(vars(sync)[name]):
                ours = set(inspect.signature(vars(sync)[name]).parameters)
                theirs = set(inspect.signature(vars(twin)[name]).parameters)
                assert ours - theirs == only_sync.get(name, set()), name
                assert theirs <= ours, name


def test_every_kind_of_error_has_its_class() -> None:
    source = (fixture.REPOSITORY / "rmux-core" / "src" / "error.rs").read_text()
    kinds = set(re.findall(r'Self::\w+ => "([A-Z_]+)"', source))
    assert kinds and kinds == set(_errors._CLASSES)
    for kind, cls in _errors._CLASSES.items():
        error = _errors.exception(kind, "connect: h: no", "connect", "h", KeyError())
        assert type(error) is cls and isinstance(error, rmux.Error)
        assert (error.kind, str(error), error.operation, error.host) == (
            kind,
            "connect: h: no",
            "connect",
            "h",
        )
        assert isinstance(error.__cause__, KeyError)
        assert getattr(rmux, cls.__name__) is cls
    unknown = _errors.exception("BRAND_NEW", "connect: h: no", "connect", "h")
    assert type(unknown) is rmux.Error and unknown.kind == "BRAND_NEW"


@pytest.mark.parametrize(
    ("cls", "builtin"),
    [
        (rmux.TimedOut, TimeoutError),
        (rmux.CommandTimedOut, subprocess.TimeoutExpired),
        (rmux.Disconnected, ConnectionError),
        (rmux.Closed, ConnectionError),
        (rmux.ConnectFailed, ConnectionError),
        (rmux.NotFound, FileNotFoundError),
        (rmux.PermissionDenied, PermissionError),
        (rmux.AuthFailed, PermissionError),
        (rmux.AlreadyExists, FileExistsError),
        (rmux.IsADirectory, IsADirectoryError),
        (rmux.NotADirectory, NotADirectoryError),
        (rmux.ConfigInvalid, ValueError),
        (rmux.InvalidInput, ValueError),
        (rmux.Unsupported, NotImplementedError),
        (rmux.CalledProcessError, subprocess.CalledProcessError),
        (rmux.IOFailed, OSError),
    ],
)
def test_builtins(cls: type[rmux.Error], builtin: type[Exception]) -> None:
    assert issubclass(cls, builtin) and issubclass(cls, rmux.Error)


def test_the_package_is_typed() -> None:
    assert (PACKAGE / "py.typed").exists()
    assert (PACKAGE / "_rmux.pyi").exists()
    project = HERE.parent
    command = [sys.executable, "-m", "mypy", "--config-file", "pyproject.toml"]
    command += ["--cache-dir", os.devnull, "python/rmux"]
    checked = subprocess.run(command, cwd=project, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_stubs_say_what_is_there() -> None:
    command = [sys.executable, "-m", "mypy.stubtest", "rmux._rmux"]
    checked = subprocess.run(command, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr
