"""The one exception that people are meant to read."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from difflib import get_close_matches

EXIT_CODE = 2
"""What a command exits with after an `InputError`: usage, bad spec or failed environment."""


class InputError(Exception):
    """Something that the user can mend: a spec, a file, a name, a full disk.

    The message says where, what was expected, what came and what to do. Its first line is the
    headline; further lines, if any, are further faults of the same kind.
    """

    exit_code = EXIT_CODE


class DeviceLostError(InputError):
    """A device that this process cannot use any more; a new process can, unless it is broken."""


def plain(text: str) -> str:
    r"""Return text without anything that steers a terminal or reorders letters; lines stay lines.

    Names of files and words of a spec come into messages as somebody else wrote them.

    >>> plain("a\x1b[31m\u202eb\nc")
    'a\ufffd[31m\ufffdb\nc'
    """
    return "".join(letter if letter == "\n" else _visible(letter) for letter in text)


def _visible(letter: str) -> str:
    return "\ufffd" if unicodedata.category(letter) in _STEERING else letter


_STEERING = frozenset({"Cc", "Cf", "Cs", "Cn", "Co", "Zl", "Zp"})


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return the end of an error about an unknown `word`: the nearest known one, or all of them.

    >>> did_you_mean("num_frame", ["num_frames", "fps"])
    "Did you mean 'num_frames'?"
    >>> did_you_mean("xyz", ["fps", "width"])
    'Known: fps, width.'
    """
    names = sorted(known)
    near = get_close_matches(word, names, n=1)
    if near:
        return f"Did you mean '{near[0]}'?"
    return f"Known: {', '.join(names)}." if names else "There are none."
