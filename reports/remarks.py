"""What a run says of its estimates and verdicts, in the reader's language.

A run's own sentences are English. Those of the locale under `said.` are worded as the program
words them, with gaps, so an English page shows them as they came and a Japanese one says the same.
What no sentence fits, as one of another version or an error's own words, is shown as it came.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Final

from reports.text import Text, load_text, metric_label, shown

_SAID: Final = "said."
_PROTOCOL: Final = ("said.noise_floor.alone", "said.extractor", "said.against")
_DEEPEST: Final = 3
"""Sentences within sentences that are read; deeper ones are nobody's but a forger's."""
_INNER: Final = ("why", "rest")
"""Gaps that hold another sentence."""


def said(text: Text, sentence: str) -> str:
    """Return a method, reason or note of a run; "" for what says nothing.

    >>> said(load_text("ja"), "a maximum has no interval")
    '最大値のため信頼区間なし'
    >>> said(load_text("en"), "a maximum has no interval")
    'a maximum has no interval'
    """
    safe = shown(sentence)
    return safe if text.language == "en" else _translated(text, safe, _DEEPEST) or safe


def protocol(note: str) -> str:
    """Return what values of a metric stand on, without what is one arm's own; "" for other notes.

    >>> protocol("noise floor 3.08 at n = 64, ratio 1.29")
    'noise floor 3.08 at n = 64'
    """
    key, gaps = _match(shown(note))
    if key == "said.noise_floor":
        return load_text("en")("said.noise_floor.alone", value=gaps["value"], n=gaps["n"])
    return note if key in _PROTOCOL else ""


def _translated(text: Text, sentence: str, depth: int) -> str:
    """Return a sentence in another language; "" where none is known."""
    key, gaps = _match(sentence)
    if key:
        filled = {name: _gap(text, name, gap, depth) for name, gap in gaps.items()}
        return text(key, **filled)
    head, colon, rest = sentence.partition(": ")
    inner = _translated(text, rest, depth - 1) if colon and depth else ""
    return inner and f"{text.get(f'whose.{head}', head)}{text('punctuation.colon')}{inner}"


def _gap(text: Text, name: str, gap: str, depth: int) -> str:
    if name in _INNER:
        return (_translated(text, gap, depth - 1) if depth else "") or gap
    if name == "differs":
        return text("list.comma").join(_difference(text, one) for one in gap.split("; "))
    if name == "metric":
        return metric_label(text, gap)
    return text.get(f"whose.{gap}", gap)


def _difference(text: Text, one: str) -> str:
    """Return 'reference: a against b', as two numbers that must not be compared differ."""
    field, colon, pair = one.partition(": ")
    mine, against, theirs = pair.partition(" against ")
    if not colon or not against:
        return one
    field = text.get(f"differs.{field}", field)
    return text("differs.pair", field=field, mine=mine, theirs=theirs)


def _match(sentence: str) -> tuple[str, dict[str, str]]:
    """Return the key of the sentence that fits, and what stands in its gaps."""
    for key, form in _forms():
        if found := form.fullmatch(sentence):
            return key, found.groupdict()
    return "", {}


@cache
def _forms() -> tuple[tuple[str, re.Pattern[str]], ...]:
    """Return the sentences that are known, those with the most words of their own first."""
    found = {key: one for key, one in load_text("en").table.items() if key.startswith(_SAID)}
    parts = {key: re.split(r"\{(\w+)\}", one) for key, one in found.items()}
    keys = sorted(parts, key=lambda key: -sum(map(len, parts[key][::2])))
    return tuple((key, re.compile(_pattern(parts[key]))) for key in keys)


def _pattern(parts: list[str]) -> str:
    gaps = (f"(?P<{name}>.+?)" for name in parts[1::2])
    return re.escape(parts[0]) + "".join(
        gap + re.escape(own) for gap, own in zip(gaps, parts[2::2], strict=True)
    )
