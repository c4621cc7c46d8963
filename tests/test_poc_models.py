"""Laws of the model table: identity without opening weights, and nothing loaded that could run."""

from __future__ import annotations

import hashlib
import json
import pickle
import zipfile
from pathlib import Path

import pytest

from poc.errors import InputError
from poc.models import (
    MAX_HEADER_BYTES,
    ModelKind,
    ModelTable,
    UnreadTableWarning,
    check_weight_file,
    heldout_stills,
    read_models,
)
from poc.records import digest

ENTRY = """\
  - id: {id}
    kind: {kind}
    family: animatediff
    path: weights/{id}
    index: weights/index.json
    licence: Apache-2.0
    commercial_use: permitted
    training_data: Clips drawn by the tests.
    languages: [en]
    vocabulary: null
    combines_with: {fits}
"""
TABLE = (
    "version: 1\nmodels:\n"
    + ENTRY.format(id="base", kind="base", fits="[]")
    + ENTRY.format(id="lora", kind="lora", fits="[base]")
)


def safetensors(values: bytes = b"\0" * 8, header: dict[str, object] | None = None) -> bytes:
    """A safetensors file with one float32 tensor, or with the header given."""
    span = {"dtype": "F32", "shape": [len(values) // 4], "data_offsets": [0, len(values)]}
    text = json.dumps({"a": span} if header is None else header).encode()
    return len(text).to_bytes(8, "little") + text + values


FILES = {
    "base/model_index.json": b"{}",
    "base/unet/model.safetensors": safetensors(),
    "base/tokenizer/merges.txt": b"#version: 0.2\n",
    "lora/lora.safetensors": safetensors(b"\1" * 8),
}


def write_index(folder: Path, files: dict[str, bytes]) -> None:
    digests = {name: hashlib.sha256(raw).hexdigest() for name, raw in files.items()}
    (folder / "weights" / "index.json").write_text(json.dumps({"files": digests}))


@pytest.fixture
def table(tmp_path: Path) -> ModelTable:
    for name, raw in FILES.items():
        path = tmp_path / "weights" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(raw)
    write_index(tmp_path, FILES)
    (tmp_path / "models.yaml").write_text(TABLE)
    return read_models(tmp_path / "models.yaml")


def reread(table: ModelTable) -> ModelTable:
    return read_models(table.path)


def weights(table: ModelTable) -> Path:
    return table.path.parent / "weights"


def test_a_left_over_table_is_named_as_the_one_file_to_remove(tmp_path: Path) -> None:
    entry = ENTRY.replace("    vocabulary", "    made_by: poc train ablations\n    vocabulary")
    entry = entry.format(id="base", kind="base", fits="[]")
    shipped = entry.replace("weights/", "../weights/own/tiny/")
    left = tmp_path / "weights" / "own" / "tiny" / "models.yaml"
    for path, written in ((tmp_path / "specs" / "models.yaml", shipped), (left, entry)):
        path.parent.mkdir(parents=True)
        path.write_text("version: 1\nmodels:\n" + written)

    with pytest.warns(UnreadTableWarning) as caught:
        read_models(tmp_path / "specs" / "models.yaml")

    said = str(caught[0].message)
    assert said.startswith(f"{left}: a table of an earlier version")
    assert "Remove this file alone: the weights beside it stay good." in said
    assert "Rename" not in said


def refusal(table: ModelTable, model: str = "base") -> str:
    with pytest.raises(InputError) as caught:
        table.verify(model)
    return str(caught.value)


# --- the table -----------------------------------------------------------------------------------


def test_a_model_is_found_by_its_id(table: ModelTable) -> None:
    assert table.resolve("lora").entry.kind is ModelKind.LORA
    assert table.resolve("lora", ModelKind.LORA).folder == weights(table) / "lora"


def test_an_unknown_model_gets_the_nearest_name(table: ModelTable) -> None:
    with pytest.raises(InputError, match=r"unknown model 'bas'. Did you mean 'base'"):
        table.resolve("bas")


def test_a_model_of_another_kind_is_refused(table: ModelTable) -> None:
    with pytest.raises(InputError, match=r"'lora' to be of kind base, it is of kind lora.*: base"):
        table.resolve("lora", ModelKind.BASE)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("id: lora", "id: base", "14: duplicate model id 'base'"),
        ("[base]", "[bsae]", "24: 'combines_with': 'bsae' is no base model. Did you mean 'base'?"),
        ("[base]", "[lora]", "24: 'combines_with': 'lora' is no base model"),
        ("path: weights/lora", "path: /etc", "17: 'path': expected a relative path, got '/etc'"),
        ("path: weights/lora", "path: a/../../b", "17: 'path': expected a relative path"),
        ("kind: lora", "kind: lorra", "15: 'models[1].kind': expected one of"),
        (
            "kind: base\n",
            "kind: base\n    stills: none\n",
            "5: 'stills': only a LoRA names them, this is of kind base",
        ),
        (
            "kind: lora\n",
            "kind: lora\n    stills: {model: base, folder: a}\n",
            "16: 'stills': 'base' is of no entry of kind stills",
        ),
        ("kind: lora\n", "kind: lora\n    stills: nothing\n", "16: 'models[1].stills"),
        ("kind: lora\n", "kind: lora\n    stills: {model: base}\n", "16: 'models[1].stills"),
        ("licence: A", "license: A", "8: unknown key 'license'. Did you mean 'licence'?"),
    ],
)
def test_a_faulty_entry_is_refused_with_its_line(
    table: ModelTable, old: str, new: str, message: str
) -> None:
    assert old in TABLE
    table.path.write_text(TABLE.replace(old, new, 1))
    with pytest.raises(InputError) as caught:
        reread(table)

    assert f"models.yaml:{message}" in str(caught.value)


