"""Single clips: would we publish this? How many, how long a review takes, what it costs then."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rated_runs as rated
import small_run
from scipy import stats

from poc import cli
from poc.cost import evaluate
from poc.cost_case import draws, estimated
from poc.cost_file import EXAMPLE, LEAST, Basis, Quantity, read_cost
from poc.cost_findings import judge_real_clips, votes_amiss
from poc.cost_light import economic_light
from poc.cost_records import JudgedClips, MoneyOfRun, TimedSeconds
from poc.cost_run import _as_judged, judged_of_run
from poc.cost_scenario import Change
from poc.cost_scenario import changed as changed_inputs
from poc.decide import PriceAnswer
from poc.errors import InputError
from poc.estimate import estimate
from poc.intervals import FloatArray
from poc.panel import ClipTrial, Form, Panel, TrialKind
from poc.pricing import Pricing, _measured_alike, _timed_alike
from poc.rating_folder import answers_path, votes_path
from poc.rating_import import import_answers
from poc.rating_votes import sum_up, write_votes
from poc.records import ClipShape
from poc.store import RunStore
from poc.vote_intervals import effective_votes, mean_interval, share_of
from poc.vote_records import AnswerFile, Judgement, Outcome, Reason, Verdict, VoteStatus
from poc.votes import analyse

TODAY = date(2026, 11, 30)


def yes(_trial: ClipTrial) -> Verdict:
    return Verdict.YES


def mixed(trial: ClipTrial) -> Verdict:
    """Whoever is asked: a third of the prompts each."""
    return tuple(Verdict)[int(trial.prompt_id.removeprefix("p")) % 3]


@pytest.fixture(scope="module")
def panel() -> Panel:
    return rated.clip_panel(raters=6, per_rater=15)


# --- the design ----------------------------------------------------------------------------------


def test_every_rater_sees_clips_of_the_arm_alone_each_once_and_every_prompt_as_often(
    panel: Panel,
) -> None:
    counts: Counter[str] = Counter()
    for pack in panel.packs:
        judged = [one for one in pack.clips if one.kind is TrialKind.JUDGEMENT]
        assert pack.trials == ()
        assert len(judged) == len({one.shown.clip_id for one in judged}) == 15
        assert {one.shown.arm_id for one in pack.clips} == set(panel.request.candidate_ids)
        counts.update(one.prompt_id for one in judged)
    assert max(counts.values()) - min(counts.values()) <= 1


def test_a_catch_is_a_damaged_copy_and_a_repeat_the_same_clip_later(panel: Panel) -> None:
    for pack in panel.packs:
        places = {one.trial_id: n for n, one in enumerate(pack.clips)}
        for one in pack.clips:
            assert one.shown.damaged is (one.kind is TrialKind.CATCH)
            assert (one.repeats is not None) is (one.kind is TrialKind.REPEAT)
            if one.repeats is not None:
                assert places[one.repeats] < places[one.trial_id]
                assert pack.clips[places[one.repeats]].shown == one.shown
        assert {one.kind for one in pack.clips} == {
            TrialKind.JUDGEMENT, TrialKind.REPEAT, TrialKind.CATCH,
        }  # fmt: skip


def test_the_baseline_may_be_judged_alone_and_not_compared_with_itself() -> None:
    plan = small_run.plan(prompts=20)
    baseline = plan.arms[0].id
    panel = rated.clip_panel(plan, candidate_ids=(baseline,))

    assert {one.shown.arm_id for pack in panel.packs for one in pack.clips} == {baseline}


# --- what a rater may say ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verdict", "reasons"),
    [
        (Verdict.YES, (Reason.MOTION,)),
        (Verdict.NO, ()),
        (Verdict.RETOUCH, ()),
        (Verdict.NO, (Reason.PICTURE, Reason.MOTION)),
        (Verdict.NO, (Reason.MOTION, Reason.MOTION)),
    ],
)
def test_reasons_are_given_with_what_is_not_published_as_it_is(
    verdict: Verdict, reasons: tuple[Reason, ...]
) -> None:
    Judgement(verdict=Verdict.NO, reasons=(Reason.MOTION, Reason.PICTURE))
    with pytest.raises(ValueError, match="expected reasons"):
        Judgement(verdict=verdict, reasons=reasons)


# --- the analysis --------------------------------------------------------------------------------


def test_acceptance_counts_what_is_published_as_it_is_and_review_is_timed(panel: Panel) -> None:
    files = [rated.judged(panel, n, mixed, seconds=20.0 + n) for n in range(6)]
    (found,) = analyse([panel], files).arms
    asked = [
        (mixed(one), 20.0 + n)
        for n, pack in enumerate(panel.packs)
        for one in pack.clips
        if one.kind is TrialKind.JUDGEMENT
    ]
    count = Counter(verdict for verdict, _ in asked)
    kept = found.kept

    assert (kept.n_votes, kept.n_raters, kept.n_prompts, kept.n_clips) == (90, 6, 20, 20)
    assert (kept.yes, kept.retouch, kept.no) == tuple(count[one] for one in Verdict)
    assert kept.acceptance.value == pytest.approx(count[Verdict.YES] / 90)
    assert kept.with_retouch.value == pytest.approx(1 - count[Verdict.NO] / 90)
    assert kept.review_min.value == pytest.approx(sum(s for _, s in asked) / 90 / 60)
    assert kept.reasons == {Reason.SHAPE: count[Verdict.RETOUCH] + count[Verdict.NO]}
    assert found.status is VoteStatus.SUFFICIENT
    for share in (kept.acceptance, kept.with_retouch, kept.review_min):
        assert share.low is not None
        assert share.high is not None
        assert share.value is not None
        assert share.low < share.value < share.high


def test_clips_of_few_prompts_are_no_independent_votes(panel: Panel) -> None:
    """All agree on each prompt: the interval is wider than if 90 votes had been independent."""
    files = [rated.judged(panel, n, mixed) for n in range(6)]
    share = analyse([panel], files).arms[0].kept.acceptance
    assert share.value is not None
    assert share.low is not None
    assert share.high is not None
    naive = stats.binomtest(round(90 * share.value), 90).proportion_ci(method="wilson")
    assert share.high - share.low > 1.3 * (naive.high - naive.low)


def test_unanimous_votes_leave_a_doubt(panel: Panel) -> None:
    files = [rated.judged(panel, n, yes) for n in range(6)]
    share = analyse([panel], files).arms[0].kept.acceptance

    assert share.value == 1.0
    assert share.low is not None
    assert share.low < 0.93  # 90 independent votes would say 0.96


def test_who_would_publish_the_damaged_copy_is_left_out_and_who_turns_it_down_is_not(
    panel: Panel,
) -> None:
    files = [rated.judged(panel, n, yes, attentive=n != 0) for n in range(6)]
    summary = analyse([panel], files)
    (found,) = summary.arms

    assert [one.excluded for one in summary.raters] == [True] + [False] * 5
    assert (found.kept.n_raters, found.everyone.n_raters) == (5, 6)
    assert found.everyone.n_votes == found.kept.n_votes + 15


def test_catch_pairs_that_were_passed_do_not_make_up_for_a_failed_catch_clip(
    panel: Panel,
) -> None:
    """Two of two pairs and none of one clip are a third of all catches, and all of the clips."""
    pairs = rated.panel()
    compared = [rated.answers(pairs, n, lambda _: Outcome.WIN, rater="rater 0") for n in range(2)]
    seen = [rated.judged(panel, n, yes, attentive=n != 0) for n in range(6)]
    seen = [one.model_copy(update={"rater": f"rater {n}"}) for n, one in enumerate(seen)]
    summary = analyse([pairs, panel], [*compared, *seen])
    by_form = {form: [one for one in summary.raters if one.form is form] for form in Form}

    assert [(one.catches, one.excluded) for one in by_form[Form.PAIRS]] == [(2, False)]
    assert next((o.catches, o.catches_failed) for o in by_form[Form.CLIPS]) == (1, 1)
    assert [one.excluded for one in by_form[Form.CLIPS]] == [True] + [False] * 5
    (arm,) = summary.arms
    assert arm.everyone.n_votes - arm.kept.n_votes == 15
    assert summary.candidates[0].kept == summary.candidates[0].everyone


def test_an_answered_catch_pair_checks_no_rater_of_clips() -> None:
    """Five raters of clips, one of whom answered the damaged copy only in a pair."""
    pairs, clips = rated.panel(), rated.clip_panel()
    compared = rated.answers(pairs, 0, lambda _: Outcome.WIN, rater="rater 0")
    seen = [
        rated.judged(clips, n, yes).model_copy(update={"rater": f"rater {n}"}) for n in range(5)
    ]
    catches = {task.trial_id for task in clips.packs[0].clips if task.kind is TrialKind.CATCH}
    blind = tuple(
        one.model_copy(update={"judgement": None}) if one.trial_id in catches else one
        for one in seen[0].trials
    )
    summary = analyse(
        [pairs, clips], [compared, seen[0].model_copy(update={"trials": blind}), *seen[1:]]
    )

    assert summary.arms[0].status is VoteStatus.INSUFFICIENT
    assert "rater 0" in summary.arms[0].reason


def test_a_rater_is_as_like_as_the_repeats_say(panel: Panel) -> None:
    def moody(trial: ClipTrial) -> Verdict:
        return Verdict.NO if trial.kind is TrialKind.REPEAT else Verdict.YES

    steady, fickle = (
        analyse([panel], [rated.judged(panel, n, opinion) for n in range(6)]).verdicts
        for opinion in (mixed, moody)
    )
    assert steady is not None
    assert fickle is not None
    assert (steady.repeats_same, fickle.repeats_same) == (steady.repeats, 0)
    assert steady.repeats > 0
    assert steady.alpha == 1.0


@pytest.mark.parametrize(("raters", "status"), [(4, "INSUFFICIENT"), (5, "SUFFICIENT")])
def test_fewer_than_five_raters_are_too_few_to_lean_on(raters: int, status: str) -> None:
    panel = rated.clip_panel(raters=raters, per_rater=15)
    files = [rated.judged(panel, n, mixed) for n in range(raters)]

    assert analyse([panel], files).arms[0].status == status


def test_pairs_and_single_clips_of_one_run_are_summed_up_apart(panel: Panel) -> None:
    pairs = rated.panel(number=1)
    files = [rated.judged(panel, n, yes) for n in range(6)]
    compared = [rated.answers(pairs, n, lambda _: Outcome.TIE) for n in range(5)]
    both = analyse([panel, pairs], [*files, *compared])

    assert both.arms == analyse([panel], files).arms
    assert both.candidates == analyse([pairs], compared).candidates
    assert analyse([pairs], compared).arms == ()
    assert analyse([pairs], compared).verdicts is None


# --- the interval of minutes ---------------------------------------------------------------------


def minutes(rng: np.random.Generator) -> FloatArray:
    """Skewed, with a pace for each rater and a length for each prompt; mean 0.5."""
    pace, length = rng.gamma(8, 1 / 8, (6, 1)), rng.gamma(8, 1 / 8, (1, 15))
    made: FloatArray = 0.5 * pace * length * rng.gamma(4, 1 / 4, (6, 15))
    return made


RATERS = np.repeat(np.arange(6), 15)
PROMPTS = np.tile(np.arange(15), 6)


def test_the_interval_of_a_mean_holds_the_truth_about_as_often_as_it_says() -> None:
    rng, held = np.random.default_rng(0), 0
    for _ in range(150):
        found = mean_interval(RATERS, PROMPTS, minutes(rng).ravel())
        assert found is not None
        held += found.low <= 0.5 <= found.high
    assert held >= 0.93 * 150  # a shortfall of two points in 150 trials is chance


def test_minutes_in_another_unit_are_the_same_interval_and_one_cluster_has_none() -> None:
    values = minutes(np.random.default_rng(1)).ravel()
    one, other = (mean_interval(RATERS, PROMPTS, values * unit) for unit in (1, 60))
    assert one is not None
    assert other is not None
    assert np.allclose(np.array(one[:2]) * 60, other[:2])
    assert one.low >= 0
    half = stats.t.ppf(0.975, effective_votes(RATERS, PROMPTS) - 1) * values.std(ddof=1)
    assert one.high - values.mean() >= half / effective_votes(RATERS, PROMPTS) ** 0.5 - 1e-12
    assert mean_interval(np.zeros(15, np.intp), PROMPTS[:15], values[:15]) is None


# --- a run ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six raters have judged fifteen clips each of lcm-2, 30 s a clip."""
    folder = tmp_path_factory.mktemp("clips")
    return with_answers(rated.folder(folder / "run"), folder, "lcm-2", mixed)


