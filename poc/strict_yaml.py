"""YAML that cannot surprise: text with line numbers in, records out, or errors naming the line.

Read as YAML 1.2 core: `no` and `12:30:00` are text, `010` is ten, `1e-4` is a number. Refused:
duplicate keys, keys that are not text, anchors, aliases, tags, a second document, and anything
larger than a spec or dataset has reason to be. What a value must be, only the record says.
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple, TypeVar, get_args

import yaml
from pydantic import BaseModel, JsonValue, ValidationError

from poc.errors import InputError, did_you_mean
from poc.records import Record

MAX_BYTES: Final = 1 << 20
MAX_NODES: Final = 10_000
MAX_DEPTH: Final = 32
MAX_DIGITS: Final = 64  # of a plain number; Python itself refuses to read very long ones

_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NULL: Final = re.compile(r"null|Null|NULL|~|")
_BOOL: Final = re.compile(r"(true|True|TRUE)|false|False|FALSE")
_INT: Final = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE: Final = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_HIDDEN: Final = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")

Scalar = None | bool | int | float | str
RecordType = TypeVar("RecordType", bound=Record)


@dataclass(frozen=True, slots=True)
class Node:
    """A value of the file with the line it starts on (from 1)."""

    value: Scalar | tuple[Node, ...] | Mapping[str, Node]
    line: int
    key_lines: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    """Of a mapping: the line of each key."""

    def get(self, *keys: str | int) -> Node:
        """Return the node at `keys`, or the nearest one above it that exists."""
        node = self
        for key in keys:
            children = node.children()
            if key not in children:
                break
            node = children[key]
        return node

    def children(self) -> Mapping[str | int, Node]:
        """Return the nodes directly below, by key or position; none below a scalar."""
        if isinstance(self.value, Mapping):
            return dict(self.value.items())
        return dict(enumerate(self.value)) if isinstance(self.value, tuple) else {}


class Problem(NamedTuple):
    """One fault of a file, without the file's name."""

    line: int
    text: str


def refuse(path: Path | str, problems: Iterable[Problem]) -> None:
    """Raise `InputError` with every problem as a `file:line: text` line, if there is any."""
    lines = [f"{path}:{line}: {text}" for line, text in sorted(problems)]
    if lines:
        raise InputError("\n".join(lines))


def read_text(path: Path, limit: int = MAX_BYTES) -> str:
    """Return the text of a UTF-8 file of at most `limit` bytes; raises `InputError`."""
    try:
        with path.open("rb") as file:
            raw = file.read(limit + 1)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}. Check the path.") from error
    if len(raw) > limit:
        raise InputError(f"{path}: expected at most {limit} bytes, got more. Split the file.")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise InputError(f"{path}:{line}: expected UTF-8 text. Save the file as UTF-8.") from error


def load(text: str, path: Path | str) -> Node:
    r"""Return the tree of one YAML document; `path` is only for messages.

    Raises:
        InputError: the text is not YAML, or uses what this module refuses.

    >>> load("on: no\nrate: 1e-4", "a.yaml").get("rate").value
    0.0001
    >>> load("a: 1\na: 2", "a.yaml")
    Traceback (most recent call last):
    poc.errors.InputError: a.yaml:2: duplicate key 'a', first given on line 1. Keep one of them.
    """
    if len(text.encode("utf-8", "replace")) > MAX_BYTES:
        raise InputError(f"{path}: expected at most {MAX_BYTES} bytes, got more. Split the file.")
    try:
        return _document(_Events(text, path))
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise InputError(f"{path}:{line}: not valid YAML: {error.problem}.") from error
    except yaml.YAMLError as error:
        line = text[: getattr(error, "position", None) or 0].count("\n") + 1
        raise InputError(
            f"{path}:{line}: not valid YAML: a character that may not stand in a text file."
        ) from error


def plain(node: Node) -> JsonValue:
    """Return the value of a tree without its line numbers.

    >>> plain(load("a: [1, ~]", "a.yaml"))
    {'a': [1, None]}
    """
    if isinstance(node.value, Mapping):
        return {key: plain(item) for key, item in node.value.items()}
    if isinstance(node.value, tuple):
        return [plain(item) for item in node.value]
    return node.value


def decode(record_type: type[RecordType], node: Node, path: Path | str) -> RecordType:
    """Return the record that a tree describes, strictly.

    Raises:
        InputError: every fault on its own line, the topmost of the file first.
    """
    try:
        return record_type.from_json(json.dumps(plain(node), allow_nan=False))
    except ValidationError as error:
        refuse(path, _problems(record_type, node, error))
        raise


# --- text to tree --------------------------------------------------------------------------------


