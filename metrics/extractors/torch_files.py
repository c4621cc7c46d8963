"""Read the tensors of files that torch wrote, without calling anything that they name.

A pickle is a program: unpickling runs it. Here its instructions are read as data. Where one asks
for a call, the call is written down as a `Call` and nothing is called; numbers are then taken from
the file's own storage records. Three layouts are read: the zip archive of `torch.save`, the one of
TorchScript (its code is left alone), and the older single stream.
"""

from __future__ import annotations

import itertools
import math
import pickletools
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final, cast

import numpy as np
from numpy.typing import NDArray

from metrics.extractors.base import WeightsError

if TYPE_CHECKING:
    import torch

Tensor = NDArray[np.generic]

_STORAGES: Final[Mapping[str, str]] = {
    "torch DoubleStorage": "<f8",
    "torch FloatStorage": "<f4",
    "torch HalfStorage": "<f2",
    "torch LongStorage": "<i8",
    "torch IntStorage": "<i4",
    "torch ShortStorage": "<i2",
    "torch CharStorage": "|i1",
    "torch ByteStorage": "|u1",
    "torch BoolStorage": "|b1",
}
_LEGACY_MAGIC: Final = 0x1950A86A20F9469CFC6C
_LEGACY_PROTOCOL: Final = 1001
_MAX_OPCODES: Final = 5_000_000
_MAX_DEPTH: Final = 64
_MAX_VISITS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Name:
    """Something the file wants imported; it is not."""

    text: str


@dataclass(slots=True)
class Call:
    """A call that the file asks for, and the state that it would set; nothing is called."""

    function: Any
    arguments: Any
    state: Any = None


@dataclass(frozen=True, slots=True)
class StorageId:
    """A reference to bytes that lie outside the pickle."""

    parts: Any


@dataclass(slots=True)
class _Machine:
    """The stack, marks and memo of the pickle language, over inert values."""

    stack: list[Any] = field(default_factory=list)
    marks: list[int] = field(default_factory=list)
    memo: dict[int, Any] = field(default_factory=dict)

    def pop(self) -> Any:
        return self.stack.pop()

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def since_mark(self) -> list[Any]:
        start = self.marks.pop()
        values = self.stack[start:]
        del self.stack[start:]
        return values


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Every tensor of a file by its dotted name, in the file's own order.

    Dictionaries and the attributes of TorchScript modules give the names. Arrays are copies in
    the machine's own byte order, bfloat16 and sparse tensors are not read.

    Raises:
        WeightsError: the file is none of the three layouts, is damaged, or holds what is not read.
    """
    try:
        with path.open("rb") as file:
            is_zip = file.read(4) == b"PK\x03\x04"
            file.seek(0)
            found = _of_zip(file) if is_zip else _of_stream(file)
        return dict(found)
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from None
    except (OSError, zipfile.BadZipFile, EOFError) as error:
        raise WeightsError(f"{path}: cannot be read as a file of torch ({error})") from error
    except (ValueError, KeyError, IndexError, TypeError, OverflowError, RecursionError) as error:
        raise WeightsError(f"{path}: damaged, or no file of torch ({error!r})") from error


def named_tensors(path: Path) -> dict[str, torch.Tensor]:
    """Every tensor of a file by name: safetensors by its suffix, else as `read_tensors`.

    Raises:
        WeightsError: it cannot be read.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if path.suffix != ".safetensors":
        return {name: torch.from_numpy(value) for name, value in read_tensors(path).items()}
    try:
        return load_file(path)
    except (OSError, ValueError, SafetensorError) as error:
        raise WeightsError(f"{path}: cannot be read ({error})") from error


