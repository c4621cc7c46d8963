"""Laws of fetching, against a hub on 127.0.0.1: pinned, verified, resumed, whole or not at all."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import huggingface_hub
import pytest
from hub_server import COMMIT, FakeHub, serving
from huggingface_hub import constants

from poc import cli, run
from poc.bill_of_materials import bill_of_materials
from poc.errors import InputError
from poc.fetch import (
    PART,
    Fetched,
    FromFolder,
    FromHub,
    Outcome,
    Source,
    export,
    fetch,
    gathered,
    wanted,
)
from poc.licence_text import NAMES
from poc.licences import read_licences
from poc.model_lock import (
    LockedFile,
    LockedLicence,
    LockedModel,
    ModelLock,
    lock_path,
    lock_text,
    read_lock,
)
from poc.models import MODELS, ModelTable, read_models
from poc.preflight import Surroundings, preflight, used_models
from poc.records import Plan
from poc.run import read_plan

CONFIG = b'{"_class_name": "MotionAdapter"}'
CHUNK = 1000


def safetensors(values: bytes) -> bytes:
    span = {"dtype": "U8", "shape": [len(values)], "data_offsets": [0, len(values)]}
    header = json.dumps({"a": span}).encode()
    return len(header).to_bytes(8, "little") + header + values


WEIGHTS = safetensors(bytes(range(256)) * 20)
FILES = {"config.json": CONFIG, "unet/model.safetensors": WEIGHTS}
ENTRY = """\
  - id: {id}
    kind: base
    family: animatediff
    path: ../weights/{id}
    licence: CC-BY-NC-4.0
    commercial_use: forbidden
    training_data: Clips drawn by the tests.
    languages: [en]
    vocabulary: null
    combines_with: []
    hub:
      repository: maker/{id}
      revision: {revision}
      files:
