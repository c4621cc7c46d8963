"""The font of the documents, which letters it has, and text that has none but these.

The font comes with the package `matplotlib-fontja`: IPAex Gothic, Japanese and Latin in one file,
with its licence (IPA Font License 1.0) beside it.
"""

from __future__ import annotations

import dataclasses
import re
import unicodedata
from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from poc.errors import InputError

FAMILY: Final = "IPAexGothic"
_FILE: Final = "ipaexg.ttf"

_BRACKETS: Final = str.maketrans({"⟨": "〈", "⟩": "〉"})
"""The brackets of `reports.text.shown`, which the font lacks, to those that it has."""

_UNBROKEN: Final = re.compile(r"[!-~]{24}(?=[!-~])")
_BREAK: Final = "\u200b"
"""Where a line may end inside what has no spaces: takes no room."""


def font_folder() -> Path:
    """Return the folder of the font.

    Raises:
        InputError: the package is not installed.
    """
    found = find_spec("matplotlib_fontja")
    folder = Path(found.origin).parent / "fonts" if found and found.origin else None
    if folder is None or not (folder / _FILE).is_file():
        raise InputError(
            "documents need a Japanese font. Install it: pip install 'animatelcm-poc[documents]'"
        )
    return folder


@cache
def letters_of_font() -> frozenset[int]:
    """Return the code points that the font has a glyph for."""
    from matplotlib.ft2font import FT2Font

    return frozenset(FT2Font(str(font_folder() / _FILE)).get_charmap())


class Letters:
    """Replaces what the font lacks by its number in brackets, and remembers what that was."""

    def __init__(self) -> None:
        self.replaced: dict[str, str] = {}

    def fit(self, text: str) -> str:
        r"""Return text of which every sign has a glyph, or takes no room.

        >>> Letters().fit("髙﨑 \U0001f3ac")
        '髙﨑 〈U+1F3AC〉'
        """
        fitted = "".join(map(self._letter, text.translate(_BRACKETS)))
        return _UNBROKEN.sub(lambda found: found[0] + _BREAK, fitted)

    def _letter(self, sign: str) -> str:
        if ord(sign) in letters_of_font() or sign == "\n":
            return sign
        if unicodedata.category(sign) == "Zs":
            return " "
        code = f"〈U+{ord(sign):04X}〉"
        self.replaced[sign] = code
        return code

    def fitted(self, data: Any) -> Any:
        """Return records, mappings and sequences as JSON has them, with every text fitted."""
        if isinstance(data, str):
            return self.fit(data)
        if dataclasses.is_dataclass(data) and not isinstance(data, type):
            fields = {f.name: getattr(data, f.name) for f in dataclasses.fields(data)}
            return {"kind": type(data).__name__} | self.fitted(fields)
        if isinstance(data, Mapping):
            return {key: self.fitted(value) for key, value in data.items()}
        if isinstance(data, tuple | list):
            return [self.fitted(one) for one in data]
        return data
