"""Finds names and brands in prompts, from a list that the company keeps; nothing is built in.

Spelling is compared after Unicode NFKC and case folding, invisible signs left out. Where a term
ends in a Japanese letter it is found inside words, elsewhere only as a whole word. Other spellings,
plurals, translations and descriptions of a person are not found: people still have to read.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from poc.records import Prompt

_IGNORABLE: Final = frozenset(
    sign
    for first, last in (
        (0x34F, 0x34F), (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180F), (0x2065, 0x2065),
        (0x3164, 0x3164), (0xFE00, 0xFE0F), (0xFFA0, 0xFFA0), (0xFFF0, 0xFFF8), (0xE0000, 0xE0FFF),
    )
    for sign in map(chr, range(first, last + 1))
)  # fmt: skip
"""Unicode's Default_Ignorable_Code_Point beyond category Cf: nothing is drawn for them."""
_BREAKS: Final = frozenset("\t\n\v\f\r\x85")
"""Controls that part words: Unicode's White_Space within category Cc."""
_JAPANESE: Final = ("CJK UNIFIED", "CJK COMPATIBILITY", "HIRAGANA", "KATAKANA", "IDEOGRAPHIC")


class Hit(NamedTuple):
    """A term of the list that a prompt names."""

    prompt_id: str
    term: str


def screen(prompts: Iterable[Prompt], terms: Sequence[str]) -> tuple[Hit, ...]:
    """Return every term that a prompt names, in the text that is fed or the Japanese wording."""
    return tuple(
        Hit(prompt.id, term)
        for prompt in prompts
        for term in terms
        if names(prompt.text, term) or names(prompt.text_ja, term)
    )


def names(text: str, term: str) -> bool:
    """Return whether a text names a term.

    >>> names("A PORSCHE 911", "porsche"), names("a supportsche", "porsche")
    (True, False)
    >>> names("ｐｏｒｓｃｈｅの車", "Porsche"), names("新東京塔展", "東京塔"), names("a", " ")
    (True, True, False)
    """
    within, wanted = folded(text), folded(term)
    return bool(wanted) and any(_is_whole(within, wanted, at) for at in _places(within, wanted))


def folded(text: str) -> str:
    r"""Return the form in which spellings are compared: NFKC, case folded, single spaces.

    >>> folded("  Ｃｏｃａ\u200b \t COLA ")
    'coca cola'
    """
    visible = "".join(sign for sign in text if not _is_invisible(sign))
    plain = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", visible).casefold())
    return " ".join(plain.split())


def _is_invisible(sign: str) -> bool:
    if sign in _BREAKS:
        return False
    return sign in _IGNORABLE or unicodedata.category(sign) in {"Cc", "Cf"}


def _places(text: str, term: str) -> Iterator[int]:
    at = text.find(term)
    while at >= 0:
        yield at
        at = text.find(term, at + 1)


def _is_whole(text: str, term: str, at: int) -> bool:
    before, after = text[at - 1 : at], text[at + len(term) :][:1]
    return _may_meet(before, term[0]) and _may_meet(after, term[-1])


def _may_meet(outside: str, edge: str) -> bool:
    """Return whether a term may end at `edge` with `outside` next to it."""
    return _is_japanese(edge) or not edge.isalnum() or not _is_word(outside)


def _is_word(sign: str) -> bool:
    return sign.isalnum() and not _is_japanese(sign)


def _is_japanese(sign: str) -> bool:
    return unicodedata.name(sign, "").startswith(_JAPANESE)
