"""Arms of clips that somebody else made: planned, read, measured, compared by prompt, judged."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from metrics.base import SetBasis
from poc import cli
from poc.clip_folder import ProtocolError
from poc.errors import InputError
from poc.governance_records import PartKind
from poc.imported import ImportedClips, NotDeliveredError, as_measured, imported_clips
from poc.latency_estimates import latency_outcomes
from poc.plan import describe, summary
from poc.records import (
    Arm,
    ArmSummary,
    Comparison,
    ComparisonProtocol,
    Counts,
    Criterion,
    Decision,
    Estimate,
    Estimates,
    LatencySpec,
    Plan,
    Verdict,
    Weight,
)
from poc.rights_file import Words
from poc.rights_parts import subject_of
from poc.run import read_plan
from poc.run_folder import refuse_other_plan
from poc.samples import Grid, by_prompt, difference_sample
from poc.set_metrics import ArmSet, _paired
from poc.store import RunStore
from poc.tiny import world
from poc.verdicts import judge
from poc.video import encode_webm

SPECS = Path("poc/specs")
HEAD = "file,prompt,attempt,price,currency,requested,received,picked"
TIMES = "2026-11-01T00:00:00Z,2026-11-01T00:02:00Z"

IMPORTED = """
  - name: vendor
    role: control
    family: imported
    style: null
    clips: {folder: vendor, delivery: vendor.csv, png_fps: 8}