@pytest.mark.parametrize(
    "text",
    ["{", "[]", "{}", '{"files": []}', '{"files": {"a": 1}}', '{"files": {"a": "xyz"}}',
     '{"files": {"../a": "' + "0" * 64 + '"}}'],
)  # fmt: skip
def test_a_damaged_index_is_refused(table: ModelTable, text: str) -> None:
    (weights(table) / "index.json").write_text(text)
    with pytest.raises(InputError, match=r"index\.json"):
        reread(table)


def test_models_that_come_along_are_right_and_complete() -> None:
    models = read_models().models

    assert {model.entry.kind for model in models.values()} == set(ModelKind)
    ours = [model.entry for model in models.values() if model.entry.hub is None]
    embedded = [one for one in ours if not (one.made_by or "").startswith("python -m metrics.")]
    assert {one.id for one in ours} - {one.id for one in embedded} == {"i3d-400"}
    assert all(entry.commercial_use == "permitted" for entry in embedded)


# --- models on the hub ---------------------------------------------------------------------------


def on_hub(table: ModelTable, *digests: str) -> ModelTable:
    """Add a model whose two files lie in `weights/base/unet` and `weights/lora`, so pinned."""
    names = ("base/unet/model.safetensors", "lora/lora.safetensors")
    files = "".join(
        f"        - {{name: {name}, sha256: {value}}}\n"
        for name, value in zip(names, digests, strict=True)
    )
    entry = ENTRY.format(id="far", kind="base", fits="[]").replace("weights/far", "weights")
    entry = entry.replace("    index: weights/index.json\n", "")
    hub = "    hub:\n      repository: some/where\n      revision: null\n      files:\n"
    table.path.write_text(TABLE + entry + hub + files)
    return reread(table)


def sha(name: str) -> str:
    return hashlib.sha256(FILES[name]).hexdigest()


UNET, LORA = "base/unet/model.safetensors", "lora/lora.safetensors"


def test_a_hub_model_is_pinned_by_its_own_entry(table: ModelTable) -> None:
    found = on_hub(table, sha(UNET), sha(LORA))
    expected = digest({UNET: sha(UNET), LORA: sha(LORA)})

    assert found.pinned_digest("far") == found.declared_digest("far") == expected


