"""Design and analysis of blind votes: balance, blindness, intervals, exclusion, agreement."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from statistics import mean

import numpy as np
import numpy.typing as npt
import pytest
import rated_runs as rated
import small_run

from poc import records as r
from poc.agreement import nominal_alpha
from poc.errors import InputError
from poc.panel import Panel, Trial, TrialKind, design_panel
from poc.vote_intervals import pigeonhole_draws, share_interval, votes_needed
from poc.vote_records import Outcome, Question, VoteStatus
from poc.votes import analyse, is_excluded, rater_name

Numbers = npt.NDArray[np.intp]

# --- the design ----------------------------------------------------------------------------------


def of_kind(panel: Panel, kind: TrialKind) -> list[list[Trial]]:
    return [[t for t in pack.trials if t.kind is kind] for pack in panel.packs]


def test_every_prompt_is_shown_about_equally_often_and_none_twice_to_a_rater() -> None:
    compared = of_kind(rated.panel(raters=7, per_rater=13), TrialKind.COMPARISON)

    totals = Counter(trial.prompt_id for trials in compared for trial in trials)
    assert max(totals.values()) - min(totals.values()) <= 1
    assert len(totals) == 20
    assert {len({trial.prompt_id for trial in trials}) for trials in compared} == {13}


def test_a_prompt_comes_again_only_after_all_were_seen() -> None:
    plan = small_run.plan(steps=(1, 2, 4), prompts=6)
    candidates = tuple(arm.id for arm in plan.arms[1:])
    compared = of_kind(
        rated.panel(plan, candidate_ids=candidates, per_rater=9), TrialKind.COMPARISON
    )

    for trials in compared:
        assert sorted(Counter(t.prompt_id for t in trials).values()) == [1, 1, 1, 2, 2, 2]
        per_arm = Counter(t.candidate_id for t in trials)
        assert max(per_arm.values()) - min(per_arm.values()) <= 1


def test_the_candidate_is_left_in_half_of_each_raters_comparisons() -> None:
    for trials in of_kind(rated.panel(per_rater=12), TrialKind.COMPARISON):
        assert sum(trial.left.arm_id == trial.candidate_id for trial in trials) == 6


def test_both_sides_answer_one_prompt_from_one_seed() -> None:
    plan = small_run.plan(prompts=20)
    clips = {c.id: (c.prompt_id, c.seed) for b in plan.batches for c in b.clips}
    for pack in rated.panel(plan).packs:
        for trial in pack.trials:
            assert clips[trial.left.clip_id] == clips[trial.right.clip_id]


def test_a_tenth_is_repeated_with_the_sides_swapped_and_one_in_twenty_is_a_catch() -> None:
    plan = small_run.plan(prompts=40)
    for pack in rated.panel(plan, per_rater=40).packs:
        by_id = {trial.trial_id: n for n, trial in enumerate(pack.trials)}
        repeats = [t for t in pack.trials if t.kind is TrialKind.REPEAT]
        assert len(repeats) == 4
        for trial in repeats:
            first = pack.trials[by_id[trial.repeats or ""]]
            assert (first.left, first.right) == (trial.right, trial.left)
            assert by_id[first.trial_id] < by_id[trial.trial_id]
        catches = [t for t in pack.trials if t.kind is TrialKind.CATCH]
        assert len(catches) == 2
        for trial in catches:
            assert trial.left.clip_id == trial.right.clip_id
            assert trial.left.damaged is not trial.right.damaged


def test_the_smallest_pack_has_a_catch_pair() -> None:
    (catches,) = of_kind(rated.panel(raters=1, per_rater=1), TrialKind.CATCH)
    assert len(catches) == 1


def test_pairs_with_a_clip_that_is_not_ok_are_left_out_and_counted() -> None:
    plan = small_run.plan(prompts=20)
    bad = plan.batches[1].clips[0]
    status = rated.statuses(plan, **{bad.id: r.ClipStatus.INVALID})

    panel = design_panel(plan, status, rated.request(plan, raters=9))

    assert [(one.pairs, one.of) for one in panel.left_out] == [(1, 20)]
    shown = {s.clip_id for p in panel.packs for t in p.trials for s in (t.left, t.right)}
    assert bad.id not in shown
    assert len(shown) == 2 * 19


def test_a_design_is_the_same_for_the_same_seed_and_another_for_another() -> None:
    assert rated.panel(seed=3) == rated.panel(seed=3)
    made = (rated.panel(), rated.panel(seed=1), rated.panel(number=1))
    assert len({panel.panel_id for panel in made}) == 3


def test_trial_ids_do_not_depend_on_what_is_shown() -> None:
    # An id is made of the panel, the rater and the place, and of nothing that is shown there.
    plan = small_run.plan(prompts=20)
    panel = rated.panel(plan)
    ids = [trial.trial_id for pack in panel.packs for trial in pack.trials]
    expected = [
        r.short_id(["trial", panel.panel_id, n, place])
        for n, pack in enumerate(panel.packs)
        for place in range(len(pack.trials))
    ]
    assert ids == expected


def test_more_comparisons_than_pairs_are_refused_and_as_many_are_not() -> None:
    assert len(rated.panel(per_rater=20).packs) == 5
    with pytest.raises(InputError, match="--per-rater: expected at most 20"):
        rated.panel(per_rater=21)


def test_a_run_without_an_ok_pair_is_refused() -> None:
    plan = small_run.plan(prompts=20)
    with pytest.raises(InputError, match="found none of 40 planned clips"):
        design_panel(plan, {}, rated.request(plan))


# --- agreement -----------------------------------------------------------------------------------


def units(*rows: str) -> list[str]:
    """The values of each unit, from one row of letters a rater; a dot is missing."""
    return ["".join(c for c in column if c != ".") for column in zip(*rows, strict=True)]


def test_alpha_is_that_of_krippendorffs_published_examples() -> None:
    # Krippendorff (2011), Computing Krippendorff's Alpha-Reliability: sections A and C.
    two = nominal_alpha(units("0100000010", "1110010000"))
    four = nominal_alpha(units("123321412...", "1233224125.3", ".3332342251.", "12332441251."))

    assert two.alpha == pytest.approx(0.095, abs=5e-4)
    assert four.alpha == pytest.approx(0.743, abs=5e-4)
    assert four.n_units == 11


def test_agreement_without_disagreement_to_expect_is_missing_and_not_one() -> None:
    assert nominal_alpha(["aa", "aa"]).alpha is None
    assert nominal_alpha(["a", "b"]).reason == "nothing was judged by two raters"
    assert nominal_alpha(["aa", "bb"]).alpha == 1.0


# --- preferences ---------------------------------------------------------------------------------


def always(outcome: Outcome) -> rated.Opinion:
    return lambda _trial: outcome


def by_prompt(worth: Callable[[int], Outcome]) -> rated.Opinion:
    return lambda trial: worth(int(trial.prompt_id[1:]))


def test_shares_are_counted_from_the_candidates_side() -> None:
    panel = rated.panel()
    opinion = by_prompt(lambda n: (Outcome.WIN, Outcome.TIE, Outcome.LOSS, Outcome.WIN)[n % 4])
    files = [rated.answers(panel, n, opinion) for n in range(5)]
    trials = [t for pack in panel.packs for t in pack.trials if t.kind is TrialKind.COMPARISON]
    expected = Counter(opinion(trial) for trial in trials)

    found = analyse([panel], files).candidates[0].kept

    assert (found.n_votes, found.n_raters, found.n_prompts) == (60, 5, 20)
    for result in found.questions:
        wins, ties, losses = (expected[one] for one in Outcome)
        assert (result.wins, result.ties, result.losses) == (wins, ties, losses)
        assert result.not_worse.value == pytest.approx((wins + ties) / 60)
        assert result.preferred.value == pytest.approx((wins + ties / 2) / 60)


def test_repeats_are_no_votes_and_show_self_consistency() -> None:
    panel = rated.panel(raters=1)
    plain = analyse([panel], [rated.answers(panel, 0, always(Outcome.WIN))])

    def fickle(trial: Trial) -> Outcome:
        return Outcome.LOSS if trial.kind is TrialKind.REPEAT else Outcome.WIN

    changed = analyse([panel], [rated.answers(panel, 0, fickle)])

    assert plain.candidates == changed.candidates
    assert [(one.repeats, one.repeats_same) for one in plain.reliability] == [(1, 1)] * 4
    assert [(one.repeats, one.repeats_same) for one in changed.reliability] == [(1, 0)] * 4


def test_a_rater_who_fails_the_catch_pairs_is_left_out_and_shown_beside() -> None:
    panel = rated.panel()
    files = [rated.answers(panel, n, always(Outcome.WIN)) for n in range(4)]
    files.append(rated.answers(panel, 4, always(Outcome.LOSS), attentive=False))

    summary = analyse([panel], files)
    (found,) = summary.candidates

    assert [one.excluded for one in summary.raters] == [False] * 4 + [True]
    assert found.kept.of(Question.OVERALL).not_worse.value == 1.0
    assert found.everyone.of(Question.OVERALL).not_worse.value == pytest.approx(0.8)
    assert (found.kept.n_votes, found.everyone.n_votes) == (48, 60)


def test_an_attentive_rater_of_another_opinion_is_not_left_out() -> None:
    panel = rated.panel()
    files = [rated.answers(panel, n, always(Outcome.LOSS)) for n in range(5)]
    assert not any(one.excluded for one in analyse([panel], files).raters)


@pytest.mark.parametrize(
    ("catches", "failed", "excluded"),
    [(1, 1, True), (2, 1, True), (3, 1, False), (3, 2, True), (6, 2, False), (0, 0, False)],
)
def test_the_rule_of_exclusion_is_more_than_a_third(
    catches: int, failed: int, excluded: bool
) -> None:
    assert is_excluded(catches, failed) is excluded


@pytest.mark.parametrize(
    ("raters", "per_rater", "status", "words"),
    [
        (5, 15, VoteStatus.SUFFICIENT, ""),
        (4, 15, VoteStatus.INSUFFICIENT, "1 more raters"),
        (5, 1, VoteStatus.INSUFFICIENT, "10 more prompts"),
    ],
)
def test_few_raters_or_prompts_are_shown_and_called_insufficient(
    raters: int, per_rater: int, status: VoteStatus, words: str
) -> None:
    panel = rated.panel(raters=raters, per_rater=per_rater)
    files = [rated.answers(panel, n, always(Outcome.WIN)) for n in range(raters)]

    (found,) = analyse([panel], files).candidates

    assert found.status is status
    assert words in found.reason
    assert found.kept.of(Question.OVERALL).not_worse.value == 1.0


def test_raters_without_an_answered_catch_pair_do_not_make_votes_sufficient() -> None:
    panel = rated.panel(per_rater=15)
    catches = [t.trial_id for p in panel.packs for t in p.trials if t.kind is TrialKind.CATCH]
    files = [
        rated.answers(panel, n, always(Outcome.WIN), leave_out=catches if n < 2 else ())
        for n in range(5)
    ]

    (found,) = analyse([panel], files).candidates

    assert found.status is VoteStatus.INSUFFICIENT
    assert "needs 2 more raters" in found.reason
    assert found.reason.endswith(", ".join(sorted(rater_name(one.rater) for one in files[:2])))
    assert found.kept.n_raters == 5


def test_no_votes_are_missing_and_not_zero() -> None:
    (found,) = analyse([rated.panel()], []).candidates
    share = found.kept.of(Question.OVERALL).not_worse

    assert (share.value, share.low, share.high, share.reason) == (None, None, None, "no votes yet")
    assert found.votes_needed is None


def test_an_unanswered_trial_is_counted_and_is_no_vote() -> None:
    panel = rated.panel()
    out = next(t for t in panel.packs[0].trials if t.kind is TrialKind.COMPARISON)
    files = [rated.answers(panel, 0, always(Outcome.WIN), leave_out=[out.trial_id])]

    summary = analyse([panel], files)

    assert summary.packs_incomplete == 1
    assert (summary.raters[0].votes, summary.raters[0].unanswered) == (11, 1)


def test_the_order_of_files_changes_nothing() -> None:
    panel = rated.panel()
    opinion = by_prompt(lambda n: Outcome.WIN if n % 3 else Outcome.LOSS)
    files = [rated.answers(panel, n, opinion) for n in range(5)]

    one, other = analyse([panel], files), analyse([panel], files[::-1])

    assert one.candidates == other.candidates


def test_one_person_with_two_packs_is_one_rater() -> None:
    panel = rated.panel()
    names = ("Sato", "ｓａｔｏ ")
    files = [rated.answers(panel, n, always(Outcome.WIN), rater=x) for n, x in enumerate(names)]

    assert [one.packs for one in analyse([panel], files).raters] == [2]
    assert rater_name("sato") != rater_name("saito")


# --- intervals -----------------------------------------------------------------------------------


def test_the_pigeonhole_variance_is_that_of_its_formula() -> None:
    # Owen (2007), over a full grid: the margins' variances and that of what both leave over, each
    # over the number of its own. The margins hold a part of the noise too, hence the wide side.
    rng = np.random.default_rng(0)
    grid = rng.normal(size=(12, 15)) + rng.normal(size=(12, 1)) + rng.normal(size=(1, 15))
    n_raters, n_prompts = grid.shape
    raters, prompts = np.divmod(np.arange(grid.size), n_prompts)
    centred = grid - grid.mean()
    by_rater, by_prompt = centred.mean(axis=1), centred.mean(axis=0)
    rest = centred - by_rater[:, None] - by_prompt[None, :]
    expected = (
        (by_rater**2).mean() / n_raters
        + (by_prompt**2).mean() / n_prompts
        + (rest**2).mean() / grid.size
    )

    draws = pigeonhole_draws(raters, prompts, grid.ravel(), count=20_000)

    assert draws.var() == pytest.approx(expected, rel=0.05)
    assert draws.mean() == pytest.approx(grid.mean(), abs=0.01)


def test_an_interval_is_never_narrower_than_for_independent_votes() -> None:
    raters, prompts = np.divmod(np.arange(100), 20)
    values = np.ones(100)
    agreed = share_interval(raters, prompts, values)
    values[0] = 0.0
    nearly = share_interval(raters, prompts, values)

    assert agreed is not None
    assert nearly is not None
    # Wilson, all of 100 / (1 + 0.1 * (19 + 4)) = 30.3 votes: n / (n + 1.96²).
    assert agreed.low == pytest.approx(30.303 / (30.303 + 3.8415), abs=1e-3)
    assert nearly.low <= 0.9455  # Wilson, 99 of 100: 0.9455
    assert nearly.high >= 0.998


@pytest.mark.parametrize("spread", ["at random", "in one rater", "in one prompt"])
def test_one_more_loss_never_raises_a_bound(spread: str) -> None:
    raters, prompts = np.divmod(np.arange(180), 30)
    orders = {
        "at random": np.random.default_rng(2).permutation(180),
        "in one rater": np.arange(180),
        "in one prompt": np.argsort(prompts, kind="stable"),
    }
    values, bounds = np.ones(180), []
    for k in range(60):
        found = share_interval(raters, prompts, values)
        assert found is not None
        bounds.append((found.low, found.high))
        values[orders[spread][k]] = 0.0

    assert (np.diff(np.array(bounds), axis=0) <= 1e-9).all()
    assert bounds[0][0] > bounds[1][0] > 0.8
    assert bounds[1][0] < 0.92  # 179 of 180; Wilson for independent votes: 0.967


def test_raters_near_agreement_are_covered_too() -> None:
    # Most votes agree and raters differ much: few dissent, and the bootstrap alone is too narrow.
    rng = np.random.default_rng(4)
    truth = float((rng.normal(3.0, np.sqrt(1.5**2 + 0.25 + 1.0), 1_000_000) > 0).mean())
    covered, bootstrap = [], []
    for _ in range(100):
        who, which = _who_saw_which(6, 30, 30, rng)
        leanings = rng.normal(0, 1.5, 6)[who] + rng.normal(0, 0.5, 30)[which]
        values = (rng.normal(3.0, 1.0, who.size) + leanings > 0).astype(float)
        found = share_interval(who, which, values)
        assert found is not None
        covered.append(float(found.low <= truth <= found.high))
        low, high = np.quantile(pigeonhole_draws(who, which, values), [0.025, 0.975])
        bootstrap.append(float(low <= truth <= high))

    assert mean(covered) >= 0.93
    assert mean(bootstrap) < 0.85  # the twin


def test_one_rater_or_one_prompt_has_no_interval() -> None:
    some, same = np.arange(10), np.zeros(10, np.intp)
    values = np.tile([0.0, 1.0], 5)

    assert share_interval(same, some, values) is None
    assert share_interval(some, same, values) is None
    assert share_interval(some, some, values) is not None


@pytest.mark.parametrize(("raters", "prompts", "each"), [(6, 20, 20), (10, 30, 15)])
def test_the_interval_covers_the_truth_about_as_often_as_it_says(
    raters: int, prompts: int, each: int
) -> None:
    # Raters and prompts have leanings of their own; the truth is the mean over all of them.
    rng = np.random.default_rng(1)
    truth = float((rng.normal(0.3, np.sqrt(0.25 + 0.25 + 1.0), 1_000_000) > 0).mean())

    covered, naive = [], []
    for _ in range(150):
        who, which = _who_saw_which(raters, prompts, each, rng)
        own, of_prompt = rng.normal(0, 0.5, raters), rng.normal(0, 0.5, prompts)
        values = (rng.normal(0.3, 1.0, who.size) + own[who] + of_prompt[which] > 0).astype(float)
        found = share_interval(who, which, values)
        assert found is not None
        covered.append(float(found.low <= truth <= found.high))
        half = 1.96 * np.sqrt(values.mean() * (1 - values.mean()) / values.size)
        naive.append(float(abs(values.mean() - truth) <= half))

    assert 0.91 <= mean(covered) <= 1.0
    assert mean(naive) < 0.88  # the twin: votes taken for independent cover too seldom


def _who_saw_which(
    raters: int, prompts: int, each: int, rng: np.random.Generator
) -> tuple[Numbers, Numbers]:
    seen = [rng.permutation(prompts)[:each] for _ in range(raters)]
    return np.repeat(np.arange(raters), each), np.concatenate(seen)


def test_half_the_width_asks_for_four_times_the_votes() -> None:
    assert votes_needed(50, 0.2, 0.1) == 150
    assert votes_needed(50, 0.1, 0.1) == 0
    with pytest.raises(ValueError, match="above 0"):
        votes_needed(50, 0.2, 0.0)
