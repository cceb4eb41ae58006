"""Paths of the remote, before anything is asked of it: what both twins' ``RemotePath`` are alike
in.

Paths are bytes there. As text they are what ``os.fsdecode`` makes of them on POSIX: UTF-8, with
what is none as lone surrogates.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any, Optional, TypeVar, Union

from rmux._errors import InvalidInput

P = TypeVar("P", bound="Named")


class Named:
    """A path of the remote as text: the half of ``pathlib`` that asks nothing of anybody."""

    __slots__ = ("_files", "_home", "_pure")

    def __init__(self, files: Any, *segments: Name) -> None:
        texts = [text_of(segment) for segment in segments]
        self._files = files
        self._pure = PurePosixPath(*texts)
        # ``~`` means home where the caller has said it. A file of that name, which a listing gives
        # or a path is joined with, is another thing.
        self._home = texts[:1] != [] and texts[0].startswith("~") and self._starts_with_tilde()

    def _starts_with_tilde(self) -> bool:
        return str(self._pure).startswith("~")

    def _with(self: P, pure: PurePosixPath, home: Optional[bool] = None) -> P:
        made = type(self)(self._files)
        made._pure = pure
        made._home = self._home and pure.parts[:1] == self._pure.parts[:1] if home is None else home
        return made

    def _found(self: P, path: bytes) -> P:
        """A path that the remote gave, where ``~`` means nothing."""
        return self._with(PurePosixPath(decode(path)), home=False)

    @property
    def parts(self) -> tuple[str, ...]:
        """Its names, the root included."""
        return self._pure.parts

    @property
    def root(self) -> str:
        """The slash of an absolute path."""
        return self._pure.root

    @property
    def anchor(self) -> str:
        """The same as the root."""
        return self._pure.anchor

    @property
    def name(self) -> str:
        """The last name."""
        return self._pure.name

    @property
    def stem(self) -> str:
        """The last name without its suffix."""
        return self._pure.stem

    @property
    def suffix(self) -> str:
        """What is behind the last dot of the last name, and the dot."""
        return self._pure.suffix

    @property
    def suffixes(self) -> list[str]:
        """All suffixes of the last name."""
        return self._pure.suffixes

    @property
    def parent(self: P) -> P:
        """The path without its last name."""
        return self._with(self._pure.parent)

    @property
    def parents(self: P) -> Sequence[P]:
        """The parent, its parent, and so on."""
        return tuple(self._with(parent) for parent in self._pure.parents)

    def joinpath(self: P, *segments: Name) -> P:
        """This path with others behind it; an absolute one replaces what is before."""
        return self._with(self._pure.joinpath(*(text_of(segment) for segment in segments)))

    def with_name(self: P, name: str) -> P:
        """The path with another last name."""
        return self._with(self._pure.with_name(name), home=self._home and len(self.parts) > 1)

    def with_stem(self: P, stem: str) -> P:
        """The path with another stem of its last name."""
        return self.with_name(self._pure.with_stem(stem).name)

    def with_suffix(self: P, suffix: str) -> P:
        """The path with another suffix of its last name."""
        return self.with_name(self._pure.with_suffix(suffix).name)

    def relative_to(self: P, other: Name) -> P:
        """The path from another one on; ``ValueError`` where it does not begin with that."""
        return self._with(self._pure.relative_to(text_of(other)), home=False)

    def is_relative_to(self, other: Name) -> bool:
        """Whether it begins with another one."""
        return self._pure.is_relative_to(text_of(other))

    def is_absolute(self) -> bool:
        """Whether it begins at the root."""
        return self._pure.is_absolute()

    def match(self, pattern: str) -> bool:
        """Whether its text matches, as in ``pathlib``."""
        return self._pure.match(pattern)

    def as_posix(self) -> str:
        """Its text."""
        return str(self)

    def __truediv__(self: P, segment: Name) -> P:
        if not isinstance(segment, (str, bytes, PurePosixPath, Named)):
            return NotImplemented
        return self.joinpath(segment)

    def __str__(self) -> str:
        # So that the text stands for the same file wherever it is given.
        return (
            f"./{self._pure}" if self._starts_with_tilde() and not self._home else str(self._pure)
        )

    def __bytes__(self) -> bytes:
        return encode(self)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"

    def _key(self) -> tuple[PurePosixPath, bool]:
        return self._pure, self._home

    def __hash__(self) -> int:
        return hash(self._key())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Named):
            return NotImplemented
        return self._files is other._files and self._key() == other._key()

    def __lt__(self, other: Named) -> bool:
        return self._key() < other._key() if isinstance(other, Named) else NotImplemented

    def __le__(self, other: Named) -> bool:
        return self._key() <= other._key() if isinstance(other, Named) else NotImplemented

    def __gt__(self, other: Named) -> bool:
        return self._key() > other._key() if isinstance(other, Named) else NotImplemented

    def __ge__(self, other: Named) -> bool:
        return self._key() >= other._key() if isinstance(other, Named) else NotImplemented


#: What names a file of the remote. A local path does not.
Name = Union[str, bytes, PurePosixPath, Named]


def text_of(name: Name) -> str:
    """The text of a path."""
    if isinstance(name, str):
        return name
    if isinstance(name, bytes):
        return decode(name)
    if isinstance(name, (PurePosixPath, Named)):
        return str(name)
    raise TypeError(
        f"a path of the remote is str, bytes or PurePosixPath, not {type(name).__name__}"
    )


def encode(name: Name) -> bytes:
    """The bytes of a path."""
    if isinstance(name, bytes):
        return name
    text = text_of(name)
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise InvalidInput(f"files: {text!r} cannot be the name of a file") from None


def decode(path: bytes) -> str:
    """The text of a path's bytes."""
    return path.decode("utf-8", "surrogateescape")


def literal(name: Name) -> bytes:
    """A path for those who know nothing of ``~``: as a word of a command, or in a link."""
    if isinstance(name, Named) and name._home:
        raise InvalidInput(f"files: {str(name)!r} means the home directory here: use expanduser()")
    return encode(name)
