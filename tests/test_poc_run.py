"""The whole path from spec to decision on the shipped tiny models: whole, resumed, refused."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import fault_injection as fi
import pytest
from light_spec import light

from poc import cli
from poc.cost import evaluate
from poc.cost_file import read_cost
from poc.cost_records import MoneyOfRun
from poc.governance_records import RightsOfRun
from poc.records import Decision
from poc.store import RunStore

QUICK = Path("poc/specs/quick.yaml")
SAME_IN_EVERY_RUN = ("plan.json", "estimates.json", "decision.json")


def run(out: Path, *options: str, spec: Path = QUICK) -> int:
    return cli.main(
        ["run", str(spec), "--out", str(out), "--workers", "1", "--no-report", *options]
    )


def results(out: Path) -> dict[str, bytes]:
    """Return every clip, feature and derived file: what must not depend on stops."""
    kept = [out / name for name in SAME_IN_EVERY_RUN]
    kept += sorted((out / "clips").iterdir()) + sorted((out / "features").iterdir())
    return {str(path.relative_to(out)): path.read_bytes() for path in kept}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("whole") / "run"
    assert run(out) == 0
    return out


def test_a_run_ends_in_a_decision_line(whole: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(whole) == 0

    last = capsys.readouterr().out.splitlines()[-1]
    assert last in {
        "decision: GO",
        "decision: CONDITIONAL",
        "decision: INSUFFICIENT_EVIDENCE",
        "decision: NO_GO",
    }


def test_a_run_says_for_how_long_no_network_was_at_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def occupation() -> dict[str, float] | None:
        assert run(tmp_path / "run", "--json") == 0
        found = json.loads(capsys.readouterr().out).get("occupation")
        return None if found is None else dict(found)

    made = occupation()
    generations = RunStore.open_reader(tmp_path / "run").generations()

    assert made is not None
    assert made["processes"] == 1
    assert 0 < made["network_s"] < sum(one.duration_s for one in generations) < made["wall_s"]
    assert occupation() is None  # nothing was made again


def test_a_finished_run_makes_nothing_again(whole: Path) -> None:
    journals = ("generations.jsonl", "measurements.jsonl", "resolved.jsonl")
    before = [(whole / name).read_bytes() for name in journals]
    assert run(whole) == 0

    assert [(whole / name).read_bytes() for name in journals] == before


def test_a_run_verifies_and_verifying_writes_nothing(
    whole: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.stat().st_mtime_ns for path in whole.rglob("*")}
    assert cli.main(["verify", str(whole)]) == 0

    assert capsys.readouterr().out == "complete: yes\nverified: yes\n"
    assert {path: path.stat().st_mtime_ns for path in whole.rglob("*")} == before


def test_records_that_lost_their_end_are_named_by_decide_and_leave_the_run_incomplete(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = shutil.copytree(whole, tmp_path / "run")
    journal = run / "measurements.jsonl"
    journal.write_bytes(journal.read_bytes()[:-5])

    cli.main(["decide", str(run)])
    assert "measurements.jsonl" in capsys.readouterr().out.partition("\nrecords:")[2]
    assert cli.main(["verify", str(run)]) == 0
    assert capsys.readouterr().out.startswith("complete: no")


def _a_better_number(run: Path) -> None:
    path = run / "estimates.json"
    text = path.read_text()
    count = re.search(r'"n_prompts":\s*(\d+)', text)
    assert count is not None
    path.write_text(text[: count.start(1)] + "99" + text[count.end(1) :])


def _a_lost_decision(run: Path) -> None:
    (run / "decision.json").unlink()


def _another_clip(run: Path) -> None:
    first, second = sorted((run / "clips").glob("*.png"))[:2]
    shutil.copy(first, second)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_a_better_number, "estimates.json: is not what follows"),
        (_a_lost_decision, "decision.json: is not there"),
        (_another_clip, "expected frames of digest"),
    ],
)
def test_what_was_changed_afterwards_does_not_verify(
    whole: Path,
    tmp_path: Path,
    change: Callable[[Path], None],
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    copy = shutil.copytree(whole, tmp_path / "copy")
    change(copy)

    assert cli.main(["verify", str(copy), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert not found["verified"]
    assert said in " ".join(found["amiss"])


def test_a_warning_is_said_and_kept_with_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, spoilt = tmp_path / "run", light(tmp_path, animatelcm={"negative_prompt": "blur"})
    assert run(out, spec=spoilt) == 0

    assert "poc: warning negative-prompt-unused (arm animatelcm-2" in capsys.readouterr().err
    kept = RunStore.open_reader(out).manifest.warnings
    assert [one.code for one in kept] == ["negative-prompt-unused"]


def test_a_run_without_warnings_has_the_manifest_that_runs_had_before_them(whole: Path) -> None:
    assert "warnings" not in json.loads((whole / "manifest.json").read_text("utf-8"))
    assert RunStore.open_reader(whole).manifest.warnings == ()


def test_two_workers_give_the_bytes_of_one(whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    code = cli.main(["run", str(QUICK), "--out", str(out), "--workers", "2", "--no-report"])

    assert code == 0
    assert results(out) == results(whole)


@pytest.mark.parametrize("nth", [6, 33])  # at every flush: `make endure`
def test_a_killed_run_goes_on_and_equals_one_that_was_not(
    whole: Path, tmp_path: Path, nth: int
) -> None:
    out = tmp_path / "run"
    ended = fi.forked(lambda _: _exit(run(out)), fi.Fault(nth, fi.Action.KILL))
    acknowledged = _batches(out)

    assert ended.killed
    assert run(out) == 0
    assert results(out) == results(whole)
    assert _batches(out)[: len(acknowledged)] == acknowledged


def test_a_full_disk_stops_with_exit_2_and_the_run_goes_on_later(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    with fi.injected(fi.Fault(14, fi.Action.FULL)):
        code = run(out)

    assert code == 2
    assert "disk full" in capsys.readouterr().err.lower()
    assert run(out) == 0
    assert results(out) == results(whole)


def test_a_second_owner_is_refused_at_once(whole: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with RunStore.open_writer(whole):
        code = run(whole)

    assert code == 2
    assert "in use by process" in capsys.readouterr().err


def test_a_folder_of_another_plan_is_refused(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = _spec_with(tmp_path, "seed: 20261123", "seed: 7")

    assert run(whole, spec=other) == 2
    assert "seed" in capsys.readouterr().err


def test_a_run_past_its_end_time_is_closed_and_incomplete(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"
    monkeypatch.setattr("poc.run._deadline", lambda until: lambda: until is not None)
    soon = datetime.now().astimezone() + timedelta(minutes=1)
    code = run(out, "--until", soon.strftime("%H:%M"))

    assert code == 3
    assert "decision: INSUFFICIENT_EVIDENCE" in capsys.readouterr().out
    assert (RunStore.open_reader(out).closed_reason or "").startswith("--until")


def test_decide_answers_by_its_exit_code(whole: Path) -> None:
    decision = json.loads((whole / "decision.json").read_text())["decision"]
    codes = {"GO": 0, "NO_GO": 1, "INSUFFICIENT_EVIDENCE": 3, "CONDITIONAL": 4}

    assert cli.main(["decide", str(whole)]) == codes[decision]


def test_the_claims_are_printed_before_the_decision_and_stored_nowhere(
    whole: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path.name for path in whole.iterdir()}
    cli.main(["decide", str(whole)])
    *others, last = capsys.readouterr().out.splitlines()

    assert last.startswith("decision: ")
    assert any("tested in the tiny world, not at real size" in line for line in others)
    assert "confirmed" not in (whole / "decision.json").read_text()
    assert {path.name for path in whole.iterdir()} == before


def test_two_prompts_confirm_no_claim(whole: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["decide", str(whole), "--json"])
    found = json.loads(capsys.readouterr().out)["claims"]

    assert set(found.values()) <= {"open", "not_testable"}


def test_other_criteria_are_marked_as_edited(whole: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(whole, tmp_path / "run")
    text = Path("poc/specs/criteria/quick.yaml").read_text().replace("version: 1", "version: 2")
    criteria = tmp_path / "other.yaml"
    criteria.write_text(text)
    cli.main(["decide", str(copy), "--criteria", str(criteria)])

    assert json.loads((copy / "decision.json").read_text())["criteria_edited"] is True


def test_a_rights_file_gives_the_rights_light_and_is_needed_to_verify_it(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = shutil.copytree(whole, tmp_path / "run")
    rights = ("--rights", "poc/specs/rights/example.yaml")
    cli.main(["decide", str(copy)])
    plain = (copy / "decision.json").read_bytes()
    cli.main(["decide", str(copy), *rights, "--on", "2026-12-01"])
    basis = json.loads((copy / "decision.json").read_text())["rights_basis"]

    assert (basis["on"], basis["valid_until"]) == ("2026-12-01", None)
    assert "rights:    INSUFFICIENT_EVIDENCE on 2026-12-01" in capsys.readouterr().out
    assert cli.main(["verify", str(copy), *rights]) == 0
    assert cli.main(["verify", str(copy)]) == 1
    assert "rights_basis" in capsys.readouterr().out

    cli.main(["decide", str(copy)])

    assert (copy / "decision.json").read_bytes() == plain
    assert cli.main(["verify", str(copy)]) == 0


COST = ("--cost", "poc/specs/cost/example.yaml")
RIGHTS = ("--rights", "poc/specs/rights/example.yaml")
DAY = ("--on", "2026-12-01")


def test_what_stands_behind_money_and_rights_is_kept_only_where_it_was_asked_for(
    whole: Path, tmp_path: Path
) -> None:
    copy = shutil.copytree(whole, tmp_path / "run")
    cli.main(["decide", str(copy)])
    before = {path.name: path.read_bytes() for path in copy.glob("*.json")}
    cli.main(["decide", str(copy), *COST, *RIGHTS, *DAY])
    decision = Decision.from_json((copy / "decision.json").read_bytes())
    money = MoneyOfRun.from_json((copy / "money.json").read_bytes())
    rights = RightsOfRun.from_json((copy / "rights.json").read_bytes())

    assert not {"money.json", "rights.json"} & before.keys()
    assert (money.basis, rights.basis) == (decision.price_basis, decision.rights_basis)
    assert (money.economic.light, money.kind) == (decision.economic, "demonstration")
    # The same example, by the command that knows no run: seconds stated, seed 0.
    assert money.cost == evaluate(read_cost(Path(COST[1])), seed=0)

    cli.main(["decide", str(copy)])

    assert {path.name: path.read_bytes() for path in copy.glob("*.json")} == before


def test_prices_end_and_both_commands_say_when_that_has_passed(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy, prices = shutil.copytree(whole, tmp_path / "run"), tmp_path / "cost.yaml"
    text = Path(COST[1]).read_text("utf-8")
    prices.write_text(text.replace("valid_until: null", 'valid_until: "2026-01-31"'), "utf-8")

    cli.main(["decide", str(copy), "--cost", str(prices), "--on", "2026-01-31"])
    assert "valid:     until 2026-01-31 (has passed: decide again" in capsys.readouterr().out
    assert cli.main(["verify", str(copy), "--cost", str(prices), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["valid_until"], found["has_passed"]) == ("2026-01-31", True)

    cli.main(["decide", str(copy), "--cost", str(prices), "--on", "2026-02-01"])
    assert "valid:" not in capsys.readouterr().out
    assert "the offers behind them ended" in (copy / "decision.json").read_text("utf-8")
    assert cli.main(["verify", str(copy), "--cost", str(prices)]) == 0


@pytest.mark.parametrize("name", ["money.json", "rights.json"])
def test_edited_money_and_rights_do_not_verify_and_missing_ones_hurt_no_old_run(
    whole: Path, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = shutil.copytree(whole, tmp_path / "run")
    cli.main(["decide", str(copy), *COST, *RIGHTS, *DAY])
    kept = (copy / name).read_text("utf-8")
    assert cli.main(["verify", str(copy), *COST, *RIGHTS]) == 0

    (copy / name).write_text(kept.replace("demonstration", "procurement", 1), "utf-8")
    capsys.readouterr()
    assert cli.main(["verify", str(copy), *COST, *RIGHTS]) == 1
    assert f"{name}: is not what follows" in capsys.readouterr().out

    (copy / name).unlink()
    assert cli.main(["verify", str(copy), *COST, *RIGHTS]) == 0


def test_a_day_without_a_file_that_it_judges_is_refused(
    whole: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["decide", str(whole), "--on", "2026-12-01"]) == 2
    assert "expected --rights or --cost beside it" in capsys.readouterr().err


def test_a_damaged_record_costs_only_itself(whole: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(whole, tmp_path / "run")
    journal = copy / "generations.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(lines[0].replace(b"ok", b"xx", 1) + b"".join(lines[1:]))

    assert run(copy) == 0
    assert results(copy) == results(whole)
    assert any("generations.jsonl:1" in text for text in RunStore.open_reader(copy).findings)


def test_help_starts_without_the_heavy_libraries() -> None:
    import subprocess
    import sys

    heavy = {"diffusers", "numpy", "pandas", "pydantic", "torch", "yaml"}
    code = f"import sys, poc.cli; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )

    assert done.stdout.strip() == "[]"


def _exit(code: int) -> None:
    if code:
        raise SystemExit(code)


def _batches(out: Path) -> list[str]:
    if not (out / "manifest.json").exists():
        return []
    return [generation.batch_id for generation in RunStore.open_reader(out).generations()]


def _spec_with(folder: Path, old: str, new: str) -> Path:
    """Copy the quick spec and its criteria with one change."""
    shutil.copytree(QUICK.parent / "criteria", folder / "criteria")
    text = QUICK.read_text()
    assert old in text
    path = folder / "quick.yaml"
    path.write_text(text.replace(old, new))
    return path


def test_a_fault_of_the_program_never_exits_as_no_go(
    whole: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("poc.run.evaluate", broken)

    assert cli.main(["decide", str(whole)]) == 2
    assert "fault of the program" in capsys.readouterr().err


def test_lost_features_are_taken_again(whole: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(whole, tmp_path / "run")
    for path in sorted((copy / "features").iterdir())[:3]:
        path.unlink()

    assert run(copy) == 0
    assert results(copy) == results(whole)


def test_a_clip_that_is_not_one_makes_the_run_incomplete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import numpy as np

    from poc.pipelines.animatediff import AnimateDiffFamily

    def black(*_: object) -> object:
        return np.zeros((2, 16, 64, 64, 3), np.uint8), (True, True)

    monkeypatch.setattr(AnimateDiffFamily, "decode", black)
    out = tmp_path / "run"

    assert run(out, spec=light(tmp_path)) == 3
    store = RunStore.open_reader(out)
    counts = [store.counts(arm.id) for arm in store.plan.arms]
    assert {(c.planned, c.invalid, c.ok) for c in counts} == {(2, 2, 0)}


def test_a_torn_last_line_is_repaired_and_costs_only_its_own_work(
    whole: Path, tmp_path: Path
) -> None:
    copy = shutil.copytree(whole, tmp_path / "run")
    journal = copy / "generations.jsonl"
    journal.write_bytes(journal.read_bytes()[:-20])
    before = _batches(copy)

    assert run(copy) == 0
    assert results(copy) == results(whole)
    assert _batches(copy)[: len(before)] == before