"""


def entry(model: str, *, revision: str = "null", **digests: str) -> str:
    """An entry of models.yaml with the files of FILES; a digest that is not given is null."""
    lines = [
        f"        - {{name: {name}, sha256: {digests.get(Path(name).suffix[1:], 'null')}}}\n"
        for name in FILES
    ]
    return ENTRY.format(id=model, revision=revision) + "".join(lines)


def table(home: Path, *entries: str) -> ModelTable:
    path = home / "specs" / "models.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("version: 1\nmodels:\n" + "".join(entries or [entry("far")]), "utf-8")
    return read_models(path)


@pytest.fixture(autouse=True)
def network(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let huggingface_hub reach 127.0.0.1, without the proxies of this machine."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", True)
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", CHUNK)
    huggingface_hub.close_session()
    yield
    huggingface_hub.close_session()


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    files = {f"maker/{id_}/{name}": raw for id_ in ("far", "near") for name, raw in FILES.items()}
    with serving(FakeHub(files)) as served:
        yield served


def quiet(_stage: str, _done: int, _planned: int) -> None:
    pass


def bring(models: ModelTable, source: Source) -> tuple[Fetched, ...]:
    return fetch(tuple(models.models.values()), models.path, source, quiet)


def from_hub(models: ModelTable, hub: FakeHub) -> tuple[Fetched, ...]:
    return bring(models, FromHub(hub.endpoint))


def refusal(models: ModelTable, source: Source) -> str:
    """What a fetch says that must leave neither model, nor lock, nor half a file at its place."""
    with pytest.raises(InputError) as caught:
        bring(models, source)
    assert not any(model.folder.exists() for model in models.models.values())
    assert not lock_path(models.path).exists()
    return str(caught.value)


def sha(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()


# --- pinned at first use -------------------------------------------------------------------------


def test_what_nobody_pinned_is_pinned_by_the_first_fetch(tmp_path: Path, hub: FakeHub) -> None:
    models = table(tmp_path)
    assert models.declared_digest("far") == "unpinned"
    (found,) = from_hub(models, hub)

    assert found.outcome is Outcome.FETCHED
    assert found.size_bytes == sum(map(len, FILES.values()))
    (locked,) = read_lock(lock_path(models.path)).models
    files = tuple(
        LockedFile(name=name, sha256=sha(raw), size_bytes=len(raw)) for name, raw in FILES.items()
    )
    pinned = LockedModel(id="far", repository="maker/far", revision=COMMIT, files=files)
    assert locked.model_copy(update={"licence": None}) == pinned
    again = read_models(models.path)
    assert again.verify("far") == tmp_path / "weights" / "far"
    assert again.declared_digest("far") == again.pinned_digest("far")
    assert not models.resolve("far").folder.with_name("far" + PART).exists()


def test_only_files_that_the_table_names_are_asked_for(tmp_path: Path, hub: FakeHub) -> None:
    hub.files["maker/far/pipeline.py"] = b"raise SystemExit"
    from_hub(table(tmp_path), hub)
    hub.lists = False
    from_hub(table(tmp_path / "other"), hub)

    paths = {path for _, path, _ in hub.asked}
    licences = {f"/maker/far/resolve/{COMMIT}/{name}" for name in NAMES}
    both = {f"/maker/far/resolve/{at}/{name}" for at in ("main", COMMIT) for name in FILES}
    tree = f"/api/models/maker/far/tree/{COMMIT}"
    assert paths <= both | licences | {tree}
    assert licences < paths
    assert {path.rpartition("/")[2] for path in paths - licences - {tree}} == {
        "config.json", "model.safetensors"
    }  # fmt: skip


def test_a_second_call_asks_nobody(tmp_path: Path, hub: FakeHub) -> None:
    models = table(tmp_path)
    from_hub(models, hub)
    before, lock = len(hub.asked), lock_path(models.path).read_bytes()
    (found,) = from_hub(read_models(models.path), hub)

    assert found.outcome is Outcome.THERE
    assert len(hub.asked) == before
    assert lock_path(models.path).read_bytes() == lock


def test_a_model_added_later_leaves_the_pins_of_the_others(tmp_path: Path, hub: FakeHub) -> None:
    from_hub(table(tmp_path, entry("near")), hub)
    found = from_hub(table(tmp_path, entry("near"), entry("far")), hub)

    assert [one.outcome for one in found] == [Outcome.THERE, Outcome.FETCHED]
    pinned = read_lock(lock_path(tmp_path / "specs" / "models.yaml")).models
    assert [model.id for model in pinned] == ["far", "near"]


def test_a_locked_model_is_taken_from_its_commit_and_not_from_main(
    tmp_path: Path, hub: FakeHub
) -> None:
    models = table(tmp_path)
    from_hub(models, hub)
    shutil.rmtree(models.resolve("far").folder)
    hub.asked.clear()
    from_hub(read_models(models.path), hub)

    assert {path.split("/")[4] for _, path, _ in hub.asked} == {COMMIT}


def test_a_run_is_refused_until_its_models_are_locked_and_there(
    tmp_path: Path, hub: FakeHub
) -> None:
    spec = MODELS.parent / "quick-gpu.yaml"
    shipped = MODELS.read_text("utf-8").replace("../tiny", "tiny")
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs" / "tiny").symlink_to(MODELS.parent.parent / "tiny")
    path = tmp_path / "specs" / "models.yaml"
    for model in read_models().models.values():
        for file in model.entry.hub.files if model.entry.hub else ():
            shipped = shipped.replace(str(file.sha256), "null")
            raw = WEIGHTS if file.name.endswith("safetensors") else CONFIG
            raw = b"text" if file.name.endswith(".txt") else raw
            hub.files[f"{model.entry.hub and model.entry.hub.repository}/{file.name}"] = raw
    path.write_text(shipped, "utf-8")

    def stopping() -> set[str]:
        plan, models = planned()
        used = dict.fromkeys(used_models(plan))
        absent = [model for model in used if not models.resolve(model).folder.is_dir()]
        around = Surroundings(not_fetched=tuple(absent))
        return {one.code for one in preflight(plan, models, read_licences(), around)}

    def planned() -> tuple[Plan, ModelTable]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(run, "read_models", lambda: read_models(path))
            return read_plan(spec)

    assert "model-unpinned" in stopping()
    plan, models = planned()
    asked = wanted(plan, models)
    assert {model.entry.id for model in asked} == {
        "sd15", "animatediff-v1.5-2", "animatediff-lightning-4step", "animatelcm",
        "animatelcm-lora", "clip-vit-b-32",
    }  # fmt: skip
    for model in asked:  # one commit serves all in the fake; each repository has its own
        assert model.entry.hub is not None
        hub.commit = model.entry.hub.revision or COMMIT
        fetch([model], path, FromHub(hub.endpoint), quiet)

    assert not {code for code in stopping() if code.startswith("model-")}
    shutil.rmtree(models.resolve("animatelcm").folder)
    assert "model-not-fetched" in stopping()
    lock_path(path).unlink()
    assert "model-unpinned" in stopping()


def test_judges_that_do_not_come_along_are_fetched_with_the_models(tmp_path: Path) -> None:
    plan, models = read_plan(MODELS.parent / "tiny.yaml")
    far = table(tmp_path).resolve("far").entry.hub
    there = models.resolve("tiny-clip")
    judge = replace(there, entry=there.entry.model_copy(update={"hub": far, "index": None}))
    elsewhere = ModelTable(models.path, {**models.models, "tiny-clip": judge})

    assert wanted(plan, models) == ()
    assert wanted(plan, elsewhere) == (judge,)


# --- stopped and resumed -------------------------------------------------------------------------


def test_a_fetch_that_was_stopped_asks_only_for_the_rest(tmp_path: Path, hub: FakeHub) -> None:
    models, calls = table(tmp_path), 0

    def stop(_stage: str, _done: int, _planned: int) -> None:
        nonlocal calls
        calls += 1
        if calls == 5:  # the config and its end, then two chunks of the weights have come
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(tuple(models.models.values()), models.path, FromHub(hub.endpoint), stop)
    assert not models.resolve("far").folder.exists()
    assert not lock_path(models.path).exists()
    hub.asked.clear()
    from_hub(models, hub)

    got = [
        (path.rpartition("/")[2], part)
        for method, path, part in hub.asked
        if method == "GET" and "/resolve/" in path
    ]
    assert got == [("model.safetensors", f"bytes={2 * CHUNK}-")]
    assert (models.resolve("far").folder / "unet/model.safetensors").read_bytes() == WEIGHTS
    read_models(models.path).verify("far")


def test_what_came_of_another_commit_is_not_gone_on_with(tmp_path: Path, hub: FakeHub) -> None:
    models, calls = table(tmp_path), 0

    def stop(_stage: str, _done: int, _planned: int) -> None:
        nonlocal calls
        calls += 1
        if calls == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(tuple(models.models.values()), models.path, FromHub(hub.endpoint), stop)
    hub.commit = "b" * 40
    hub.files["maker/far/unet/model.safetensors"] = other = safetensors(b"x" * 5120)
    from_hub(models, hub)

    assert (models.resolve("far").folder / "unet/model.safetensors").read_bytes() == other
    assert read_lock(lock_path(models.path)).models[0].revision == "b" * 40


# --- refused -------------------------------------------------------------------------------------


def test_a_digest_that_the_table_does_not_give_is_refused_and_its_twin_is_not(
    tmp_path: Path, hub: FakeHub
) -> None:
    wrong = table(tmp_path / "wrong", entry("far", safetensors="f" * 64))
    text = refusal(wrong, FromHub(hub.endpoint))
    left = {file.read_bytes() for file in (tmp_path / "wrong/weights").rglob("*") if file.is_file()}

    assert f"expected SHA-256 {'f' * 64}, got {sha(WEIGHTS)}" in text
    assert WEIGHTS not in left
    right = table(tmp_path / "right", entry("far", safetensors=sha(WEIGHTS)))
    assert from_hub(right, hub)[0].outcome is Outcome.FETCHED


@pytest.mark.parametrize(("name", "raw"), [("config.json", b"{}"), ("unet/model.safetensors", b"")])
def test_a_file_that_is_not_what_its_headers_say_is_refused(
    tmp_path: Path, hub: FakeHub, name: str, raw: bytes
) -> None:
    """First use: nobody pinned it, but the hub itself names its digest."""
    key = f"maker/far/{name}"
    hub.sent[key] = raw.ljust(len(hub.files[key]), b" ")

    assert "expected SHA-256" in refusal(table(tmp_path), FromHub(hub.endpoint))


def test_more_bytes_than_promised_are_refused(tmp_path: Path, hub: FakeHub) -> None:
    hub.sent["maker/far/unet/model.safetensors"] = WEIGHTS + b"x" * 3 * CHUNK
    text = refusal(table(tmp_path), FromHub(hub.endpoint))

    assert "more came than" in text or "Consistency check failed" in text


def test_a_locked_file_that_changed_at_its_commit_is_refused(tmp_path: Path, hub: FakeHub) -> None:
    models = table(tmp_path)
    from_hub(models, hub)
    shutil.rmtree(models.resolve("far").folder)
    hub.files["maker/far/unet/model.safetensors"] = safetensors(b"y" * 5120)
    before = lock_path(models.path).read_bytes()
    with pytest.raises(InputError, match=rf"expected SHA-256 {sha(WEIGHTS)}"):
        from_hub(read_models(models.path), hub)

    assert not models.resolve("far").folder.exists()
    assert lock_path(models.path).read_bytes() == before


def test_what_could_run_is_refused_even_when_nobody_pinned_it(tmp_path: Path, hub: FakeHub) -> None:
    hub.files["maker/far/config.json"] = b'{"auto_map": {"AutoModel": "evil.Model"}}'
    models = table(tmp_path)

    assert "'auto_map' names code" in refusal(models, FromHub(hub.endpoint))
    assert not gathered(models.resolve("far")).exists()


def test_a_file_that_is_not_on_the_hub_is_named(tmp_path: Path, hub: FakeHub) -> None:
    del hub.files["maker/far/config.json"]
    text = refusal(table(tmp_path), FromHub(hub.endpoint))

    assert "maker/far/resolve/main/config.json" in text
    assert "models.yaml" in text


def test_files_that_nothing_pins_are_not_taken_for_the_model(tmp_path: Path, hub: FakeHub) -> None:
    models = table(tmp_path)
    there = models.resolve("far").folder / "config.json"
    there.parent.mkdir(parents=True)
    there.write_bytes(CONFIG)
    with pytest.raises(InputError, match="nothing says what they must be"):
        from_hub(models, hub)

    assert hub.asked == []


def test_offline_is_offline(tmp_path: Path, hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)

    assert "Unset HF_HUB_OFFLINE" in refusal(table(tmp_path), FromHub(hub.endpoint))
    assert hub.asked == []


# --- proxy and CA --------------------------------------------------------------------------------


def test_a_proxy_is_honoured(tmp_path: Path, hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    """The name of the hub cannot be resolved: only the proxy can have answered."""
    monkeypatch.setenv("HTTP_PROXY", hub.endpoint)
    (found,) = bring(table(tmp_path), FromHub("http://hub.invalid"))

    assert found.outcome is Outcome.FETCHED


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl to make a certificate")
def test_a_certificate_authority_of_ones_own_is_honoured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "ca.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-days", "2", "-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1",
         "-keyout", str(key), "-out", str(certificate)],
        check=True, capture_output=True,
    )  # fmt: skip
    both = tmp_path / "both.pem"
    both.write_bytes(key.read_bytes() + certificate.read_bytes())
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    files = {f"maker/far/{name}": raw for name, raw in FILES.items()}
    with serving(FakeHub(files), both) as hub:
        (found,) = from_hub(table(tmp_path), hub)

    assert found.outcome is Outcome.FETCHED


# --- closed networks -----------------------------------------------------------------------------


@pytest.fixture
def exported(tmp_path: Path, hub: FakeHub) -> Path:
    models = table(tmp_path / "open")
    found = from_hub(models, hub)
    export(found, models.path, tmp_path / "stick", quiet)
    hub.asked.clear()
    return tmp_path / "stick"


def test_what_was_exported_is_imported_without_a_request(
    tmp_path: Path, hub: FakeHub, exported: Path
) -> None:
    closed = table(tmp_path / "closed")
    (found,) = bring(closed, FromFolder(exported, closed.path))

    assert found.outcome is Outcome.IMPORTED
    assert hub.asked == []
    read_models(closed.path).verify("far")
    opened = lock_path(tmp_path / "open" / "specs" / "models.yaml")
    assert lock_path(closed.path).read_bytes() == opened.read_bytes()


def test_a_changed_file_of_an_export_is_refused(tmp_path: Path, exported: Path) -> None:
    (exported / "far/unet/model.safetensors").write_bytes(safetensors(b"z" * 5120))
    closed = table(tmp_path / "closed")

    assert "expected SHA-256" in refusal(closed, FromFolder(exported, closed.path))
    assert not list((tmp_path / "closed/weights").rglob("*.safetensors"))


def test_an_export_without_its_lock_pins_nothing(tmp_path: Path, exported: Path) -> None:
    (exported / "models.lock.yaml").unlink()
    closed = table(tmp_path / "closed")
    text = refusal(closed, FromFolder(exported, closed.path))

    assert "nothing says what the files of model 'far' must be" in text


def test_a_committed_lock_outranks_that_of_the_export(tmp_path: Path, exported: Path) -> None:
    closed = table(tmp_path / "closed")
    theirs = (exported / "models.lock.yaml").read_text("utf-8")
    lock_path(closed.path).write_text(theirs.replace(sha(WEIGHTS), "1" * 64), "utf-8")
    closed = read_models(closed.path)
    with pytest.raises(InputError, match=f"expected SHA-256 {'1' * 64}"):
        bring(closed, FromFolder(exported, closed.path))


def test_a_link_out_of_an_export_is_refused(tmp_path: Path, exported: Path) -> None:
    secret = tmp_path / "secret.json"
    secret.write_bytes(CONFIG)
    (exported / "far/config.json").unlink()
    (exported / "far/config.json").symlink_to(secret)
    closed = table(tmp_path / "closed")

    assert "leads out of" in refusal(closed, FromFolder(exported, closed.path))


def test_the_bill_names_every_file_with_its_digest_and_the_licence(exported: Path) -> None:
    bill = json.loads((exported / "models.bom.json").read_text("utf-8"))
    (component,) = bill["components"]

    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    assert component["type"] == "machine-learning-model"
    assert (component["name"], component["version"]) == ("far", COMMIT)
    assert component["licenses"] == [{"expression": "CC-BY-NC-4.0"}]
    hashes = {file["name"]: file["hashes"] for file in component["components"]}
    assert hashes == {
        f"far/{name}": [{"alg": "SHA-256", "content": sha(raw)}] for name, raw in FILES.items()
    }


def test_the_bill_of_embedded_models_needs_no_lock() -> None:
    (component,) = bill_of_materials([read_models().resolve("tiny-base")])["components"]

    assert "version" not in component
    assert len(component["components"]) == len(read_models().resolve("tiny-base").files)


# --- licence texts -------------------------------------------------------------------------------

TEXT = "A licence, or une licence, または許諾.\n".encode()


@pytest.fixture
def licensed(hub: FakeHub) -> FakeHub:
    hub.files["maker/far/LICENSE.md"] = TEXT
    return hub


def kept(models: ModelTable) -> LockedLicence:
    locked = read_lock(lock_path(models.path)).find("far")
    assert locked is not None
    assert locked.licence is not None
    return locked.licence


def test_the_licence_of_a_repository_is_kept_with_digest_and_day(
    tmp_path: Path, licensed: FakeHub
) -> None:
    models = table(tmp_path)
    before = datetime.now(UTC).date().isoformat()
    (found,) = from_hub(models, licensed)

    assert (tmp_path / "weights" / "far.licence.txt").read_bytes() == TEXT
    record = kept(models)
    assert (record.name, record.sha256) == ("LICENSE.md", sha(TEXT))
    assert before <= record.looked <= datetime.now(UTC).date().isoformat()
    read_models(models.path).verify("far")
    (component,) = bill_of_materials([found.model])["components"]
    said = {one["name"]: one["value"] for one in component["properties"]}
    assert said["animatelcm-poc:licence_sha256"] == sha(TEXT)
    assert said["animatelcm-poc:licence_text"].startswith("LICENSE.md of ")
    asked = len(licensed.asked)
    from_hub(read_models(models.path), licensed)
    assert len(licensed.asked) == asked


@pytest.mark.parametrize(
    ("lists", "words"),
    [
        (True, "no file in the top folder is named as a licence (looked on "),
        (False, "none under the usual names (looked on "),
    ],
)
def test_where_no_licence_is_found_it_is_said_what_was_searched(
    tmp_path: Path, hub: FakeHub, *, lists: bool, words: str
) -> None:
    hub.lists = lists
    hub.files["maker/far/docs/LICENSE"] = TEXT  # of what lies in that folder
    models = table(tmp_path)
    (found,) = from_hub(models, hub)

    assert (kept(models).name, kept(models).listed) == (None, lists)
    assert not list((tmp_path / "weights").glob("*.licence.txt"))
    (component,) = bill_of_materials([found.model])["components"]
    said = [one["value"] for one in component["properties"]]
    assert any(value.startswith(words) for value in said)
    asked = len(hub.asked)
    from_hub(read_models(models.path), hub)
    assert len(hub.asked) == asked


@pytest.mark.parametrize("name", ["License.TXT", "stable_license (maker's).md", "COPYING.LESSER"])
def test_a_licence_under_an_unusual_name_is_found_in_the_list_of_files(
    tmp_path: Path, hub: FakeHub, name: str
) -> None:
    hub.files[f"maker/far/{name}"] = TEXT
    models = table(tmp_path)
    from_hub(models, hub)

    assert (kept(models).name, kept(models).sha256) == (name, sha(TEXT))
    assert (tmp_path / "weights" / "far.licence.txt").read_bytes() == TEXT
    # Where the text is lost it is found again by its name, though the hub lists nothing now.
    (tmp_path / "weights" / "far.licence.txt").unlink()
    hub.lists = False
    from_hub(read_models(models.path), hub)
    assert (tmp_path / "weights" / "far.licence.txt").read_bytes() == TEXT


def test_a_model_that_was_fetched_before_licences_were_kept_gets_its_own(
    tmp_path: Path, licensed: FakeHub
) -> None:
    models = table(tmp_path)
    from_hub(models, licensed)
    record, old = kept(models), old_lock(models)
    licensed.asked.clear()
    (found,) = from_hub(old, licensed)

    assert found.outcome is Outcome.THERE
    assert kept(models) == record
    got = [path.rpartition("/")[2] for method, path, _ in licensed.asked if method == "GET"]
    assert got == [COMMIT, "LICENSE.md"]  # the list of files, then the one that is named so


def test_a_licence_that_changed_at_its_commit_is_refused(tmp_path: Path, licensed: FakeHub) -> None:
    models = table(tmp_path)
    from_hub(models, licensed)
    (tmp_path / "weights" / "far.licence.txt").unlink()
    licensed.files["maker/far/LICENSE.md"] = b"Other terms.\n"

    with pytest.raises(InputError, match="at the same commit"):
        from_hub(read_models(models.path), licensed)


@pytest.mark.parametrize(
    "raw", ["Conditions spéciales".encode("latin-1"), b"a\0b", b" " * (2**20 + 1)]
)
def test_a_licence_that_nobody_can_read_stops_neither_the_others_nor_an_export(
    tmp_path: Path, hub: FakeHub, raw: bytes
) -> None:
    hub.files |= {"maker/far/COPYING": raw, "maker/near/LICENSE": TEXT}
    models = table(tmp_path, entry("far"), entry("near"))
    found = from_hub(models, hub)
    export(found, models.path, tmp_path / "stick", quiet)

    record = kept(models)
    assert (record.name, record.sha256) == ("COPYING", None)
    assert (
        record.unreadable == f"expected UTF-8 text of at most 1048576 bytes, got {len(raw)} bytes"
    )
    said = [one.licence_text for one in found]
    assert said[0].startswith("COPYING is there and cannot be read")
    assert said[1].startswith("LICENSE of ")
    assert [path.name for path in (tmp_path / "weights").glob("*.txt")] == ["near.licence.txt"]
    (far, near) = json.loads((tmp_path / "stick/models.bom.json").read_text())["components"]
    assert not any("licence_sha256" in one["name"] for one in far["properties"])
    assert any("licence_sha256" in one["name"] for one in near["properties"])
    hub.asked.clear()
    from_hub(read_models(models.path), hub)
    assert hub.asked == []
    closed = table(tmp_path / "closed", entry("far"), entry("near"))
    bring(closed, FromFolder(tmp_path / "stick", closed.path))
    assert kept(closed) == record


def old_lock(models: ModelTable) -> ModelTable:
    """Make a fetched table's lock one of before licences were kept."""
    (locked,) = read_lock(lock_path(models.path)).models
    old = ModelLock(version=1, models=(locked.model_copy(update={"licence": None}),))
    lock_path(models.path).write_text(lock_text(old), "utf-8")
    (models.path.parent.parent / "weights" / "far.licence.txt").unlink()
    return read_models(models.path)