def with_answers(
    run: Path, folder: Path, arm: str, verdict: Callable[[ClipTrial], Verdict]
) -> Path:
    """Have six raters judge fifteen clips each of an arm."""
    before = {*run.glob("rating/*/key.json")}
    options = ["--raters", "6", "--candidate", arm, "--per-rater", "15", "--form", "clips"]
    assert cli.main(["rate", "pack", str(run), *options]) == 0
    (path,) = {*run.glob("rating/*/key.json")} - before
    key, files = Panel.from_json(path.read_bytes()), []
    for number in range(6):
        files.append(folder / f"{number}.json")
        files[-1].write_text(rated.judged(key, number, verdict, seconds=30.0).to_json(), "utf-8")
    import_answers(run, files)
    return run


def key_of(run: Path) -> Panel:
    (path,) = run.glob("rating/*/key.json")
    return Panel.from_json(path.read_bytes())


def test_the_command_says_what_people_would_publish(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["rate", "show", str(run)]) == 0
    said = capsys.readouterr().out
    kept = json.loads(votes_path(run).read_text("utf-8"))["summary"]["arms"][0]["kept"]

    assert "lcm-2, clip by clip, would we publish this?: SUFFICIENT" in said
    value = round(100 * kept["yes"] / kept["n_votes"])
    assert f"of 100 clips judged one by one, {value} would be published as they are" in said
    assert "review 0.50 min [0.50, 0.50] a clip" in said