def script_of(path: Path) -> str:
    """All source text of a TorchScript archive, to be read and never run; empty where none is."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = sorted(n for n in archive.namelist() if "/code/" in n and n.endswith(".py"))
            return "\n".join(archive.read(name).decode("utf-8", "replace") for name in names)
    except (OSError, zipfile.BadZipFile):
        return ""


# --- layouts -------------------------------------------------------------------------------------


def _of_zip(file: BinaryIO) -> list[tuple[str, Tensor]]:
    with zipfile.ZipFile(file) as archive:
        pickles = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise WeightsError(f"expected one data.pkl in the archive, got {len(pickles)}")
        top = pickles[0].removesuffix("data.pkl")
        if f"{top}byteorder" in archive.namelist():
            _check_order(archive.read(f"{top}byteorder"))
        with archive.open(pickles[0]) as stream:
            tree = _parsed(cast("BinaryIO", stream))

        def storage(key: str, _dtype: np.dtype[Any], _count: int) -> bytes:
            return archive.read(f"{top}data/{key}")

        return list(_tensors(tree, storage, itertools.count()))


def _check_order(order: bytes) -> None:
    if order != b"little":
        raise WeightsError(f"expected little-endian numbers, got {order.decode(errors='replace')}")


def _of_stream(file: BinaryIO) -> list[tuple[str, Tensor]]:
    if (_parsed(file), _parsed(file)) != (_LEGACY_MAGIC, _LEGACY_PROTOCOL):
        raise WeightsError("expected a file of torch.save or a TorchScript archive")
    system = _parsed(file)
    if not (isinstance(system, dict) and system.get("little_endian") is True):
        raise WeightsError("expected little-endian numbers")
    tree = _parsed(file)
    keys = _parsed(file)
    sizes = {key: (dtype, count) for key, dtype, count in _storages(tree, 0, itertools.count())}
    contents: dict[str, bytes] = {}
    for key in keys:
        dtype, count = sizes[key]
        if int.from_bytes(file.read(8), "little") != count:
            raise WeightsError(f"storage {key}: another length than the pickle states")
        contents[key] = file.read(count * dtype.itemsize)

    def storage(key: str, _dtype: np.dtype[Any], _count: int) -> bytes:
        return contents[key]

    return list(_tensors(tree, storage, itertools.count()))


def _visit(visits: Iterator[int], depth: int) -> None:
    """Count a step into a tree: what is shared in it would be walked once for each way there."""
    if depth > _MAX_DEPTH:
        raise WeightsError("nested too deeply")
    if next(visits) > _MAX_VISITS:
        raise WeightsError(f"more than {_MAX_VISITS} parts")


def _storages(
    tree: Any, depth: int, visits: Iterator[int]
) -> Iterator[tuple[str, np.dtype[Any], int]]:
    """Yield key, type and length of every storage that a tree refers to."""
    _visit(visits, depth)
    if isinstance(tree, StorageId):
        yield _storage_of(tree)
    children: list[Any] = []
    if isinstance(tree, Call):
        children = [tree.arguments, tree.state]
    elif isinstance(tree, dict):
        children = list(tree.values())
    elif isinstance(tree, list | tuple):
        children = list(tree)
    for child in children:
        yield from _storages(child, depth + 1, visits)


# --- tensors -------------------------------------------------------------------------------------

_Storage = Callable[[str, np.dtype[Any], int], bytes]


def _tensors(
    tree: Any, storage: _Storage, visits: Iterator[int], prefix: str = ""
) -> Iterator[tuple[str, Tensor]]:
    """Yield name and value of every tensor in dictionaries and in the states of modules."""
    _visit(visits, prefix.count("."))
    if isinstance(tree, Call):
        tensor = _tensor(tree, storage)
        if tensor is not None:
            yield prefix.removesuffix("."), tensor
            return
        tree = tree.state
    if isinstance(tree, dict):
        for name, value in tree.items():
            yield from _tensors(value, storage, visits, f"{prefix}{name}.")


def _tensor(call: Call, storage: _Storage) -> Tensor | None:
    """Return the array that a call of torch's own rebuilders describes, None for other calls."""
    function = call.function.text if isinstance(call.function, Name) else ""
    if function == "torch._utils _rebuild_parameter":
        inner = call.arguments[0]
        return _tensor(inner, storage) if isinstance(inner, Call) else None
    if function != "torch._utils _rebuild_tensor_v2":
        return None
    reference, offset, shape, strides = call.arguments[:4]
    key, dtype, count = _storage_of(reference)
    return _view(storage(key, dtype, count), dtype, count, (offset, tuple(shape), tuple(strides)))


def _storage_of(reference: Any) -> tuple[str, np.dtype[Any], int]:
    parts: tuple[Any, ...] = reference.parts if isinstance(reference, StorageId) else ()
    if len(parts) not in {5, 6} or parts[0] != "storage" or parts[5:] not in {(), (None,)}:
        raise WeightsError(f"expected a reference to a storage, got {parts!r:.80}")
    kind = parts[1].text if isinstance(parts[1], Name) else str(parts[1])
    if kind not in _STORAGES:
        raise WeightsError(f"numbers of type {kind!r:.60} are not read")
    count = int(parts[4])
    if count < 0:
        raise WeightsError(f"a storage of {count} numbers")
    return str(parts[2]), np.dtype(_STORAGES[kind]), count


def _view(
    content: bytes,
    dtype: np.dtype[Any],
    count: int,
    place: tuple[int, tuple[int, ...], tuple[int, ...]],
) -> Tensor:
    """Copy the numbers of one tensor out of its storage; never a byte beyond it."""
    offset, shape, strides = place
    if len(content) != count * dtype.itemsize:
        raise WeightsError(f"a storage of {len(content)} bytes where {count} x {dtype} are due")
    if len(shape) != len(strides) or min((offset, *shape, *strides), default=0) < 0:
        raise WeightsError(f"a tensor of shape {shape} with strides {strides}")
    if math.prod(shape) > count:
        raise WeightsError(f"a tensor of shape {shape} in a storage of {count} numbers")
    last = offset + sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
    if math.prod(shape) and last >= count:
        raise WeightsError(f"a tensor that ends at {last} of a storage of {count} numbers")
    flat = np.frombuffer(content, dtype)[offset:]
    steps = tuple(step * dtype.itemsize for step in strides)
    view = np.lib.stride_tricks.as_strided(flat, shape, steps) if math.prod(shape) else flat[:0]
    return np.array(view.reshape(shape), dtype.newbyteorder("="), order="C")


