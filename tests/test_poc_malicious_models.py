"""Laws of hostile model files: refused before any library sees them, nothing run, no socket opened.

An audit hook watches. It is shown to see what it must: the payloads of the corpus do run when they
are loaded without care.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import pickle
import shutil
import socket
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from poc.errors import InputError
from poc.fetch import PART, FromFolder, fetch
from poc.model_lock import LockedFile, LockedModel, lock_path, lock_text, read_lock
from poc.models import MAX_HEADER_BYTES, ModelTable, read_models

WATCHED = ("socket.", "subprocess.", "os.exec", "os.posix_spawn", "os.system", "pickle.", "compile")
OWN_NAME = "socket.gethostname"
"""Opens no socket: whoever owns a folder leaves the name of the machine there."""
SEEN: list[str] = []
WATCHING: list[bool] = []


def _watch(event: str, _arguments: Any) -> None:
    watched = event.startswith(WATCHED) or event in {"exec", "import"}
    if WATCHING and watched and event != OWN_NAME:
        SEEN.append(event)


sys.addaudithook(_watch)  # for good: Python has no way to take one away


@pytest.fixture
def events() -> Iterator[list[str]]:
    """What of code, processes and sockets happens during a test."""
    SEEN.clear()
    WATCHING.append(True)
    yield SEEN
    WATCHING.clear()


FIRED = "fired"


class Payload:
    """Writes a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return Path.write_text, (self.mark, FIRED)