class _Events:
    """The parser's events, with all that we refuse already refused."""

    def __init__(self, text: str, path: Path | str) -> None:
        self.path = path
        self._events = yaml.parse(text, Loader=_LOADER)
        self._nodes = 0

    def __iter__(self) -> Iterator[yaml.Event]:
        return self

    def __next__(self) -> yaml.Event:
        event = next(self._events)
        if isinstance(event, yaml.NodeEvent):
            self._check(event)
        return event

    def stop(self, event: yaml.Event, text: str) -> InputError:
        return InputError(f"{self.path}:{_line(event)}: {text}")

    def _check(self, event: yaml.NodeEvent) -> None:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise self.stop(event, f"expected at most {MAX_NODES} values. Split the file.")
        if event.anchor is not None:
            sign = "*" if isinstance(event, yaml.AliasEvent) else "&"
            raise self.stop(
                event, f"'{sign}{event.anchor}': anchors and aliases are refused. Write it out."
            )
        if isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent) and event.tag:
            raise self.stop(event, f"tag '{event.tag}' is refused. Write a plain value.")


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 1


def _document(events: _Events) -> Node:
    root: Node | None = None
    for event in events:
        if isinstance(event, yaml.NodeEvent):
            root = _node(event, events, 0)
        elif isinstance(event, yaml.DocumentStartEvent) and root is not None:
            raise events.stop(event, "a second document ('---') is refused. Use two files.")
    if root is None:
        raise InputError(f"{events.path}:1: the file is empty. Expected keys and values.")
    return root


def _node(event: yaml.Event, events: _Events, depth: int) -> Node:
    if depth >= MAX_DEPTH and isinstance(event, yaml.CollectionStartEvent):
        raise events.stop(event, f"expected at most {MAX_DEPTH} levels of nesting.")
    if isinstance(event, yaml.SequenceStartEvent):
        return Node(tuple(_items(events, depth + 1)), _line(event))
    if isinstance(event, yaml.MappingStartEvent):
        return _mapping(_line(event), events, depth + 1)
    return Node(_scalar(event, events), _line(event))


def _items(events: _Events, depth: int) -> Iterator[Node]:
    for event in events:
        if isinstance(event, yaml.SequenceEndEvent):
            return
        yield _node(event, events, depth)


def _mapping(line: int, events: _Events, depth: int) -> Node:
    values: dict[str, Node] = {}
    key_lines: dict[str, int] = {}
    for event in events:
        if isinstance(event, yaml.MappingEndEvent):
            break
        key = _key(event, events)
        if key in values:
            raise events.stop(
                event,
                f"duplicate key '{key}', first given on line {key_lines[key]}. Keep one of them.",
            )
        key_lines[key] = _line(event)
        values[key] = _node(next(events), events, depth)
    return Node(MappingProxyType(values), line, MappingProxyType(key_lines))


def _key(event: yaml.Event, events: _Events) -> str:
    came = "a list or mapping"
    if isinstance(event, yaml.ScalarEvent):
        key = _scalar(event, events)
        if isinstance(key, str):
            return key
        came = f"'{event.value}'"
    raise events.stop(event, f"expected a key that is text, got {came}. Put it in quotes.")


def _scalar(event: yaml.Event, events: _Events) -> Scalar:
    if not isinstance(event, yaml.ScalarEvent):
        raise events.stop(event, "expected a value.")
    text = event.value
    for character in text:
        hidden = unicodedata.category(character) in {"Cc", "Cs"} or character in _HIDDEN
        if hidden and character not in "\n\t":
            raise events.stop(event, f"character U+{ord(character):04X} is refused. Remove it.")
    if event.style:
        return text
    try:
        return resolve(text)
    except ValueError as error:
        raise events.stop(event, str(error)) from error


def resolve(text: str) -> Scalar:
    """Return what a plain (unquoted) scalar means in the core schema of YAML 1.2.

    Raises:
        ValueError: infinite, not a number, or longer than 64 digits.

    >>> [resolve(text) for text in ("no", "010", "1e-4", "12:30:00", "~", "0x10", "1_000")]
    ['no', 10, 0.0001, '12:30:00', None, 16, '1_000']
    """
    if _NULL.fullmatch(text):
        return None
    if match := _BOOL.fullmatch(text):
        return match[1] is not None
    whole = _INT.fullmatch(text)
    if not whole and not _FLOAT.fullmatch(text):
        if _NOT_FINITE.fullmatch(text):
            raise ValueError(f"expected a finite number, got '{text}'.")
        return text
    if len(text) > MAX_DIGITS:
        raise ValueError(f"expected a number of at most {MAX_DIGITS} digits, got {len(text)}.")
    if whole:
        return int(text, 0) if text[:2] in {"0o", "0x"} else int(text)
    if math.isinf(float(text)):
        raise ValueError(f"expected a finite number, got '{text}'.")
    return float(text)