def test_a_hub_model_with_an_unknown_digest_is_unpinned(table: ModelTable) -> None:
    found = on_hub(table, sha(UNET), "null")

    assert found.declared_digest("far") == "unpinned"
    for ask in (found.pinned_digest, found.verify):
        with pytest.raises(InputError, match=r"model 'far' is unpinned.*SHA-256 of every file"):
            ask("far")
    assert found.declared_digest("base") == found.pinned_digest("base")


def test_the_files_of_a_hub_model_are_compared_too(table: ModelTable) -> None:
    for name in set(FILES) - {UNET, LORA}:
        (weights(table) / name).unlink()
    (weights(table) / "index.json").unlink()

    assert on_hub(table, sha(UNET), sha(LORA)).verify("far") == weights(table)
    assert "expected SHA-256 " + "f" * 64 in refusal(on_hub(table, sha(UNET), "f" * 64), "far")


INDEX = "    index: weights/index.json\n"


def hub_of(*names: str) -> str:
    files = ", ".join(f"{{name: {name}, sha256: null}}" for name in names)
    return f"    hub: {{repository: a/b, revision: null, files: [{files}]}}\n"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (INDEX, "", "expected either 'index' or 'hub', not both"),
        (INDEX, INDEX + hub_of("a"), "expected either 'index' or 'hub', not both"),
        (INDEX, hub_of("a", "a"), "file 'a' is given twice"),
        (INDEX, hub_of("../a"), "expected a relative path without '..', got '../a'"),
        (INDEX, hub_of("a").replace("a/b", "ab"), "'models[0].hub.repository'"),
        (
            INDEX,
            INDEX + "    trained: {partner: lroa}\n",
            "'lroa' is no LoRA. Did you mean 'lora'?",
        ),
    ],
)
def test_a_faulty_hub_entry_is_refused(table: ModelTable, old: str, new: str, message: str) -> None:
    assert old in TABLE
    table.path.write_text(TABLE.replace(old, new, 1))
    with pytest.raises(InputError) as caught:
        reread(table)

    assert message in str(caught.value)


def test_a_partner_that_is_a_lora_is_right(table: ModelTable) -> None:
    table.path.write_text(
        TABLE.replace("combines_with: []", "combines_with: []\n    trained: {partner: lora}", 1)
    )
    trained = reread(table).resolve("base").entry.trained

    assert trained is not None
    assert trained.partner == "lora"


# --- identity ------------------------------------------------------------------------------------


def test_the_pinned_digest_is_that_of_the_listed_files_alone(table: ModelTable) -> None:
    (name,) = (name for name in FILES if name.startswith("lora/"))
    expected = {name.removeprefix("lora/"): hashlib.sha256(FILES[name]).hexdigest()}

    assert table.pinned_digest("lora") == digest(expected)


def test_the_pinned_digest_changes_with_any_listed_file(table: ModelTable) -> None:
    write_index(table.path.parent, FILES | {"base/tokenizer/merges.txt": b"other"})

    assert reread(table).pinned_digest("base") != table.pinned_digest("base")
    assert reread(table).pinned_digest("lora") == table.pinned_digest("lora")


def test_pinning_opens_no_weight(table: ModelTable) -> None:
    before = table.pinned_digest("base")
    (weights(table) / "base/unet/model.safetensors").unlink()

    assert reread(table).pinned_digest("base") == before


def test_a_model_without_digests_has_no_identity(table: ModelTable) -> None:
    (weights(table) / "index.json").unlink()
    with pytest.raises(InputError, match="expected digests of the files of model 'base'"):
        reread(table).pinned_digest("base")


# --- files ---------------------------------------------------------------------------------------


def test_a_sound_model_gives_its_folder(table: ModelTable) -> None:
    assert table.verify("base") == weights(table) / "base"


def test_a_damaged_file_is_named_with_both_digests(table: ModelTable) -> None:
    path = weights(table) / "base/unet/model.safetensors"
    found = safetensors(b"\2" * 8)
    path.write_bytes(found)
    message = refusal(table)

    assert message.startswith(f"{path}: expected SHA-256 ")
    assert hashlib.sha256(FILES["base/unet/model.safetensors"]).hexdigest() in message
    assert hashlib.sha256(found).hexdigest() in message
    assert "Restore it" in message