FOUR = ("motion", "picture", "as_asked", "overall")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda trial: trial.update(judgement=None, answers=dict.fromkeys(FOUR, "same")),
        lambda trial: trial["judgement"].update(verdict="yes", reasons=["motion"]),
        lambda trial: trial["judgement"].update(verdict="perhaps"),
        lambda trial: trial.update(plays=0),
    ],
)
def test_what_no_page_of_single_clips_saves_is_refused(
    tmp_path: Path, run: Path, spoil: Callable[[dict[str, Any]], None]
) -> None:
    raw = json.loads(answers_path(run, key_of(run).packs[0].pack_id).read_text("utf-8"))
    spoil(raw["trials"][0])
    fresh = rated.folder(tmp_path / "fresh")
    (folder,) = (path.parent for path in run.glob("rating/*/key.json"))
    (fresh / "rating" / folder.name).mkdir(parents=True)
    (fresh / "rating" / folder.name / "key.json").write_bytes((folder / "key.json").read_bytes())
    file = tmp_path / "answers.json"
    file.write_text(json.dumps(raw), "utf-8")

    with pytest.raises(InputError, match=r"answers\.json"):
        import_answers(fresh, [file])
    assert not list((fresh / "rating").glob("answers/*.json"))


# --- the price -----------------------------------------------------------------------------------