@pytest.mark.parametrize("way", ["offline", "refused"])
def test_a_machine_without_a_hub_needs_none_for_a_licence_alone(
    tmp_path: Path, licensed: FakeHub, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    models = table(tmp_path)
    from_hub(models, licensed)
    old = old_lock(models)
    lock = lock_path(models.path).read_bytes()
    if way == "offline":
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    # Port 9 of this machine: nobody listens there.
    endpoint = licensed.endpoint if way == "offline" else "http://127.0.0.1:9"
    before = time.monotonic()
    (found,) = bring(old, FromHub(endpoint))

    assert time.monotonic() - before < 1  # one try: huggingface_hub waits a second before the next
    assert found.outcome is Outcome.THERE
    assert found.licence_text.startswith(
        "no text kept, and nobody looked for one: http://127.0.0.1"
    )
    assert lock_path(models.path).read_bytes() == lock
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    (found,) = from_hub(read_models(models.path), licensed)
    assert found.licence_text.startswith("LICENSE.md of ")


def test_a_text_that_is_lost_is_told_of(tmp_path: Path, licensed: FakeHub) -> None:
    models = table(tmp_path)
    from_hub(models, licensed)
    (tmp_path / "weights" / "far.licence.txt").unlink()
    (found,) = bring(read_models(models.path), FromHub("http://127.0.0.1:9"))

    assert found.licence_text.startswith("LICENSE.md of ")
    assert "its text is not here: http://127.0.0.1:9/" in found.licence_text


def test_a_licence_goes_along_with_an_export_and_a_changed_one_is_refused(
    tmp_path: Path, licensed: FakeHub, exported: Path
) -> None:
    closed = table(tmp_path / "closed")
    bring(closed, FromFolder(exported, closed.path))
    assert (tmp_path / "closed/weights/far.licence.txt").read_bytes() == TEXT
    assert licensed.asked == []

    (exported / "far.licence.txt").write_bytes(TEXT + b" ")
    other = table(tmp_path / "other")
    with pytest.raises(InputError, match="expected the licence of SHA-256"):
        bring(other, FromFolder(exported, other.path))


# --- the lock ------------------------------------------------------------------------------------


def test_a_lock_that_contradicts_the_table_is_refused(tmp_path: Path, hub: FakeHub) -> None:
    models = table(tmp_path)
    from_hub(models, hub)
    text = models.path.read_text("utf-8").replace(
        "unet/model.safetensors, sha256: null", f"unet/model.safetensors, sha256: {'c' * 64}"
    )
    models.path.write_text(text, "utf-8")
    with pytest.raises(InputError, match=r"models\.yaml:\d+: 'far': file .* in the lock"):
        read_models(models.path)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("revision: null", f"revision: {'c' * 40}"),
        ("repository: maker/far", "repository: maker/near"),
        ("name: config.json", "name: configs.json"),
    ],
)
def test_a_lock_of_another_question_pins_nothing(
    tmp_path: Path, hub: FakeHub, old: str, new: str
) -> None:
    models = table(tmp_path)
    from_hub(models, hub)
    text = models.path.read_text("utf-8")
    assert old in text
    models.path.write_text(text.replace(old, new), "utf-8")

    assert read_models(models.path).declared_digest("far") == "unpinned"


