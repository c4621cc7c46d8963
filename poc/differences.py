"""What differs between two JSON values, in words."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

_LONGEST = 60


def differences(old: Any, new: Any, where: str = "") -> Iterator[str]:
    """Yield one line for each place where two JSON values differ, in the order of sorted keys.

    >>> list(differences({"a": [1, 2], "b": "x"}, {"a": [1, 3, 4], "b": "x"}))
    ['a: 2 entries -> 3 entries', 'a[1]: 2 -> 3']
    """
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            place = f"{where}.{key}" if where else str(key)
            yield from differences(old.get(key), new.get(key), place)
    elif isinstance(old, list) and isinstance(new, list):
        if len(old) != len(new):
            yield f"{where}: {len(old)} entries -> {len(new)} entries"
        for number, (one, other) in enumerate(zip(old, new, strict=False)):
            yield from differences(one, other, f"{where}[{number}]")
    elif type(old) is not type(new) or old != new:
        yield f"{where}: {_short(old)} -> {_short(new)}"


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