INPUTS = read_cost(EXAMPLE)


def test_votes_go_before_what_the_inputs_state_and_it_is_said(run: Path) -> None:
    judged = judged_of_run(run, "lcm-2", INPUTS)
    kept = json.loads(votes_path(run).read_text("utf-8"))["summary"]["arms"][0]["kept"]
    assert isinstance(judged, JudgedClips)
    cost = evaluate(INPUTS, seed=0, judged=judged, simulations=50)

    assert INPUTS.material.acceptance_basis is not Basis.VOTES
    assert (cost.acceptance_basis, cost.review_basis) == (Basis.VOTES, Basis.VOTES)
    assert cost.acceptance.value == pytest.approx(kept["yes"] / kept["n_votes"])
    assert cost.review.value == pytest.approx(0.5)
    assert cost.reviewed_per_accepted == pytest.approx(kept["n_votes"] / kept["yes"])
    assert cost.acceptance.low == kept["acceptance"]["low"]
    assert cost.acceptance.high == kept["acceptance"]["high"]
    assert "two-piece normal" in cost.simulation.distribution.text_en
    assert (
        "two-piece" not in evaluate(INPUTS, seed=0, simulations=5).simulation.distribution.text_en
    )
    (said,) = [
        one.text_en for one in economic_light(cost).reasons if "votes go before" in one.text_en
    ]
    assert f"{kept['n_votes']} votes, 6 raters" in said
    assert f"{100 * INPUTS.material.acceptance_rate.value:.0f} %" in said


