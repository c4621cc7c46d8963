"""The auditors' archive: whole, checked by `poc verify`, and refused where it was touched."""

from __future__ import annotations

import hashlib
import json
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from light_spec import light

from poc import cli

COST = ("--cost", "poc/specs/cost/example.yaml")
RIGHTS = ("--rights", "poc/specs/rights/example.yaml")


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return light(tmp_path_factory.mktemp("audited"))


@pytest.fixture(scope="module")
def run(spec: Path) -> Path:
    out = spec.parent / "run"
    made = ["run", str(spec), "--out", str(out), "--workers", "1", "--no-report"]
    assert cli.main(made) == 0
    cli.main(["decide", str(out), *COST, *RIGHTS, "--on", "2026-12-01"])
    return out


@pytest.fixture(scope="module")
def archive(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("archive") / "audit.zip"
    written = ["report", str(run), "--format", "audit", "--out", str(out), *COST, *RIGHTS]
    assert cli.main(written) == 0
    return out


def members(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as found:
        return {name: found.read(name) for name in found.namelist()}


def rewritten(path: Path, found: Mapping[str, bytes], *, sums: bool) -> Path:
    """An archive of other members; with `sums` their list of digests agrees with them."""
    held = dict(found)
    if sums:
        lines = (f"{hashlib.sha256(data).hexdigest()}  {name}\n"
                 for name, data in sorted(held.items()) if name != "SHA256SUMS")  # fmt: skip
        held["SHA256SUMS"] = "".join(lines).encode()
    with zipfile.ZipFile(path, "w") as new:
        for name, data in held.items():
            new.writestr(name, data)
    return path


def test_the_archive_verifies_with_nothing_but_itself(
    archive: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["verify", str(archive)]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("verified: yes")
    assert cli.main(["verify", str(archive), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["not_checked"] == ["licences.json", "bill_of_materials.json"]


def test_it_holds_what_an_auditor_asks_for_and_a_digest_of_each(spec: Path, archive: Path) -> None:
    found = members(archive)
    listed = dict(line.split("  ")[::-1] for line in found["SHA256SUMS"].decode().splitlines())
    wanted = {
        "spec.yaml", "criteria.json", "licences.json", "bill_of_materials.json", "README.txt",
        "run/manifest.json", "run/estimates.json", "run/decision.json", "run/measurements.jsonl",
        "run/money.json", "run/rights.json", "given/cost.yaml", "given/rights/rights.yaml",
        "given/rights/checklist_jp.yaml",
    }  # fmt: skip
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in found.items()}

    assert wanted <= found.keys()
    assert not [name for name in found if name.startswith("run/clips")]
    assert listed == {name: one for name, one in digests.items() if name != "SHA256SUMS"}
    assert found["spec.yaml"] == spec.read_bytes()


def test_licences_and_materials_name_every_model_with_its_digest(archive: Path) -> None:
    found = members(archive)
    plan = json.loads(found["run/plan.json"])
    used = {k: v for arm in plan["arms"] for k, v in arm["model_digests"].items()}
    materials = json.loads(found["bill_of_materials.json"])["components"]
    models = {one["name"]: one["properties"][0]["value"] for one in materials if "purl" not in one}
    licences = json.loads(found["licences.json"])

    assert models == used
    assert {one["model"] for one in licences} == used.keys()
    assert all(fact["facts"] for one in licences for fact in one["facts"].values() if fact)


def test_the_same_run_gives_the_same_archive(run: Path, archive: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.zip"
    cli.main(["report", str(run), "--format", "audit", "--out", str(again), *COST, *RIGHTS])

    assert again.read_bytes() == archive.read_bytes()


@pytest.mark.parametrize("sums", [False, True])
def test_an_edited_result_does_not_verify_even_where_its_digest_was_edited_too(
    archive: Path, tmp_path: Path, sums: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    found = members(archive)
    found["run/money.json"] = found["run/money.json"].replace(b"demonstration", b"procurement", 1)
    edited = rewritten(tmp_path / "edited.zip", found, sums=sums)

    assert cli.main(["verify", str(edited)]) == 1
    said = capsys.readouterr().out
    assert "money.json: is not what follows" in said
    assert ("SHA256SUMS" in said) is not sums


def test_a_member_that_was_taken_out_is_named(
    archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = members(archive)
    del found["licences.json"]

    assert cli.main(["verify", str(rewritten(tmp_path / "less.zip", found, sums=False))]) == 1
    assert "lacks 'licences.json'" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["../evil", "run/../../evil", "run/x.py", "given/rights/.."])
def test_a_member_that_no_archive_has_is_refused_before_it_is_written(
    archive: Path, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    edited = rewritten(tmp_path / "evil.zip", members(archive) | {name: b""}, sums=True)

    assert cli.main(["verify", str(edited)]) == 2
    assert "which no archive has" in capsys.readouterr().err


@pytest.mark.parametrize("options", [(), COST, RIGHTS])
def test_files_that_the_decision_stands_on_have_to_come_along(
    run: Path, tmp_path: Path, options: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "audit.zip"
    code = cli.main(["report", str(run), "--format", "audit", "--out", str(out), *options])

    assert code == 2
    assert "Give it again" in capsys.readouterr().err
    assert not out.exists()


def test_other_prices_than_those_decided_with_are_refused(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "cost.yaml"
    other.write_bytes(Path(COST[1]).read_bytes() + b"# other\n")
    asked = ["--format", "audit", "--out", str(tmp_path / "a.zip"), "--cost", str(other), *RIGHTS]

    assert cli.main(["report", str(run), *asked]) == 2
    assert "is not the file of prices" in capsys.readouterr().err


def test_another_rights_file_than_the_one_decided_with_is_refused(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, own = tmp_path / "rights", Path(RIGHTS[1])
    shutil.copytree(own.parent, folder)
    other = folder / own.name
    other.write_text(own.read_text("utf-8").replace("2027-", "2028-"), "utf-8")
    asked = ["--format", "audit", "--out", str(tmp_path / "a.zip"), *COST, "--rights", str(other)]

    assert cli.main(["report", str(run), *asked]) == 2
    assert "is not the rights file that was decided with" in capsys.readouterr().err
    assert not (tmp_path / "a.zip").exists()


def test_criteria_that_the_decision_did_not_use_are_refused(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    criteria = "poc/specs/criteria/demonstration.yaml"
    asked = ["--format", "audit", "--out", str(tmp_path / "a.zip"), *COST, *RIGHTS]

    assert cli.main(["report", str(run), *asked, "--criteria", criteria]) == 2
    assert "was made without a file of --criteria" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["spec.yaml", "criteria.json"])
def test_what_lies_beside_the_run_and_says_something_else_does_not_verify(
    archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    found = members(archive)
    forged = rewritten(tmp_path / "forged.zip", found | {name: found[name] + b"\n"}, sums=True)

    assert cli.main(["verify", str(forged)]) == 1
    assert f"{name} is not that of the run" in capsys.readouterr().out


def test_a_damaged_archive_is_one_clear_error(
    archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = bytearray(archive.read_bytes())
    for place in range(400, 440):
        data[place] ^= 0xFF
    (tmp_path / "damaged.zip").write_bytes(data)

    assert cli.main(["verify", str(tmp_path / "damaged.zip")]) == 2
    assert "expected an archive, cannot read it" in capsys.readouterr().err


def test_an_archive_that_calls_a_name_utf8_that_is_none_is_one_clear_error(
    archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = bytearray(archive.read_bytes())
    entry = data.index(b"PK\x01\x02")  # the first entry of the list of members
    data[entry + 9] |= 0x08  # the flag that its name is UTF-8
    data[entry + 46] = 0xFF
    (tmp_path / "damaged.zip").write_bytes(data)

    assert cli.main(["verify", str(tmp_path / "damaged.zip")]) == 2
    assert "expected an archive, cannot read it" in capsys.readouterr().err