def safetensors(values: bytes = b"\0" * 8) -> bytes:
    span = {"dtype": "F32", "shape": [len(values) // 4], "data_offsets": [0, len(values)]}
    header = json.dumps({"a": span}).encode()
    return len(header).to_bytes(8, "little") + header + values


INDEX = {"_class_name": "StableDiffusionPipeline", "unet": ["diffusers", "UNet2DConditionModel"]}
SOUND = {
    "model_index.json": json.dumps(INDEX).encode(),
    "unet/config.json": b'{"_class_name": "UNet2DConditionModel"}',
    "unet/model.safetensors": safetensors(),
    "tokenizer/vocab.json": b'{"auto_map": 7}',
}
ENTRY = """\
version: 1
models:
  - id: evil
    kind: base
    family: animatediff
    path: ../weights/evil
    licence: MIT
    commercial_use: permitted
    training_data: Nothing at all.
    languages: [en]
    vocabulary: null
    combines_with: []
    hub:
      repository: e/vil
      revision: null
      files:
"""


def code(mark: Path) -> bytes:
    """A module that writes a file when it is imported."""
    return f"import pathlib\npathlib.Path({str(mark)!r}).write_text({FIRED!r})\n".encode()


def zipped(mark: Path) -> bytes:
    """What `torch.save` writes since version 1.6: a zip archive with a pickle inside."""
    path = mark.with_suffix(".zip")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(Payload(mark), protocol=2))
    return path.read_bytes()


def index(**changed: Any) -> bytes:
    return json.dumps({**INDEX, **changed}).encode()


def nested(depth: int) -> bytes:
    return b'{"a": ' + b"[" * depth + b"]" * depth + b"}"


# Name of a file, its hostile bytes, what the refusal says.
CORPUS: dict[str, tuple[str, Callable[[Path], bytes], str]] = {
    "pickle renamed": (
        "unet/model.safetensors",
        lambda mark: pickle.dumps(Payload(mark), protocol=2),
        "a pickle or zip archive",
    ),
    "newest pickle renamed": (
        "unet/model.safetensors",
        lambda mark: pickle.dumps(Payload(mark), protocol=5),
        "a pickle or zip archive",
    ),
    "oldest pickle renamed": (
        "unet/model.safetensors",
        lambda mark: pickle.dumps(Payload(mark), protocol=0),
        "not a safetensors file",
    ),
    "torch checkpoint renamed": ("unet/model.safetensors", zipped, "a pickle or zip archive"),
    "pickle as configuration": (
        "unet/config.json",
        lambda mark: pickle.dumps(Payload(mark), protocol=4),
        "a pickle or zip archive",
    ),
    "oversized header": (
        "unet/model.safetensors",
        lambda _: (MAX_HEADER_BYTES + 1).to_bytes(8, "little") + b" " * (MAX_HEADER_BYTES + 1),
        "expected a header of 2 to",
    ),
    "header longer than the file": (
        "unet/model.safetensors",
        lambda _: (2**63 - 1).to_bytes(8, "little") + b"{}",
        "expected a header of 2 to",
    ),
    "pipeline of its own": (
        "model_index.json",
        lambda _: index(_class_name=["pipeline", "Evil"]),
        "'_class_name': expected the name of a class, got a list",
    ),
    "list for the class of a part": (
        "model_index.json",
        lambda _: index(unet=["diffusers", ["unet", "Evil"]]),
        "'unet': expected a class of diffusers",
    ),
    "part from a module of its own": (
        "model_index.json",
        lambda _: index(unet=["my_unet", "Evil"]),
        "'unet': expected a class of diffusers",
    ),
    "part from a module of Python": (
        "model_index.json",
        lambda _: index(unet=["os", "system"]),
        "'unet': expected a class of diffusers",
    ),
    "part as an object": (
        "model_index.json",
        lambda _: index(unet={"library": "os"}),
        "'unet': expected a class of diffusers",
    ),
    "class in a part's configuration": (
        "unet/config.json",
        lambda _: b'{"_class_name": ["unet", "Evil"]}',
        "'_class_name': expected the name of a class, got a list",
    ),
    "path as a class": (
        "unet/config.json",
        lambda _: b'{"_class_name": "../../evil"}',
        "'_class_name': expected the name of a class, got text",
    ),
    "code by auto_map": (
        "unet/config.json",
        lambda _: b'{"auto_map": {"AutoModel": "evil.Evil"}}',
        "'auto_map' names code",
    ),
    "endless nesting": ("unet/config.json", lambda _: nested(200_000), "damaged JSON"),
    "no object": ("unet/config.json", lambda _: b'["unet", "Evil"]', "expected a JSON object"),
    "torn JSON": ("unet/config.json", lambda _: b'{"a": ', "damaged JSON"),
}


def write(folder: Path, files: dict[str, bytes]) -> None:
    for name, raw in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(raw)


def table(home: Path, files: dict[str, bytes]) -> ModelTable:
    """A table that pins exactly these files: the worst case, somebody trusted the digests."""
    path = home / "specs" / "models.yaml"
    path.parent.mkdir(parents=True)
    rows = [f"        - {{name: {name}, sha256: null}}\n" for name in files]
    path.write_text(ENTRY + "".join(rows), "utf-8")
    locked = LockedModel(
        id="evil",
        repository="e/vil",
        revision="a" * 40,
        files=tuple(
            LockedFile(name=name, sha256=hashlib.sha256(raw).hexdigest(), size_bytes=len(raw))
            for name, raw in files.items()
        ),
    )
    lock_path(path).write_text(lock_text(read_lock(home / "none").put(locked)), "utf-8")
    return read_models(path)


def quiet(_stage: str, _done: int, _planned: int) -> None:
    pass


@pytest.mark.parametrize("case", CORPUS)
def test_a_hostile_file_is_refused_at_its_place(
    tmp_path: Path, case: str, events: list[str]
) -> None:
    name, make, message = CORPUS[case]
    mark = tmp_path / "mark"
    files = SOUND | {name: make(mark)}
    models = table(tmp_path, files)
    write(tmp_path / "weights/evil", files)
    events.clear()
    with pytest.raises(InputError) as caught:
        models.verify("evil")

    assert message in str(caught.value)
    assert name in str(caught.value)
    assert events == []
    assert not mark.exists()


@pytest.mark.parametrize("case", CORPUS)
def test_a_hostile_file_is_not_imported(tmp_path: Path, case: str, events: list[str]) -> None:
    name, make, message = CORPUS[case]
    mark, stick = tmp_path / "mark", tmp_path / "stick"
    files = SOUND | {name: make(mark)}
    models = table(tmp_path, files)
    write(stick / "evil", files)
    events.clear()
    with pytest.raises(InputError, match="evil") as caught:
        fetch(tuple(models.models.values()), models.path, FromFolder(stick, models.path), quiet)

    assert message in str(caught.value)
    assert events == []
    assert not mark.exists()
    weights = tmp_path / "weights"
    assert not (weights / "evil").exists()
    assert not (weights / f"evil{PART}").exists()


def test_the_sound_twin_of_the_corpus_is_let_pass(tmp_path: Path, events: list[str]) -> None:
    models = table(tmp_path, SOUND)
    write(tmp_path / "weights/evil", SOUND)
    events.clear()

    assert models.verify("evil") == tmp_path / "weights/evil"
    assert events == []


@pytest.mark.parametrize("name", ["pipeline.py", "unet/evil.so", "model.bin", "model.ckpt", "x.pt"])
def test_code_beside_a_sound_model_is_refused_and_not_run(
    tmp_path: Path, name: str, events: list[str]
) -> None:
    mark = tmp_path / "mark"
    models = table(tmp_path, SOUND)
    write(tmp_path / "weights/evil", SOUND | {name: code(mark)})
    events.clear()
    with pytest.raises(InputError, match=r"can run code"):
        models.verify("evil")

    assert events == []
    assert not mark.exists()


def test_code_in_an_export_is_left_where_it_is(tmp_path: Path, events: list[str]) -> None:
    mark, stick = tmp_path / "mark", tmp_path / "stick"
    models = table(tmp_path, SOUND)
    write(stick / "evil", SOUND | {"pipeline.py": code(mark)})
    events.clear()
    fetch(tuple(models.models.values()), models.path, FromFolder(stick, models.path), quiet)

    assert not (tmp_path / "weights/evil/pipeline.py").exists()
    assert events == []
    assert not mark.exists()


@pytest.mark.parametrize(
    "name",
    [
        "../evil.json", "a/../../evil.json", "/etc/evil.json", "./evil.json", "a//evil.json",
        ".hidden/evil.json", "a\\..\\evil.json", "~/evil.json", "C:/evil.json", "a b.json",
        "pipeline.py", "model.bin", "evil",
    ],
)  # fmt: skip
def test_a_name_that_leads_elsewhere_or_could_run_is_refused_in_the_table(
    tmp_path: Path, name: str
) -> None:
    path = tmp_path / "models.yaml"
    path.write_text(f"{ENTRY}        - {{name: '{name}', sha256: null}}\n", "utf-8")
    with pytest.raises(InputError, match=r"'name': expected a "):
        read_models(path)


def test_a_name_that_leads_elsewhere_in_the_lock_pins_nothing(tmp_path: Path) -> None:
    models = table(tmp_path, SOUND)
    lock = lock_path(models.path)
    text = lock.read_text("utf-8")
    assert "unet/config.json" in text
    lock.write_text(text.replace("unet/config.json", "../../../etc/passwd"), "utf-8")

    assert models.declared_digest("evil") != "unpinned"
    assert read_models(models.path).declared_digest("evil") == "unpinned"


# --- the watch itself ----------------------------------------------------------------------------


def test_the_hook_sees_a_socket_and_the_payloads_do_run(tmp_path: Path, events: list[str]) -> None:
    mark = tmp_path / "mark"
    raw = pickle.dumps(Payload(mark), protocol=2)
    events.clear()
    pickle.loads(raw)  # noqa: S301  # what the harness never does
    assert mark.read_text() == FIRED
    assert "pickle.find_class" in events

    mark.unlink()
    module = tmp_path / "pipeline.py"
    module.write_bytes(code(mark))
    spec = importlib.util.spec_from_file_location("evil_pipeline", module)
    assert spec is not None
    assert spec.loader is not None
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
    assert mark.read_text() == FIRED
    assert {"compile", "exec"} <= set(events)

    events.clear()
    socket.socket().close()
    assert "socket.__new__" in events
    shutil.rmtree(tmp_path)