"""
PROTOCOL = "protocol: {seconds: 2, fps: 8, short_side: 64}\n"


def prompts() -> list[str]:
    """The two prompts of the quick spec."""
    return [prompt.text for prompt in read_plan(SPECS / "quick.yaml")[0].prompts]


def rendered(text: str, seed: int) -> np.ndarray:
    """A clean clip of a prompt, (16, 64, 64, 3)."""
    return world.render_clip(world.parse(text), np.random.default_rng(seed), None)


def write_frames(folder: Path, frames: np.ndarray) -> None:
    """Keep frames as a delivery of pictures would: one png each."""
    folder.mkdir(parents=True)
    for number, frame in enumerate(frames):
        Image.fromarray(frame).save(folder / f"{number:03d}.png")


def write_spec(home: Path, *, arm: str = IMPORTED, protocol: str = PROTOCOL) -> Path:
    """Write the quick spec with an imported arm and its criteria beside it; returns its path."""
    text = (SPECS / "quick.yaml").read_text("utf-8")
    text = text.replace("\nmetrics:\n", f"{arm}\n{protocol}\nmetrics:\n", 1)
    shutil.copytree(SPECS / "criteria", home / "criteria")
    (home / "spec.yaml").write_text(text, "utf-8")
    return home / "spec.yaml"


def write_delivery(home: Path, rows: Sequence[str]) -> None:
    """Write the list of takes."""
    (home / "vendor.csv").write_text("\n".join([HEAD, *rows]) + "\n", "utf-8")


def deliver(home: Path) -> None:
    """Deliver three takes of the first prompt, one of them not there, and one of the second."""
    first, second = prompts()
    write_frames(home / "vendor" / "a1", rendered(first, 1))
    write_frames(home / "vendor" / "a3", rendered(first, 2))
    (home / "vendor" / "b1.webm").write_bytes(encode_webm(rendered(second, 3), 8))
    write_delivery(
        home,
        [
            f'a1,"{first}",1,40,JPY,{TIMES},yes',
            f',"{first}",2,40,JPY,{TIMES},no',
            f'a3,"{first}",3,40,JPY,{TIMES},no',
            f'b1.webm,"{second}",1,40,JPY,{TIMES},no',
        ],
    )


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("home")
    deliver(folder)
    write_spec(folder)
    return folder


def run(home: Path, out: Path) -> int:
    return cli.main(
        ["run", str(home / "spec.yaml"), "--out", str(out), "--workers", "1", "--no-report"]
    )


@pytest.fixture(scope="module")
def ran(home: Path) -> Path:
    """The run of that spec: one take of four is missing, so it ends as incomplete."""
    assert run(home, home / "run") == 3
    return home / "run"


def vendor(run: Path) -> ArmSummary:
    found = Estimates.from_json((run / "estimates.json").read_text("utf-8"))
    return next(one for one in found.arms if one.arm.name == "vendor")


def found(run: Path, metric: str, how: Comparison) -> Estimate:
    return next(e for e in vendor(run).estimates if (e.metric, e.comparison) == (metric, how))


# --- the plan ------------------------------------------------------------------------------------


def test_the_plan_counts_every_take_and_no_evaluation(home: Path) -> None:
    plan, _ = read_plan(home / "spec.yaml")
    cost = next(one for one in summary(plan).arms if one.name == "vendor")

    assert (cost.clips, cost.nfe, cost.nfe_per_clip, cost.steps) == (4, None, None, None)


def test_the_plan_shows_an_imported_arm_without_evaluations(home: Path) -> None:
    plan, _ = read_plan(home / "spec.yaml")
    row = next(line for line in describe(plan).splitlines() if line.startswith("vendor"))

    assert row.split() == ["vendor", "(c)", "imported", "-", "-", "-", "4", "-"]


def test_other_arms_cost_what_they_cost_without_it(home: Path) -> None:
    alone, _ = read_plan(SPECS / "quick.yaml")
    beside, _ = read_plan(home / "spec.yaml")

    assert summary(beside).nfe_quality == summary(alone).nfe_quality
    assert [arm.id for arm in beside.generated] == [arm.id for arm in alone.arms]


def test_a_changed_file_is_another_arm_and_is_named_on_resume(tmp_path: Path) -> None:
    deliver(tmp_path)
    before = read_plan(write_spec(tmp_path))[0]
    (tmp_path / "vendor" / "b1.webm").write_bytes(encode_webm(rendered(prompts()[1], 9), 8))
    after = read_plan(tmp_path / "spec.yaml")[0]

    assert after.arms[-1].id != before.arms[-1].id
    with pytest.raises(InputError, match=r"the file 'b1\.webm' of arm 'vendor' has changed"):
        refuse_other_plan(tmp_path / "run", before, after)


def test_the_same_files_resume_the_same_plan(tmp_path: Path) -> None:
    deliver(tmp_path)
    before = read_plan(write_spec(tmp_path))[0]

    refuse_other_plan(tmp_path / "run", before, read_plan(tmp_path / "spec.yaml")[0])


def test_a_prompt_without_a_take_is_a_take_that_was_not_delivered(tmp_path: Path) -> None:
    first, second = prompts()
    write_frames(tmp_path / "vendor" / "a1", rendered(first, 1))
    write_delivery(tmp_path, [f'a1,"{first}",1,,,,,no'])
    plan: Plan = read_plan(write_spec(tmp_path))[0]

    missing = plan.deliveries[0].takes[1]
    assert (missing.attempt, missing.listed, missing.file) == (1, False, None)
    assert plan.prompts[1].text == second
    assert missing.prompt_id == plan.prompts[1].id


@pytest.mark.parametrize(
    ("arm", "protocol", "said"),
    [
        (IMPORTED, "", "compared in one form only"),
        (IMPORTED.replace("role: control\n", "role: candidate\n"), PROTOCOL, "role: control"),
        (IMPORTED.replace("    clips:", "    steps: 4\n    clips:"), PROTOCOL, "'steps'"),
        (IMPORTED.replace("vendor\n", "v-{steps}\n", 1), PROTOCOL, "unknown factor"),
        (IMPORTED, PROTOCOL.replace("fps: 8", "fps: 24"), "none is repeated"),
        (IMPORTED, PROTOCOL.replace("side: 64", "side: 128"), "none is enlarged"),
        (IMPORTED, PROTOCOL.replace("side: 64", "side: 32"), "clips of the tiny world as they"),
        ("", PROTOCOL, "no arm is imported"),
    ],
)
def test_what_a_spec_may_not_say_of_imported_arms(
    tmp_path: Path, arm: str, protocol: str, said: str
) -> None:
    deliver(tmp_path)
    with pytest.raises(InputError, match=said):
        read_plan(write_spec(tmp_path, arm=arm, protocol=protocol))


def test_a_prompt_that_was_not_asked_is_refused(tmp_path: Path) -> None:
    write_frames(tmp_path / "vendor" / "a1", rendered(prompts()[0], 1))
    write_delivery(tmp_path, ["a1,a cat on a mat,1,,,,,no"])
    with pytest.raises(InputError, match="word for word"):
        read_plan(write_spec(tmp_path))


def test_clips_of_another_aspect_ratio_are_refused(tmp_path: Path) -> None:
    wide = np.repeat(rendered(prompts()[0], 1), 2, axis=2)
    write_frames(tmp_path / "vendor" / "a1", wide)
    write_delivery(tmp_path, [f'a1,"{prompts()[0]}",1,,,,,no'])
    with pytest.raises(InputError, match="128x64 pixels by the protocol, those made here 64x64"):
        read_plan(write_spec(tmp_path))


# --- its clips -----------------------------------------------------------------------------------


def clips_of(home: Path, frames: np.ndarray, *, protocol: str = PROTOCOL) -> ImportedClips:
    """The clips of an arm whose first take is these frames; the second prompt has none."""
    write_frames(home / "vendor" / "a1", frames)
    write_delivery(home, [f'a1,"{prompts()[0]}",1,,,,,no'])
    path = write_spec(home, protocol=protocol)
    plan, _ = read_plan(path)
    return imported_clips(plan.spec, plan.deliveries[0], path)


def test_a_clip_that_is_too_short_is_no_clip_of_the_protocol(tmp_path: Path) -> None:
    clips = clips_of(tmp_path, rendered(prompts()[0], 1)[:9])
    with pytest.raises(ProtocolError, match="none is repeated"):
        clips.frames(clips.delivery.takes[0].prompt_id, 1)


def test_a_take_that_is_not_listed_was_not_delivered(tmp_path: Path) -> None:
    clips = clips_of(tmp_path, rendered(prompts()[0], 1))
    with pytest.raises(NotDeliveredError, match="does not list"):
        clips.frames(clips.delivery.takes[1].prompt_id, 1)


def test_a_larger_and_longer_clip_is_brought_to_the_protocol_and_its_file_stays(
    tmp_path: Path,
) -> None:
    frames = rendered(prompts()[0], 1)
    large = np.repeat(np.repeat(np.concatenate([frames, frames]), 2, axis=1), 2, axis=2)
    clips = clips_of(tmp_path, large)
    files = {path: path.read_bytes() for path in (tmp_path / "vendor" / "a1").iterdir()}
    found = clips.frames(clips.delivery.takes[0].prompt_id, 1)

    # Every pixel was doubled: the mean of each 2 x 2 is the pixel before.
    assert found.shape == frames.shape
    assert np.abs(found.astype(int) - frames).mean() < 2
    assert {path: path.read_bytes() for path in files} == files


def test_a_file_that_changed_after_the_plan_is_an_error(tmp_path: Path) -> None:
    clips = clips_of(tmp_path, rendered(prompts()[0], 1))
    shutil.rmtree(tmp_path / "vendor" / "a1")
    write_frames(tmp_path / "vendor" / "a1", rendered(prompts()[0], 2))
    with pytest.raises(InputError, match="that was planned"):
        clips.frames(clips.delivery.takes[0].prompt_id, 1)


def test_clips_made_here_are_brought_to_the_protocol_too() -> None:
    arm = read_plan(SPECS / "quick.yaml")[0].arms[0]
    frames = np.arange(16, dtype=np.uint8)[:, None, None, None] * np.ones((1, 64, 64, 3), np.uint8)
    asked = ComparisonProtocol(seconds=1, fps=4, short_side=32)

    # Of 16 frames at 8 a second, those shown at the middle of each quarter of the first second.
    found = as_measured(frames, arm, asked)
    assert found.shape == (4, 32, 32, 3)
    assert found[:, 0, 0, 0].tolist() == [1, 3, 5, 7]


def test_without_a_protocol_clips_are_measured_as_they_are() -> None:
    arm = read_plan(SPECS / "quick.yaml")[0].arms[0]
    frames = np.zeros((16, 64, 64, 3), np.uint8)

    assert as_measured(frames, arm, None) is frames


# --- pairs ---------------------------------------------------------------------------------------


def grid(rows: list[list[float]]) -> Grid:
    values = np.array(rows, dtype=np.float64)
    return Grid(values, values.size, frozenset({(1, None)}), ())


def test_pairs_by_prompt_are_blind_to_which_take_is_which() -> None:
    own, base = grid([[1, 2], [5, 7], [0, 1]]), grid([[0, 1], [2, 2], [3, 9]])
    swapped = grid([[2, 1], [7, 5], [1, 0]])
    values = []
    for one in (own, swapped):
        pair = by_prompt(one, base)
        values.append(pair.counted(difference_sample("a", "m", pair.own, pair.base)))

    expected = [1.5 - 0.5, 6 - 2, 0.5 - 6]
    assert [v.per_prompt.tolist() for v in values] == [expected, expected]


def test_pairs_by_prompt_count_the_takes_that_have_no_value() -> None:
    own, base = grid([[1, np.nan], [np.nan, np.nan]]), grid([[0, 1], [2, 2]])
    pair = by_prompt(own, base)
    found = pair.counted(difference_sample("a", "m", pair.own, pair.base))

    assert (found.n_prompts, found.n_clips, found.n_missing) == (1, 1, 3)
    assert found.notes[-1] == "3 of 4 takes have no value."


def arm_set(arm: Arm, clips: Sequence[tuple[str, int]]) -> ArmSet:
    """Features of an arm whose clips are named."""
    n = len(clips)
    return ArmSet(
        arm=arm,
        features=np.zeros((n, 2)),
        clips=tuple(clips),
        reference=np.zeros((2, 2)),
        reference_prompts=("a", "b"),
        planned=n,
        basis=SetBasis(
            n=n,
            reference_n=2,
            dimension=2,
            reference="r@1",
            protocol="p",
            extractor="e",
            extractor_digest="d",
        ),
    )


def test_sets_are_compared_at_equal_n_of_every_prompt_with_clips_made_elsewhere(
    home: Path,
) -> None:
    plan, _ = read_plan(home / "spec.yaml")
    own = arm_set(plan.arms[-1], [("a", 0), ("a", 2), ("b", 0)])
    base = arm_set(plan.arms[0], [("a", 0), ("b", 0), ("b", 1), ("c", 0)])

    assert _paired(own, base) == ([("a", 0), ("b", 0)], [("a", 0), ("b", 0)])


def test_sets_made_here_are_compared_seed_by_seed(home: Path) -> None:
    plan, _ = read_plan(home / "spec.yaml")
    own = arm_set(plan.arms[1], [("a", 1), ("b", 0)])
    base = arm_set(plan.arms[0], [("a", 0), ("b", 0)])

    assert _paired(own, base) == ([("b", 0)], [("b", 0)])


def test_a_spec_with_a_latency_pass_has_no_seconds_of_an_imported_arm(home: Path) -> None:
    plan, _ = read_plan(home / "spec.yaml")
    timed = plan.spec.model_copy(update={"latency": LatencySpec(warmup=1, repeats=2)})
    plan = plan.model_copy(update={"spec": timed})
    own = [o.estimate for o in latency_outcomes(plan, {}) if o.key[0] == plan.arms[-1].id]

    assert {one.value for one in own} == {None}
    assert {one.reason for one in own} == {"made elsewhere: its time is stated, not measured"}


def test_an_estimate_that_is_only_stated_decides_nothing(home: Path) -> None:
    plan, _ = read_plan(home / "spec.yaml")
    timed = plan.spec.model_copy(update={"latency": LatencySpec(warmup=1, repeats=2)})
    plan = plan.model_copy(update={"spec": timed})
    arm = plan.arms[-1]
    own = [o.estimate for o in latency_outcomes(plan, {}) if o.key[0] == arm.id]
    counts = Counts(planned=0, ok=0, failed=0, invalid=0, pending=0)
    shown = ArmSummary(
        arm=arm,
        counts=counts,
        estimates=tuple(own),
        on_pareto_front=None,
        frontier_frequency=None,
    )
    speed = Criterion(
        name="speed",
        metric="latency_p50_s",
        comparison=Comparison.RATIO,
        direction="lower",
        target=0.5,
        minimum=1.0,
        weight=Weight.MUST,
        applies_to="all",
        reason="a number for tests",
        reason_ja="試験用の値",
    )
    result = judge(speed, shown, {})

    assert result.verdict is Verdict.INCONCLUSIVE
    assert "stated, not measured" in result.reason


# --- the run -------------------------------------------------------------------------------------


def test_a_take_that_is_missing_counts_as_failed(ran: Path) -> None:
    counts = vendor(ran).counts

    assert (counts.planned, counts.ok, counts.failed) == (4, 3, 1)


def test_the_frames_measured_are_those_of_the_files(ran: Path) -> None:
    store = RunStore.open_reader(ran)
    arm = store.plan.arms[-1]
    (first, *_) = (c for b in store.plan.batches if b.arm_id == arm.id for c in b.clips)

    assert np.array_equal(store.read_clip(first.id), rendered(prompts()[0], 1))


def test_values_stand_on_the_takes_that_are_there(ran: Path) -> None:
    value = found(ran, "clip_score", Comparison.VALUE)

    assert (value.n_clips, value.n_prompts, value.n_missing) == (3, 2, 1)


def test_differences_are_means_of_prompts(ran: Path) -> None:
    store = RunStore.open_reader(ran)
    by_arm: dict[str, dict[str, list[float]]] = {}
    places = {c.id: c.prompt_id for b in store.plan.batches for c in b.clips}
    for one in store.measurements():
        if one.metric == "clip_score" and one.value is not None:
            of_prompt = by_arm.setdefault(one.arm_id, {})
            of_prompt.setdefault(places[one.clip_id or ""], []).append(one.value)
    own, base = by_arm[store.plan.arms[-1].id], by_arm[store.plan.baseline_id]
    expected = np.mean([np.mean(own[p]) - np.mean(base[p]) for p in own])
    difference = found(ran, "clip_score", Comparison.DIFFERENCE)

    assert difference.value == pytest.approx(expected, abs=1e-9)
    assert any("by prompt only" in note for note in difference.notes)


def test_it_has_no_seconds_and_no_place_on_the_front(ran: Path) -> None:
    assert not [e for e in vendor(ran).estimates if e.metric.startswith("latency")]
    assert vendor(ran).on_pareto_front is None


def test_price_and_time_are_marked_as_stated(ran: Path) -> None:
    stated = vendor(ran).delivery
    assert stated is not None

    assert stated.basis == "stated, not measured"
    assert (stated.price_total, stated.currency, stated.latency_median_s) == (160, "JPY", 120)
    assert stated.price_per_ok == pytest.approx(160 / 3)
    assert len(stated.picked) == 1


def test_it_is_judged_by_every_criterion_and_never_recommended(ran: Path) -> None:
    decision = Decision.from_json((ran / "decision.json").read_text("utf-8"))
    arm = vendor(ran).arm
    judged = next(one for one in decision.arms if one.arm_id == arm.id)

    assert judged.results
    assert decision.recommended_arm_id != arm.id


def test_the_run_goes_on_where_nothing_changed_and_verifies(home: Path, ran: Path) -> None:
    assert run(home, ran) == 3
    assert cli.main(["verify", str(ran)]) == 0


def test_the_table_says_what_is_stated(ran: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["decide", str(ran)])
    text = capsys.readouterr().out

    (line,) = [one for one in text.splitlines() if "HAND-PICKED" in one]
    assert line.startswith("vendor: 1 of 4 takes HAND-PICKED; made elsewhere, paired by prompt; ")
    assert "stated, not measured: price 160 JPY" in line


@pytest.mark.parametrize("language", ["en", "ja"])
def test_reports_show_the_arm(ran: Path, tmp_path: Path, language: str) -> None:
    out = tmp_path / "report.md"
    options = ["--format", "md", "--lang", language, "--out", str(out)]
    assert cli.main(["report", str(ran), *options]) == 0
    text = out.read_text("utf-8")

    assert {"en": "stated, not measured", "ja": "計測値ではない"}[language] in text


def test_the_clips_of_an_imported_arm_are_a_part_that_an_agreement_can_be_bound_to(
    home: Path,
) -> None:
    plan, models = read_plan(home / "spec.yaml")
    subject = subject_of(plan, models, Words(names=(), brands=()), prompt_licence=None)
    part = next(one for one in subject.arms if one.name == "vendor").parts[0]

    assert (part.id, part.kind) == ("clips of vendor", PartKind.CLIPS)
    assert part.digest == plan.delivery(plan.arms[-1]).files_digest()
    # Another take is another delivery, and the agreement for this one says nothing of it.
    more = plan.delivery(plan.arms[-1])
    fewer = more.model_copy(update={"takes": more.takes[:-1]})
    assert part.digest != fewer.files_digest()


def test_metrics_that_need_the_same_seed_are_not_measured(ran: Path) -> None:
    from poc.measure import BASELINE, NO_PARTNER, ok_clips, partners

    store = RunStore.open_reader(ran)
    own = store.plan.arms[-1].id
    beside = partners(store.plan, ok_clips(store))[BASELINE]
    clips = [c.id for b in store.plan.batches if b.arm_id == own for c in b.clips]

    assert {beside[clip] for clip in clips} == {
        f"{NO_PARTNER}it was made elsewhere: its seed is not known"
    }