@pytest.mark.parametrize("yes_votes", [0, 3, 75, 150])
def test_a_rate_is_drawn_around_what_the_votes_say(yes_votes: int) -> None:
    """150 votes of ten raters on fifteen prompts; the truth is the share and its own interval."""
    names = [f"{n}" for n in range(10) for _ in range(15)]
    prompts = [f"{n}" for _ in range(10) for n in range(15)]
    worth = np.zeros(150)
    worth[np.random.default_rng(1).permutation(150)[:yes_votes]] = 1.0
    share = share_of(names, prompts, worth)
    one = _as_judged(share, "share", "votes", "2026-01-01")
    assert one is not None
    assert share.value is not None
    assert share.low is not None
    assert share.high is not None
    drawn = draws({"rate": one}, seed=0, runs=100_000)["rate"]
    ends = np.quantile(drawn, [0.025, 0.5, 0.975])

    assert ends == pytest.approx([share.low, share.value, share.high], abs=0.002)
    # Half a triangle over these bounds is off by up to 4 points.
    assert abs(drawn.mean() - share.value) < 0.25 * (share.high - share.low)
    assert drawn.min() >= LEAST
    assert drawn.max() <= 1.0


def test_minutes_are_drawn_in_the_order_of_their_quantiles_and_never_below_none() -> None:
    one = Quantity(
        value=0.5, low=0.0, high=2.0, is_estimate=True, unit="min/clip", date="2026-01-01",
        source="votes", example=False,
    )  # fmt: skip
    drawn = estimated(one, np.linspace(0, 1, 1001))

    assert (np.diff(drawn) >= 0).all()
    assert drawn[[25, 500, 975]] == pytest.approx([0.0, 0.5, 2.0])
    assert drawn[0] == 0.0


def test_only_what_votes_measure_may_be_an_estimate() -> None:
    rate = INPUTS.material.failure_rate.model_copy(update={"is_estimate": True})
    material = INPUTS.material.model_copy(update={"failure_rate": rate})

    with pytest.raises(ValueError, match=r"failure_rate\.is_estimate"):
        evaluate(INPUTS.model_copy(update={"material": material}), seed=0, simulations=5)


def test_what_votes_measure_is_dated_by_the_last_of_them_and_not_by_their_run(
    run: Path, tmp_path: Path
) -> None:
    made = shutil.copytree(run, tmp_path / "dated")
    with RunStore.open_reader(made) as store:
        packs = key_of(made).packs
        for n, pack in enumerate(packs):
            path = answers_path(made, pack.pack_id)
            one = AnswerFile.from_json(path.read_bytes())
            assert one.taken_in is not None
            path.write_text(one.model_copy(update={"taken_in": date(2031, 2, n + 1)}).to_json())
        write_votes(made, sum_up(made, store.plan))
    judged = judged_of_run(made, "lcm-2", INPUTS)

    assert isinstance(judged, JudgedClips)
    assert judged.acceptance is not None
    assert judged.review is not None
    assert (judged.acceptance.date, judged.review.date) == ("2031-02-06", "2031-02-06")