def test_a_digest_that_looks_like_a_number_survives_the_lock(tmp_path: Path) -> None:
    file = LockedFile(name="a.json", sha256="1" * 30 + "e" + "1" * 33, size_bytes=3)
    model = LockedModel(id="1", repository="a/b", revision="1" * 40, files=(file,))
    lock = read_lock(tmp_path / "none").put(model)
    (tmp_path / "lock").write_text(lock_text(lock), "utf-8")

    assert read_lock(tmp_path / "lock") == lock


# --- the command ---------------------------------------------------------------------------------


def test_a_spec_whose_models_come_along_has_nothing_to_fetch(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)

    assert cli.main(["fetch"]) == 0
    assert "nothing to fetch" in capsys.readouterr().out


def test_the_command_says_what_it_brought_and_what_to_commit(
    tmp_path: Path,
    exported: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    closed = table(tmp_path / "closed")
    plan, _ = read_plan(MODELS.parent / "tiny.yaml")
    arm = plan.arms[0].model_copy(update={"model_digests": {"far": "unpinned"}})
    few = plan.model_copy(update={"arms": (arm,)})
    monkeypatch.setattr(run, "read_plan", lambda _path: (few, read_models(closed.path)))
    bill = tmp_path / "bill.json"

    assert cli.main(["fetch", "any", "--from", str(exported), "--bom", str(bill)]) == 0
    said = capsys.readouterr().out
    assert "imported" in said
    assert "far  (CC-BY-NC-4.0, commercial use forbidden)" in said
    assert "licence text: no file in the top folder is named as a licence" in said
    assert "models.lock.yaml (commit it)" in said
    assert json.loads(bill.read_text("utf-8"))["components"][0]["name"] == "far"
    again = cli.main(["fetch", "any", "--from", str(exported), "--json"])
    assert again == 0
    shown = json.loads(capsys.readouterr().out)
    assert [(row["model"], row["outcome"]) for row in shown["models"]] == [("far", "there")]