def test_a_missing_file_is_named(table: ModelTable) -> None:
    path = weights(table) / "base/model_index.json"
    path.unlink()

    assert refusal(table).startswith(f"{path}: expected a file with SHA-256 ")


def test_a_missing_folder_is_named(table: ModelTable) -> None:
    path = weights(table) / "lora"
    (path / "lora.safetensors").unlink()
    path.rmdir()

    assert refusal(table, "lora").startswith(f"{path}: expected a folder of weights")


def test_a_file_that_nobody_listed_is_refused(table: ModelTable) -> None:
    (weights(table) / "base/extra.json").write_text("{}")

    assert "this file is not listed" in refusal(table)
    assert table.verify("lora") == weights(table) / "lora"


@pytest.mark.parametrize("name", ["model.bin", "model.pt", "model.ckpt", "pipeline.py", "a.SO"])
def test_a_kind_of_file_that_could_run_is_refused_even_when_listed(
    table: ModelTable, name: str
) -> None:
    (weights(table) / "base" / name).write_bytes(b"x")
    write_index(table.path.parent, FILES | {f"base/{name}": b"x"})

    assert "can run code: convert them to safetensors" in refusal(reread(table))


def test_a_link_to_nowhere_is_refused(table: ModelTable) -> None:
    (weights(table) / "base/link.json").symlink_to("nowhere")

    assert "link.json: cannot be read" in refusal(table)


@pytest.mark.parametrize("suffix", [".safetensors", ".json", ".txt"])
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_pickle_is_refused_whatever_its_name(tmp_path: Path, suffix: str, protocol: int) -> None:
    path = tmp_path / f"model{suffix}"
    path.write_bytes(pickle.dumps({"a": 1}, protocol=protocol))
    with pytest.raises(InputError, match="got a pickle or zip archive"):
        check_weight_file(path)


def test_a_zip_archive_called_safetensors_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("data.pkl", b"x")
    with pytest.raises(InputError, match="got a pickle or zip archive"):
        check_weight_file(path)


def test_a_sound_safetensors_file_passes(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(safetensors())

    check_weight_file(path)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\1\0\0",
        b"not safetensors at all",
        safetensors()[:-1],
        safetensors() + b"\0",
        (2 << 30).to_bytes(8, "little") + b"{}",
        (MAX_HEADER_BYTES + 1).to_bytes(8, "little") + b" " * (MAX_HEADER_BYTES + 1),
        safetensors(b"", {"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}),
        safetensors(b"\0" * 8, {"a": {"data_offsets": [4, 8]}}),
        safetensors(b"\0" * 8, {"a": {"data_offsets": [0, 8]}, "b": {"data_offsets": [4, 8]}}),
        safetensors(b"\0" * 8, {"a": {"data_offsets": "08"}}),
        safetensors(b"\0" * 8, {"a": [0, 8]}),
        (2).to_bytes(8, "little") + b"[]",
        (4).to_bytes(8, "little") + b"\xff\xff\xff\xff",
    ],
)
def test_a_file_that_only_claims_to_be_safetensors_is_refused(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(raw)
    with pytest.raises(InputError, match="not a safetensors file"):
        check_weight_file(path)


def test_the_stills_of_a_style_are_those_kept_from_training_in_the_order_of_their_names() -> None:
    table = read_models()
    found = heldout_stills(table, "neon")

    assert [path.name for path in found] == [f"{number:03}.png" for number in range(16)]
    assert {path.parent.parts[-2:] for path in found} == {("neon", "heldout")}
    assert heldout_stills(table, "watercolour") == ()


def test_a_table_without_stills_has_none_of_any_style(tmp_path: Path) -> None:
    (tmp_path / "weights").mkdir()
    write_index(tmp_path, FILES)
    (tmp_path / "models.yaml").write_text(TABLE, encoding="utf-8")

    assert heldout_stills(read_models(tmp_path / "models.yaml"), "neon") == ()