# --- faults of a record, in the words of its file ------------------------------------------------

_EXPECTED: Final = {
    "bool_type": "true or false",
    "dict_type": "a mapping of keys to values",
    "enum": "one of {expected}",
    "float_type": "a number",
    "greater_than": "a number above {gt}",
    "greater_than_equal": "a number of at least {ge}",
    "int_from_float": "a whole number",
    "int_type": "a whole number",
    "less_than": "a number below {lt}",
    "less_than_equal": "a number of at most {le}",
    "list_type": "a list",
    "literal_error": "one of {expected}",
    "model_type": "a mapping of keys to values",
    "string_pattern_mismatch": "text that fits {pattern}",
    "string_too_long": "at most {max_length} characters",
    "string_too_short": "at least {min_length} characters",
    "string_type": "text",
    "too_long": "at most {max_length} entries",
    "too_short": "at least {min_length} entries",
    "tuple_type": "a list",
}


def _problems(record_type: type[Record], node: Node, error: ValidationError) -> Iterator[Problem]:
    faults = [fault for fault in error.errors(include_url=False) if not _is_echo(fault)]
    unknown = [fault for fault in faults if fault["type"] == "extra_forbidden"]
    meant = set()
    for fault in unknown:
        *parent, key = fault["loc"]
        hint = did_you_mean(str(key), _keys_at(record_type, parent) - _given(node, parent))
        meant |= {(*parent, hint.removeprefix("Did you mean '").removesuffix("'?"))}
        yield Problem(node.get(*parent).key_lines[str(key)], f"unknown key '{key}'. {hint}")
    for fault in faults:
        if fault["type"] == "missing" and fault["loc"] not in meant:
            yield _missing(node, fault["loc"])
        elif fault["type"] not in {"missing", "extra_forbidden"}:
            yield _wrong(node, fault)


def _is_echo(fault: Mapping[str, Any]) -> bool:
    """Whether a list only counts as too short because entries of it are faulty themselves."""
    needed = fault.get("ctx", {}).get("min_length", 0)
    return bool(fault["type"] == "too_short" and len(fault["input"]) >= needed)


def _given(node: Node, loc: Iterable[str | int]) -> set[str]:
    return set(node.get(*loc).key_lines)


def _missing(node: Node, loc: tuple[str | int, ...]) -> Problem:
    *parent, key = loc
    inside = f" in '{_dotted(parent)}'" if parent else ""
    return Problem(node.get(*parent).line, f"missing key '{key}'{inside}. Add it.")


def _wrong(node: Node, fault: Mapping[str, Any]) -> Problem:
    loc = tuple(fault["loc"])
    line = node.get(*loc).line
    template = _EXPECTED.get(fault["type"])
    if template is None:
        text = str(fault["msg"]).removeprefix("Value error, ")
        return Problem(line, f"'{_dotted(loc)}': {text}" if loc else text)
    expected = template.format(**fault.get("ctx", {}))
    came = fault["input"]
    text = f"expected {expected}, got {_shown(came)}."
    text = f"'{_dotted(loc)}': {text}" if loc else text
    return Problem(line, text + _advice(fault["type"], expected, came))


def _advice(kind: str, expected: str, came: object) -> str:
    if kind == "string_type" and isinstance(came, bool | int | float):
        return " Put it in quotes."
    if kind in {"int_type", "float_type", "bool_type"} and isinstance(came, str):
        value = resolve(came) if len(came) < MAX_DIGITS and came[:1] != "." else came
        return "" if isinstance(value, str) else " Remove the quotes."
    if kind in {"enum", "literal_error"} and isinstance(came, str):
        hint = did_you_mean(came, re.findall(r"'([^']*)'", expected))
        return "" if hint.startswith("Known") else f" {hint}"
    return ""


def _shown(came: object) -> str:
    if isinstance(came, dict):
        return "a mapping"
    if isinstance(came, list):
        return f"a list of {len(came)}"
    if isinstance(came, str):
        return repr(came) if len(came) <= 60 else repr(came[:57] + "...")
    return json.dumps(came)


def _dotted(loc: Iterable[str | int]) -> str:
    """Return where a value stands, as people write it: `arms[0].steps`."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc)
    return "".join(parts).removeprefix(".")


def _keys_at(record_type: type[BaseModel], loc: Iterable[str | int]) -> set[str]:
    """Return the keys that the record at `loc` has."""
    for part in loc:
        if isinstance(part, str):
            found = _record_within(record_type.model_fields[part].annotation)
            record_type = found or record_type
    return set(record_type.model_fields)


def _record_within(annotation: object) -> type[BaseModel] | None:
    """Return the record type inside `X`, `X | None` or `tuple[X, ...]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_record_within, get_args(annotation))), None)