# --- the pickle language, as data ----------------------------------------------------------------


def _parsed(stream: BinaryIO) -> Any:
    """Return what one pickle describes, and leave the stream behind its end."""
    machine = _Machine()
    for count, (opcode, argument, _) in enumerate(pickletools.genops(stream)):
        if count > _MAX_OPCODES:
            raise WeightsError("a pickle of too many instructions")
        if opcode.name == "STOP":
            return machine.pop()
        if opcode.name in _LITERALS:
            machine.push(argument)
        elif opcode.name in _STEPS:
            _STEPS[opcode.name](machine, argument)
        elif opcode.name not in {"PROTO", "FRAME"}:
            raise WeightsError(f"a pickle with the instruction {opcode.name}, which is not read")
    raise WeightsError("a pickle without an end")


_LITERALS: Final = frozenset(
    {"INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"}
    | {"STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "SHORT_BINUNICODE", "BINUNICODE"}
    | {"BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8"}
)
"""Instructions that put their own argument on the stack."""


def _call(machine: _Machine, _: Any) -> None:
    arguments, function = machine.pop(), machine.pop()
    if function == Name("collections OrderedDict") and not arguments:
        machine.push({})
    else:
        machine.push(Call(function, arguments))


def _build(machine: _Machine, _: Any) -> None:
    state, thing = machine.pop(), machine.stack[-1]
    if isinstance(thing, Call):
        thing.state = state


def _set_items(machine: _Machine, values: list[Any]) -> None:
    target = machine.stack[-1]
    pairs = zip(values[::2], values[1::2], strict=True)
    target = target if isinstance(target, dict) else {}  # of no type that holds tensors
    target.update((key, value) for key, value in pairs if isinstance(key, str | int))


def _append(machine: _Machine, values: list[Any]) -> None:
    target = machine.stack[-1]
    if isinstance(target, list):
        target.extend(values)


def _tuple_of(count: int) -> Callable[[_Machine, Any], None]:
    def step(machine: _Machine, _: Any) -> None:
        values = tuple(machine.stack[-count:])
        del machine.stack[-count:]
        machine.push(values)

    return step


def _memoized(machine: _Machine, _: Any) -> None:
    machine.memo[len(machine.memo)] = machine.stack[-1]


def _put(machine: _Machine, place: Any) -> None:
    machine.memo[place] = machine.stack[-1]


def _pairs(values: list[Any]) -> dict[Any, Any]:
    return dict(zip(values[::2], values[1::2], strict=True))


def _stack_name(machine: _Machine, _: Any) -> None:
    name, module = machine.pop(), machine.pop()
    machine.push(Name(f"{module} {name}"))


_STEPS: Final[Mapping[str, Callable[[_Machine, Any], None]]] = {
    "NONE": lambda machine, _: machine.push(None),
    "NEWTRUE": lambda machine, _: machine.push(True),
    "NEWFALSE": lambda machine, _: machine.push(False),
    "MARK": lambda machine, _: machine.marks.append(len(machine.stack)),
    "EMPTY_DICT": lambda machine, _: machine.push({}),
    "EMPTY_LIST": lambda machine, _: machine.push([]),
    "EMPTY_TUPLE": lambda machine, _: machine.push(()),
    "DICT": lambda machine, _: machine.push(_pairs(machine.since_mark())),
    "LIST": lambda machine, _: machine.push(machine.since_mark()),
    "TUPLE": lambda machine, _: machine.push(tuple(machine.since_mark())),
    "TUPLE1": _tuple_of(1),
    "TUPLE2": _tuple_of(2),
    "TUPLE3": _tuple_of(3),
    "SETITEM": lambda machine, _: _set_items(machine, [machine.pop(), machine.pop()][::-1]),
    "SETITEMS": lambda machine, _: _set_items(machine, machine.since_mark()),
    "APPEND": lambda machine, _: _append(machine, [machine.pop()]),
    "APPENDS": lambda machine, _: _append(machine, machine.since_mark()),
    "POP": lambda machine, _: machine.stack.pop(),
    "POP_MARK": lambda machine, _: machine.since_mark().clear(),
    "DUP": lambda machine, _: machine.push(machine.stack[-1]),
    "BINGET": lambda machine, place: machine.push(machine.memo[place]),
    "LONG_BINGET": lambda machine, place: machine.push(machine.memo[place]),
    "GET": lambda machine, place: machine.push(machine.memo[place]),
    "BINPUT": _put,
    "LONG_BINPUT": _put,
    "PUT": _put,
    "MEMOIZE": _memoized,
    "GLOBAL": lambda machine, name: machine.push(Name(str(name))),
    "STACK_GLOBAL": _stack_name,
    "BINPERSID": lambda machine, _: machine.push(StorageId(machine.pop())),
    "REDUCE": _call,
    "NEWOBJ": _call,
    "BUILD": _build,
}
"""Instructions that move values about. None imports, none calls."""