def test_votes_on_a_demonstration_leave_the_real_clips_to_be_judged(run: Path) -> None:
    judged = judged_of_run(run, "lcm-2", INPUTS)
    assert isinstance(judged, JudgedClips)
    assert judged.is_demonstration
    bought = judged.model_copy(update={"is_demonstration": False})
    toy, real = (
        economic_light(evaluate(INPUTS, seed=0, judged=one, simulations=50))
        for one in (judged, bought)
    )

    assert judge_real_clips() in toy.conditions
    assert judge_real_clips() not in real.conditions


def test_a_decision_prices_its_arm_by_the_votes_of_its_run(run: Path) -> None:
    with RunStore.open_reader(run) as store:
        records = (store.generations(), store.measurements(), store.latency())
        found = estimate(store.plan, *records, (), closed_reason=None)
        by_votes, by_inputs = (Pricing(store, found, EXAMPLE, on=TODAY) for _ in range(2))
        judged, other = (arm for arm in reversed(store.plan.arms))
        by_votes(judged, [])
        by_inputs(other, [])
    priced, stated = by_votes.found, by_inputs.found
    assert priced is not None
    assert priced.inputs is not None
    assert stated is not None

    assert priced.cost.acceptance_basis is Basis.VOTES
    assert priced.inputs.material.acceptance_rate == priced.cost.acceptance  # what sheets compute
    assert stated.cost.acceptance == INPUTS.material.acceptance_rate
    assert stated.cost.judged is None


