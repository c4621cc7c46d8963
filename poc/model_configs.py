"""What the JSON files of a model may say: nothing that makes a library run code of the repository.

diffusers loads a pipeline from the repository where `_class_name` or a library's name in
model_index.json is one of its own files, and transformers does so by `auto_map`. Both ask first
(`trust_remote_code`), and we never allow it; here such a repository is refused before either
library sees it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from poc.errors import InputError

MAX_CONFIG_BYTES: Final = 32 << 20  # the largest in use, a T5 tokenizer.json, has 17 MB
LIBRARIES: Final = frozenset({"diffusers", "transformers", "stable_diffusion"})
"""What model_index.json may name; the last is diffusers' own module of the safety checker."""
_INDEX: Final = "model_index.json"


def check_config(path: Path) -> None:
    """Refuse a JSON file that is too large, damaged, no object, or asks for code of its own.

    Raises:
        InputError: the first fault.
    """
    config = _read(path)
    for fault in _faults(config, is_index=path.name == _INDEX):
        raise InputError(
            f"{path}: {fault} Such a repository brings code of its own, which is never run. "
            "Take the model from a repository without it."
        )


def _read(path: Path) -> Mapping[str, Any]:
    size = path.stat().st_size
    if size > MAX_CONFIG_BYTES:
        raise InputError(
            f"{path}: expected a configuration of at most {MAX_CONFIG_BYTES} bytes, got {size}. "
            "Restore it."
        )
    try:
        config = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: damaged JSON: {str(error)[:100]}. Restore it.") from error
    if not isinstance(config, dict):
        raise InputError(f"{path}: expected a JSON object, got {_kind(config)}. Restore it.")
    return config


def _faults(config: Mapping[str, Any], *, is_index: bool) -> Iterator[str]:
    # A vocabulary may hold any word, but gives it a number.
    if isinstance(config.get("auto_map"), Mapping | list | str):
        yield "'auto_map' names code of the repository."
    if "_class_name" in config and not _is_name(config["_class_name"]):
        yield f"'_class_name': expected the name of a class, got {_kind(config['_class_name'])}."
    for key, value in config.items() if is_index else ():
        if isinstance(value, list | Mapping) and not _is_component(value):
            yield (
                f"'{key}': expected a class of {', '.join(sorted(LIBRARIES))}, "
                f"got {json.dumps(value)[:100]}."
            )


def _is_component(value: object) -> bool:
    """Whether a value is [library, class] of a known library, or [null, null]."""
    if not isinstance(value, list) or len(value) != 2:
        return False
    library, name = value
    if library is None or name is None:
        return value == [None, None]
    return isinstance(library, str) and library in LIBRARIES and _is_name(name)


def _is_name(value: object) -> bool:
    return isinstance(value, str) and value.isidentifier()


def _kind(value: object) -> str:
    """Return what a JSON value is, in JSON's words.

    >>> [_kind(value) for value in ([1], {}, "a", 1, None)]
    ['a list', 'an object', 'text', 'a number or null', 'a number or null']
    """
    if isinstance(value, list):
        return "a list"
    if isinstance(value, Mapping):
        return "an object"
    return "text" if isinstance(value, str) else "a number or null"
