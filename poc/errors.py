"""The one exception that people are meant to read."""

from __future__ import annotations

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