@pytest.fixture(scope="module")
def both(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with lcm-1 judged as well, whose every clip would be published; nothing is timed."""
    folder = tmp_path_factory.mktemp("both")
    return with_answers(shutil.copytree(run, folder / "run"), folder, "lcm-1", yes)


def answered(
    run: Path, folder: Path, devices: Mapping[str, Sequence[str]]
) -> tuple[PriceAnswer, MoneyOfRun]:
    """Price lcm-2 beside lcm-1, with the arms timed once on each of the devices."""
    made = shutil.copytree(run, folder / "timed")
    with RunStore.open_writer(made) as store:
        for arm in store.plan.arms:
            for place, device in enumerate(devices.get(arm.name, ())):
                changes = {"device": device, "round": place}
                store.append_latency(small_run.latency(arm).model_copy(update=changes))
    with RunStore.open_reader(made) as store:
        records = (store.generations(), store.measurements(), store.latency())
        found = estimate(store.plan, *records, (), closed_reason=None)
        pricing = Pricing(store, found, EXAMPLE, on=TODAY)
        other, ours = store.plan.arms
        answer = pricing(ours, [other])
    assert pricing.found is not None
    return answer, pricing.found


def is_named(answer: PriceAnswer) -> bool:
    return any("not priced beside lcm-2" in one.text_en for one in answer.reasons)


def test_two_settings_that_people_judged_are_priced_beside_each_other(
    both: Path, tmp_path: Path
) -> None:
    answer, money = answered(both, tmp_path, {"lcm-1": ["cpu"], "lcm-2": ["cpu"]})
    (beside,) = money.settings

    assert beside.arm == "lcm-1"
    assert beside.acceptance.value == 1.0
    assert beside.cost_per_deliverable < money.cost.cost_per_deliverable
    assert any("say why not lcm-1" in one.text_en for one in answer.conditions)
    assert not is_named(answer)


@pytest.mark.parametrize(
    "devices",
    [
        {},
        {"lcm-1": ["cpu"]},
        {"lcm-2": ["cpu"]},
        {"lcm-1": ["another"], "lcm-2": ["cpu"]},
        {"lcm-1": ["cpu", "another"], "lcm-2": ["cpu"]},
        {"lcm-1": ["cpu"], "lcm-2": ["cpu", "cpu"]},
    ],
    ids=["none", "ours not", "other not", "elsewhere", "other on two", "fewer rounds"],
)
def test_settings_that_were_not_timed_alike_are_named_and_not_priced(
    both: Path, tmp_path: Path, devices: dict[str, list[str]]
) -> None:
    answer, money = answered(both, tmp_path, devices)

    assert money.settings == ()
    assert is_named(answer)


TIMED = TimedSeconds(
    seconds_per_clip=INPUTS.gpu.seconds_per_clip, device="cpu", rounds=9, is_demonstration=True,
    shape=ClipShape(num_frames=16, height=64, width=64, fps=8),
)  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "alike"),
    [
        ({}, True),
        ({"rounds": 6}, True),
        ({"rounds": 5}, False),
        ({"device": "another"}, False),
        ({"shape": TIMED.shape.model_copy(update={"num_frames": 8})}, False),
        ({"is_demonstration": False}, False),
    ],
)
def test_seconds_are_laid_side_by_side_where_all_but_the_arm_is_the_same(
    changes: dict[str, Any], alike: bool
) -> None:
    assert _timed_alike(TIMED, TIMED.model_copy(update=changes)) is alike


@pytest.mark.parametrize(
    ("changes", "alike"),
    [({}, True), ({"acceptance": None}, False), ({"review": None}, False),
     ({"is_demonstration": False}, False)],
)  # fmt: skip
def test_votes_are_laid_side_by_side_where_they_say_the_same_things(
    run: Path, changes: dict[str, Any], alike: bool
) -> None:
    judged = judged_of_run(run, "lcm-2", INPUTS)
    assert isinstance(judged, JudgedClips)

    assert _measured_alike(judged, judged.model_copy(update=changes)) is alike
    assert not _measured_alike(judged, None)


def test_a_setting_that_nobody_judged_is_named_and_not_priced(run: Path, tmp_path: Path) -> None:
    answer, money = answered(run, tmp_path, {"lcm-1": ["cpu"], "lcm-2": ["cpu"]})

    assert money.settings == ()
    assert is_named(answer)


def test_an_arm_that_nobody_judged_keeps_what_is_assumed(run: Path) -> None:
    assert judged_of_run(run, "lcm-1", INPUTS) is None


def test_too_few_votes_replace_nothing(run: Path, tmp_path: Path) -> None:
    """The same run with four of its raters."""
    fresh = shutil.copytree(run, tmp_path / "few")
    for pack in key_of(fresh).packs[4:]:
        answers_path(fresh, pack.pack_id).unlink()
    with RunStore.open_reader(fresh) as store:
        write_votes(fresh, sum_up(fresh, store.plan))

    judged = judged_of_run(fresh, "lcm-2", INPUTS)
    cost = evaluate(INPUTS, seed=0, judged=judged, simulations=50)

    assert cost.acceptance == INPUTS.material.acceptance_rate
    (said,) = [one.text_en for one in economic_light(cost).reasons if "too few" in one.text_en]
    assert "60 votes, 4 raters" in said
    assert type(cost).from_json(cost.to_json()) == cost


@pytest.mark.parametrize("content", [None, "{}"])
def test_a_sum_that_does_not_hold_is_named_beside_the_stated_rate(
    run: Path, tmp_path: Path, content: str | None
) -> None:
    """Removed, or damaged: the answers are there all the same."""
    fresh = shutil.copytree(run, tmp_path / "stale")
    votes_path(fresh).unlink() if content is None else votes_path(fresh).write_text(content)
    judged = judged_of_run(fresh, "lcm-2", INPUTS)
    cost = evaluate(INPUTS, seed=0, judged=judged, simulations=50)

    assert cost.acceptance == INPUTS.material.acceptance_rate
    assert votes_amiss() in economic_light(cost).reasons


def test_a_scenario_that_changes_a_measured_rate_calls_it_assumed() -> None:
    material = INPUTS.material.model_copy(
        update={"acceptance_basis": Basis.VOTES, "review_basis": Basis.VOTES}
    )
    measured = INPUTS.model_copy(update={"material": material})
    change = Change(name="material.acceptance_rate", value=0.9, low=0.8, high=1.0)
    found = changed_inputs(measured, [change]).material

    assert (found.acceptance_basis, found.review_basis) == (Basis.ASSUMED, Basis.VOTES)
