"""The chosen arm is looked at again on prompts that follow from the choice, and on no other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import simulated_runs as sim
from small_run import fingerprint

from poc import cli
from poc.confirmation import CHOICE, choose, write_confirmation
from poc.decide import decide
from poc.errors import InputError
from poc.records import Arm, Choice, Decision, Light, Plan
from poc.run import read_plan
from poc.spec import read_spec
from poc.store import Manifest, RunStore

QUICK = Path("poc/specs/quick.yaml")


def decision(plan: Plan, arm: str) -> Decision:
    chosen = next(one for one in plan.arms if one.name == arm)
    return Decision(
        format_version=1,
        kind="demonstration",
        decision=Light.INSUFFICIENT_EVIDENCE,
        technical=Light.GO,
        economic=Light.INSUFFICIENT_EVIDENCE,
        rights=Light.GO,
        recommended_arm_id=chosen.id,
        arms=(),
        criteria_digest=plan.criteria_digest,
        criteria_edited=False,
        reasons=(),
        conditions=(),
        next_measurement=None,
        estimates_digest="0" * 64,
    )


def decided(path: Path, plan: Plan, arm: str) -> Path:
    """Write a run folder that holds a decision and no clip."""
    manifest = Manifest.of("name: quick\n", plan, fingerprint())
    with RunStore.create_or_open(path, plan=plan, manifest=manifest) as store:
        store.write_derived("decision.json", decision(plan, arm).to_json())
    return path


@pytest.fixture(scope="module")
def plan() -> Plan:
    return read_plan(QUICK)[0]


@pytest.fixture
def run(plan: Plan, tmp_path: Path) -> Path:
    return decided(tmp_path / "run", plan, plan.arms[-1].name)


def test_the_spec_has_the_chosen_arm_and_the_baseline_just_as_they_were(
    run: Path, plan: Plan, tmp_path: Path
) -> None:
    spec = write_confirmation(run, tmp_path / "again", count=None, csv=None)
    again, _ = read_plan(spec)

    assert [arm.id for arm in again.arms] == [plan.baseline_id, plan.arms[-1].id]
    assert again.baseline_id == plan.baseline_id
    assert again.criteria_digest == plan.criteria_digest
    assert again.spec.confirms == choose(run)
    assert again.spec.metrics == plan.spec.metrics


def test_no_prompt_is_seen_twice_and_none_was_known_before_the_choice(
    run: Path, plan: Plan, tmp_path: Path
) -> None:
    again, _ = read_plan(write_confirmation(run, tmp_path / "again", count=50, csv=None))
    other = decided(tmp_path / "other", plan, plan.arms[-2].name)
    elsewhere, _ = read_plan(write_confirmation(other, tmp_path / "else", count=50, csv=None))

    texts, before = {p.text for p in again.prompts}, {p.text for p in plan.prompts}
    assert len(texts) == 50
    assert not texts & before
    assert texts != {p.text for p in elsewhere.prompts}
    assert {again.spec.seed, elsewhere.spec.seed, plan.spec.seed} == {
        choose(run).seed(), choose(other).seed(), plan.spec.seed,
    }  # fmt: skip
    assert again.spec.seed != elsewhere.spec.seed


def test_the_choice_is_written_down_once(run: Path, plan: Plan) -> None:
    first = choose(run)

    assert choose(run) == first
    assert Choice.from_json((run / CHOICE).read_text("utf-8")) == first
    with RunStore.open_writer(run) as store:
        store.write_derived("decision.json", decision(plan, plan.arms[-2].name).to_json())
    with pytest.raises(InputError, match="What was chosen first is confirmed first"):
        choose(run)


def test_a_choice_that_is_deleted_and_made_again_draws_the_same(run: Path) -> None:
    first = choose(run)
    (run / CHOICE).unlink()
    again = choose(run).model_copy(update={"time": "2030-01-01T00:00:00+00:00"})

    assert (again.seed(), again.salt()) == (first.seed(), first.salt())


def test_what_is_refused_leaves_no_choice_behind(run: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="were asked for"):
        write_confirmation(run, tmp_path / "again", count=100_000, csv=None)

    assert not (run / CHOICE).exists()


def test_a_spec_that_claims_to_confirm_has_the_seed_of_the_choice(
    run: Path, tmp_path: Path
) -> None:
    spec = write_confirmation(run, tmp_path / "again", count=None, csv=None)
    text = spec.read_text("utf-8")
    spec.write_text(text.replace(f"seed: {choose(run).seed()}", "seed: 1"), "utf-8")

    with pytest.raises(InputError, match=r"'seed': expected \d+, which follows from what is"):
        read_spec(spec)


def test_a_prompt_of_the_sweep_confirms_nothing_however_it_came_into_the_run(
    run: Path, plan: Plan, tmp_path: Path
) -> None:
    spec = write_confirmation(run, tmp_path / "again", count=4, csv=None)
    again, _ = read_plan(spec)
    own, seen = again.prompts[0].text, plan.prompts[0].text
    table = spec.parent / "datasets.yaml"
    edited = table.read_text("utf-8").replace(own, f"{seen.capitalize()}.")
    assert edited != table.read_text("utf-8")
    table.write_text(edited, "utf-8")

    with pytest.raises(InputError, match=rf"1 of 4 prompts were in the run .*{plan.arms[-1].name}"):
        read_plan(spec)


# --- other prompts -------------------------------------------------------------------------------


def csv(path: Path, *prompts: str) -> Path:
    rows = [f'"{text}",en,試験' for text in prompts]
    path.write_text("\n".join(["text,language,text_ja", *rows]) + "\n", "utf-8")
    return path


NEW = "a red circle moving up on a navy background"


def test_prompts_may_be_brought_if_the_run_has_not_used_them(
    run: Path, plan: Plan, tmp_path: Path
) -> None:
    again, _ = read_plan(
        write_confirmation(run, tmp_path / "again", count=1, csv=csv(tmp_path / "new.csv", NEW))
    )
    assert [one.text for one in again.prompts] == [NEW]

    with pytest.raises(InputError, match="1 new prompts are there"):
        write_confirmation(run, tmp_path / "few", count=None, csv=csv(tmp_path / "new.csv", NEW))
    used = csv(tmp_path / "used.csv", plan.prompts[0].text.upper())
    with pytest.raises(InputError, match=r"has used .* already"):
        write_confirmation(run, tmp_path / "no", count=None, csv=used)


def test_more_prompts_than_are_left_are_refused(run: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="382 new prompts are there, 383 were asked for"):
        write_confirmation(run, tmp_path / "again", count=383, csv=None)
    assert not (tmp_path / "again").exists()


def test_a_folder_that_holds_something_is_left_alone(run: Path) -> None:
    with pytest.raises(InputError, match="a new or an empty folder"):
        write_confirmation(run, run, count=None, csv=None)


def test_the_command_names_the_choice_and_what_to_type(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    again = tmp_path / "again"

    assert cli.main(["confirm", str(run), "--out", str(again), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["spec"] == str(again / "spec.yaml")
    assert found["choice"]["arm"] == choose(run).arm
    assert cli.main(["plan", str(again / "spec.yaml")]) == 0


# --- what a decision says ------------------------------------------------------------------------


def again(gain: float, arm_id: str = sim.STUDENT) -> Decision:
    """Decide a simulated run that confirms an arm."""

    def score(arm: Arm, prompt: int, _replicate: int) -> float:
        own = gain + 0.02 * sim.noise(arm.id, prompt) if arm.id == sim.STUDENT else 0.0
        return 30 + sim.noise(prompt) + own

    choice = Choice(
        format_version=1,
        arm=arm_id,
        arm_id=arm_id,
        baseline_id=sim.BASELINE,
        plan_digest="0" * 64,
        decision_digest="0" * 64,
        time="2026-11-29T00:00:00+00:00",
    )
    made = sim.plan((sim.teacher(), sim.arm(sim.STUDENT)), prompts=30, confirms=choice)
    result = sim.run(made, {"clip_score": score})
    found, draws = result.evidence()
    return decide(made, found, made.criteria, draws)


def said(found: Decision) -> str:
    return " ".join(one.text_en for one in (*found.reasons, *found.conditions))


def test_an_arm_that_passes_again_is_confirmed_and_asks_for_no_third_look() -> None:
    found = again(1.0)

    assert found.technical is Light.GO
    assert "Confirmed: student-4 was chosen on 2026-11-29" in said(found)
    assert "Confirm student-4 and the baseline" not in said(found)


def test_an_arm_that_does_not_pass_again_is_not_confirmed() -> None:
    found = again(-1.0)

    assert found.technical is not Light.GO
    assert "Not confirmed: student-4" in said(found)


def test_a_run_that_confirms_another_arm_confirms_nothing() -> None:
    found = again(1.0, "another")

    assert "Not confirmed: another" in said(found)
    assert "Confirm student-4 and the baseline" in said(found)
