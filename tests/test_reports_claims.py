"""The claims page: numbers of the run and no others, both languages, pictures chosen by rule."""

from __future__ import annotations

import errno
import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import reports_fixture as fixture
from PIL import Image

import poc
from poc import cli
from poc.claims import ClaimStatus
from poc.errors import InputError
from poc.records import (
    Arm,
    ArmSummary,
    ClipStatus,
    Comparison,
    ContrastEstimates,
    Measurement,
    MeasurementStatus,
)
from reports.charts import COLOURS
from reports.claim_figures import FRAME_PIXELS, draw
from reports.claim_pictures import Amount, Bar, Curve, Drawing, Frames, InWindow
from reports.claims import claims
from reports.claims_page import Section, make_page
from reports.export.claims import page_name, render, write_claims
from reports.export.markdown import literal
from reports.load import RunView, load_run
from reports.sheet import middle_prompt
from reports.text import LANGUAGES, Language, load_text

EN, JA = load_text("en"), load_text("ja")
KANA = re.compile(r"[\u3040-\u30ff\u4e00-\u9fff]+")
EVIL = "x | y](http://evil) <script>alert(1)</script> `a` ![z](q) *b* \u202e $\\frac{$"
FAST = "animatelcm-4"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = fixture.plan(count=8)
    return fixture.write_run(tmp_path_factory.mktemp("runs") / "demo", made, drawn=8)


@pytest.fixture(scope="module")
def view(run: Path) -> RunView:
    return timed(load_run(run))


@pytest.fixture(scope="module")
def written(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_claims([run], tmp_path_factory.mktemp("page"))


def timed(view: RunView) -> RunView:
    """Add seconds of denoising, and motion, to a run whose fixture has neither."""

    def more(summary: ArmSummary) -> ArmSummary:
        copies = {"latency_p50_s": "latency_denoise_p50_s", "motion_extent_px": "motion"}
        added = [
            one.model_copy(update={"metric": copies[one.metric]})
            for one in summary.estimates
            if one.metric in copies
        ]
        return summary.model_copy(update={"estimates": (*summary.estimates, *added)})

    arms = tuple(more(summary) for summary in view.estimates.arms)
    return replace(view, estimates=view.estimates.model_copy(update={"arms": arms}))


def page(view: RunView, language: Language = "en") -> str:
    return render(make_page([view], load_text(language)))


def sections(view: RunView, language: Language = "en") -> Mapping[str, Section]:
    return by_claim(view, language=language)


def part(page: str, anchor: str) -> str:
    """The section of one claim."""
    start = page.index(f'<a id="{anchor}">')
    end = page.find("<a id=", start + 1)
    return page[start:end]


def stored(run: Path, arm: str, metric: str, how: str) -> dict[str, Any]:
    """One estimate of estimates.json, read without our records."""
    found = json.loads((run / "estimates.json").read_text("utf-8"))
    (summary,) = (one for one in found["arms"] if one["arm"]["name"] == arm)
    (estimate,) = (
        e for e in summary["estimates"] if (e["metric"], e["comparison"]) == (metric, how)
    )
    return dict(estimate)


# --- numbers -------------------------------------------------------------------------------------


def test_a_number_stands_with_its_interval_and_n_as_in_the_estimates(
    run: Path, written: Path
) -> None:
    found = stored(run, FAST, "oracle_all", "difference")
    value, low, high = (f"{100 * found[end]:+.1f}" for end in ("value", "low", "high"))
    said = f"**{value} points** ({low} points to {high} points), n = {found['n_clips']}"
    english = (written / "claims.en.md").read_text("utf-8")

    assert said.replace("-", "−") in part(english, "as-good-as-25-steps")
    japanese = f"**{value}ポイント**（{low}ポイント～{high}ポイント）、n = {found['n_clips']}"
    assert japanese.replace("-", "−") in (written / "claims.ja.md").read_text("utf-8")


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_measured_number_of_a_claim_is_left_out(view: RunView, language: Language) -> None:
    said = page(view, language)
    for result, one in zip(view.claims.claims, sections(view, language).values(), strict=True):
        own = part(said, one.anchor)
        for test, number in zip(result.results, one.row.numbers, strict=True):
            if test.figure.value is not None:
                assert number.cell.value in own
                assert number.cell.interval in own
                assert f"n = {test.figure.n}" in own


def test_a_changed_number_changes_the_page(view: RunView) -> None:
    def changed(summary: ArmSummary) -> ArmSummary:
        estimates = tuple(
            e.model_copy(update={"value": 0.4321})
            if (summary.arm.name, e.metric, e.comparison) == (FAST, "kvd", Comparison.RATIO)
            else e
            for e in summary.estimates
        )
        return summary.model_copy(update={"estimates": estimates})

    arms = tuple(changed(summary) for summary in view.estimates.arms)
    other = replace(view, estimates=view.estimates.model_copy(update={"arms": arms}))

    assert "×0.432" not in page(view)
    assert "**×0.432**" in part(page(other), "as-good-as-25-steps")


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_head_counts_the_outcomes_and_names_them(view: RunView, language: Language) -> None:
    counts = Counter(result.status for result in view.claims.claims)
    said, text = page(view, language), load_text(language)

    assert sum(counts.values()) == 13
    assert (
        text(
            "claims.page.intro",
            total=13,
            **{str(status): counts[status] for status in ClaimStatus},
        )
        in said
    )
    for result in view.claims.claims:
        assert text(f"claim.{result.status}") in part(said, result.claim.id)


def test_a_claim_that_cannot_be_tested_gets_numbers_but_no_verdict(view: RunView) -> None:
    own = part(page(view), "denoising-24x")

    # The fixture's 2.61 s of the teacher over 0.262 s of AnimateLCM.
    assert re.search(
        r"\*\*×9\.96\*\* \(×[\d.]+ to ×[\d.]+\), n = \d+ \| above ×24\.47 \| – \|", own
    )
    assert EN("claim.confirmed") not in own
    assert EN("claims.page.needed.conditions") in own


def test_what_a_test_would_take_is_said_of_every_claim_that_has_none(view: RunView) -> None:
    for result, one in zip(view.claims.claims, sections(view).values(), strict=True):
        untested = result.status is ClaimStatus.NOT_TESTABLE
        assert (bool(one.needed), bool(one.needs)) == (untested, untested)


# --- several runs --------------------------------------------------------------------------------


def ablation_of(view: RunView, names: Mapping[str, str], name: str) -> RunView:
    """The same run by another spec, whose arms have other names."""

    def other(arm: Arm) -> Arm:
        return arm.model_copy(update={"name": names.get(arm.name, arm.name)})

    spec = view.plan.spec.model_copy(update={"name": name, "question": f"What is {name} for?"})
    arms = tuple(other(arm) for arm in view.plan.arms)
    plan = view.plan.model_copy(update={"arms": arms, "spec": spec})
    summaries = tuple(one.model_copy(update={"arm": other(one.arm)}) for one in view.estimates.arms)
    estimates = view.estimates.model_copy(
        update={"arms": summaries, "contrasts": with_clip_score(view), "plan_digest": "e" * 64}
    )
    return replace(view, path=Path(name), plan=plan, estimates=estimates)


def with_clip_score(view: RunView) -> tuple[ContrastEstimates, ...]:
    """The run's contrasts, each with what a claim asks of CLIP score beside its first metric."""
    made = {"metric": "clip_score", "value": 2.0, "low": 1.0, "high": 3.0}
    found = []
    for one in view.estimates.contrasts:
        first = one.results[0]
        more = first.model_copy(update={"estimate": first.estimate.model_copy(update=made)})
        found.append(one.model_copy(update={"results": (first, more)}))
    return tuple(found)


@pytest.fixture(scope="module")
def ablation(view: RunView) -> RunView:
    """A run that compares what the first one has no arms for."""
    return ablation_of(view, {FAST: "decoupled", "naive-lcm-lora-4": "joint"}, "apart")


def by_claim(*views: RunView, language: Language = "en") -> Mapping[str, Section]:
    return {one.anchor: one for one in make_page(views, load_text(language)).sections}


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_claim_that_a_run_does_not_ask_about_is_told_by_the_run_that_does(
    view: RunView, ablation: RunView, language: Language
) -> None:
    own = by_claim(view, ablation, language=language)["decoupling-pays"]
    said = render(make_page([view, ablation], load_text(language)))

    assert by_claim(view)["decoupling-pays"].decisive is None
    assert own.row == by_claim(ablation, language=language)["decoupling-pays"].row
    assert own.row.mark.word == load_text(language)("claim.confirmed")
    assert own.run == "apart"
    assert own.elsewhere in part(said, "decoupling-pays")
    assert said.index("apart") < said.index("<a id=")  # in the first table too


def test_a_claim_that_the_first_run_asks_about_is_told_by_no_other(
    view: RunView, ablation: RunView
) -> None:
    first = sections(view)

    for name, one in by_claim(view, with_all_values_doubled(ablation)).items():
        if name != "decoupling-pays":
            assert one.row == first[name].row
            assert (one.run, one.elsewhere) == ("", "")


def with_all_values_doubled(view: RunView) -> RunView:
    def doubled(summary: ArmSummary) -> ArmSummary:
        found = tuple(
            one.model_copy(update={end: 2 * getattr(one, end) for end in ("value", "low", "high")})
            for one in summary.estimates
            if one.low is not None
        )
        return summary.model_copy(update={"estimates": found})

    arms = tuple(doubled(summary) for summary in view.estimates.arms)
    return replace(view, estimates=view.estimates.model_copy(update={"arms": arms}))


def test_a_number_that_the_first_run_lost_is_not_hidden_by_another_run(
    view: RunView, ablation: RunView
) -> None:
    def lost(summary: ArmSummary) -> ArmSummary:
        nothing = {"value": None, "low": None, "high": None, "reason": "every clip failed"}
        found = tuple(one.model_copy(update=nothing) for one in summary.estimates)
        return (
            summary.model_copy(update={"estimates": found}) if summary.arm.name == FAST else summary
        )

    arms = tuple(lost(summary) for summary in view.estimates.arms)
    damaged = replace(view, estimates=view.estimates.model_copy(update={"arms": arms}))
    moving = ablation_of(ablation, {"decoupled": "decoupled", "animatelcm-2": FAST}, "apart")

    own = by_claim(damaged, moving)["motion-is-kept"]
    assert own.run == ""
    assert own.row.mark.word == EN("claim.not_testable")
    assert "every clip failed" in " ".join(own.row.reasons)


def test_outcomes_are_counted_of_the_runs_that_tell_them(view: RunView, ablation: RunView) -> None:
    both = make_page([view, ablation], EN)
    counts = Counter(one.row.mark.word for one in both.sections)
    said = {str(status): counts[EN(f"claim.{status}")] for status in ClaimStatus}

    assert both.intro == EN("claims.page.intro", total=13, **said)
    assert both.intro != make_page([view], EN).intro


def test_every_run_says_how_it_was_made(view: RunView, ablation: RunView) -> None:
    first, second = make_page([view, ablation], EN).runs

    assert (first.name, second.name) == (view.plan.spec.name, "apart")
    assert first == make_page([view], EN).runs[0]
    assert any(line.said == "e" * 16 for line in second.provenance)
    assert not any(line.said == "e" * 16 for line in first.provenance)


def test_warnings_of_another_run_stand_under_its_name(view: RunView, ablation: RunView) -> None:
    open_run = replace(
        ablation, estimates=ablation.estimates.model_copy(update={"complete": False})
    )
    own, both = make_page([view], EN).warnings, make_page([view, open_run], EN).warnings

    assert both[: len(own)] == own
    assert len(both) > len(own)
    assert all(one.startswith("apart: ") for one in both[len(own) :])


def test_a_run_that_tells_nothing_is_named(view: RunView) -> None:
    idle = ablation_of(view, {}, "idle")

    with pytest.raises(InputError, match="idle: expected a run that tells a claim"):
        make_page([view, idle], EN)


def test_two_runs_that_tell_one_claim_are_not_chosen_between(
    view: RunView, ablation: RunView
) -> None:
    names = {FAST: "decoupled", "naive-lcm-lora-4": "joint"}
    other = ablation_of(view, names, "again")

    with pytest.raises(InputError, match="apart, again: expected one run that tells 'decoupling"):
        make_page([view, ablation, other], EN)


def test_a_run_stands_on_a_page_once(run: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected runs of different names"):
        write_claims([run, run], tmp_path / "page")
    assert not (tmp_path / "page").exists()


def other_run(folder: Path, **changes: Any) -> Path:
    made = fixture.plan(changes.pop("kind", "demonstration"), count=8)
    spec = made.spec.model_copy(update={"name": "other"})
    arms = tuple(arm.model_copy(update=changes) for arm in made.arms)
    plan = made.model_copy(update={"spec": spec, "arms": arms})
    return fixture.write_run(folder / "other", plan, drawn=8)


@pytest.mark.parametrize("first", [True, False])
def test_a_demonstration_does_not_stand_on_the_page_of_a_real_run(
    run: Path, tmp_path: Path, *, first: bool
) -> None:
    real = other_run(tmp_path, kind="procurement")

    with pytest.raises(InputError, match="one of them is a demonstration"):
        write_claims([real, run] if first else [run, real], tmp_path / "page")
    assert not (tmp_path / "page").exists()


def test_random_weights_tell_no_claim(run: Path, tmp_path: Path) -> None:
    drawn = other_run(tmp_path, weights="random")

    with pytest.raises(InputError, match="other: has random weights"):
        write_claims([run, drawn], tmp_path / "page")


def test_the_command_takes_several_runs_for_claims_and_names_what_does(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["report", str(run), str(other_run(tmp_path)), "--out", str(tmp_path / "page")]

    assert cli.main([*asked, "--format", "claims"]) == 2
    assert "tells none" in capsys.readouterr().err
    assert cli.main([*asked, "--format", "md"]) == 2
    assert "only the formats claims and comparisons take several" in capsys.readouterr().err


# --- what it says of itself ----------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_tiny_world_is_the_first_thing_said_and_only_of_a_demonstration(
    view: RunView, language: Language
) -> None:
    tiny = load_text(language)("claims.page.tiny")
    bought = replace(
        view,
        plan=view.plan.model_copy(
            update={"spec": view.plan.spec.model_copy(update={"kind": "procurement"})}
        ),
        decision=view.decision.model_copy(update={"kind": "procurement"}),
    )

    assert page(view, language).index(tiny) < page(view, language).index("|")
    assert tiny not in page(bought, language)


def test_no_sentence_is_left_untranslated(view: RunView) -> None:
    english, japanese = page(view, "en"), page(view, "ja")
    for prompt in view.plan.prompts:
        english = english.replace(prompt.text_ja, "")
        japanese = japanese.replace(prompt.text, "")

    assert KANA.findall(english) == ["日本語"]
    for key, sentence in EN.table.items():
        if len(sentence) > 15 and "{" not in sentence and sentence != JA.table[key]:
            assert sentence not in japanese, key


def test_no_metric_is_called_by_its_id(view: RunView) -> None:
    rows = [*claims(view, JA)]
    said = " ".join(one for row in rows for one in (*row.reasons, *row.differs))

    assert "CLIPスコア" in said
    assert re.findall(r"[a-z]+_[a-z_]+|\bkvd\b", said, re.ASCII) == []


def test_warnings_of_the_run_stand_on_the_page(view: RunView) -> None:
    open_run = replace(view, estimates=view.estimates.model_copy(update={"complete": False}))

    assert EN("warning.incomplete") in page(open_run)
    assert EN("warning.incomplete") not in page(view)


# --- foreign text --------------------------------------------------------------------------------


def test_text_of_others_is_read_as_text_and_plain_text_stays_as_it_is() -> None:
    signs = set("\\`*_[]<>|#$~")
    said = literal(EVIL)

    assert not signs & set(re.sub(r"&#\d+;", "", said))
    assert "http://" not in said
    assert literal("- a") == "&#45; a"
    assert literal("1. a") == "1&#46; a"
    for plain in ("a red circle (pastel), 4 steps", "+0.0294", "0.851", "75.0 % – ×1.2"):
        assert literal(plain) == plain


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_hostile_prompt_and_claim_stay_harmless(view: RunView, language: Language) -> None:
    prompts = tuple(
        one.model_copy(update={"text": EVIL, "text_ja": EVIL}) for one in view.plan.prompts
    )
    claims = tuple(
        one.model_copy(update={"label": EVIL, "label_ja": EVIL, "text": EVIL, "text_ja": EVIL})
        for one in view.published.claims
    )
    bad = replace(
        view,
        plan=view.plan.model_copy(update={"prompts": prompts}),
        published=view.published.model_copy(update={"claims": claims}),
    )
    said = page(bad, language)

    assert "x &#124; y&#93;" in said
    assert set(re.findall(r"<[^>]*>", said)) == {f'<a id="{claim.id}">' for claim in claims} | {
        "</a>"
    }
    assert "](http" not in said
    assert "\u202e" not in said
    for table in re.findall(r"(?:^\|.*\n)+", said, re.MULTILINE):
        assert len({line.count("|") for line in table.splitlines()}) == 1


# --- pictures ------------------------------------------------------------------------------------


def test_every_picture_is_there_small_and_shared_by_both_pages(written: Path) -> None:
    linked = [
        set(re.findall(r"\]\(([^)#]+\.png)\)", (written / page_name(one)).read_text("utf-8")))
        for one in LANGUAGES
    ]
    there = {path.name for path in written.glob("*.png")}

    assert linked[0] == linked[1] == there
    assert len(there) >= 6
    assert all(path.stat().st_size < 150_000 for path in written.glob("*.png"))


def test_the_same_run_gives_the_same_bytes(run: Path, written: Path, tmp_path: Path) -> None:
    again = write_claims([run], tmp_path / "again")

    assert {p.name: p.read_bytes() for p in again.iterdir()} == {
        p.name: p.read_bytes() for p in written.iterdir()
    }


def test_a_page_that_cannot_be_drawn_leaves_the_former_one_as_it_was(
    run: Path, written: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    former = {path.name: path.read_bytes() for path in written.iterdir()}

    def full(_: Drawing, path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr("reports.export.claims.draw", full)
    with pytest.raises(OSError, match="no space left"):
        write_claims([run], written, note="another one")

    assert {path.name: path.read_bytes() for path in written.iterdir()} == former


def kinds(section: Section) -> set[type[Drawing]]:
    return {type(one.drawing) for one in section.picture.drawings} if section.picture else set()


def test_each_claim_has_the_picture_that_its_test_asks_for(view: RunView) -> None:
    found = {anchor: kinds(one) for anchor, one in sections(view).items()}

    assert found["one-second-a-clip"] == {Bar}
    assert found["time-follows-evaluations"] == {Bar}
    assert found["as-good-as-25-steps"] == {Frames}
    assert found["style-without-video"] == {Frames}
    assert found["motion-is-kept"] == {InWindow}
    assert found["decoupling-pays"] == set()
    assert found["rough-video-suffices"] == set()


def test_steps_are_shown_as_a_curve_with_every_number_under_it(view: RunView) -> None:
    claims = tuple(
        claim.model_copy(update={"tests": (claim.tests[0].model_copy(update={"against": None}),)})
        for claim in view.published.claims
        if claim.id == "one-step-breaks"
    )
    plan = view.plan.model_copy(update={"baseline_id": _id(view, "animatelcm-1")})
    estimates = view.estimates.model_copy(update={"baseline_id": plan.baseline_id})
    rebased = replace(
        view,
        plan=plan,
        estimates=estimates,
        published=view.published.model_copy(update={"claims": claims}),
    )
    one = sections(rebased)["one-step-breaks"]
    own = part(page(rebased), "one-step-breaks")

    assert kinds(one) == {Curve}
    for steps, kvd in (("1 step", "0.140"), ("2 steps", "0.0610"), ("8 steps", "0.0270")):
        assert re.search(rf"\| AnimateLCM, {steps} \| {re.escape(kvd)} \(.* to .*\), n = 6", own)


def _id(view: RunView, name: str) -> str:
    return next(arm.id for arm in view.plan.arms if arm.name == name)


def test_a_style_is_shown_beside_a_still_that_no_training_saw(view: RunView) -> None:
    found = sections(view)["style-without-video"].picture
    assert found is not None
    stills = Path(poc.__file__ or "").parent / "tiny" / "weights" / "stills"

    for row, style in zip(found.rows, ("pastel", "neon"), strict=True):
        still = row[1]
        assert not isinstance(still, str)
        assert isinstance(still.drawing, Frames)
        with Image.open(stills / style / "heldout" / "000.png") as opened:
            assert np.array_equal(still.drawing.pixels[0], np.asarray(opened.convert("RGB")))


def scored(view: RunView, values: list[float | None]) -> RunView:
    """A view in which the fast arm's CLIP scores are these, in the plan's order of prompts."""
    arm = _id(view, FAST)
    clips = [clip for clip in view.clips if clip.arm_id == arm]
    given = dict(zip((prompt.id for prompt in view.plan.prompts), values, strict=False))
    ok, lost = MeasurementStatus.OK, MeasurementStatus.MISSING
    rows = tuple(
        Measurement(
            metric="clip_score", version=1, arm_id=arm, clip_id=clip.clip_id, value=value,
            status=lost if value is None else ok, reason="lost" if value is None else "",
            extractor=None,
        )
        for clip in clips
        if clip.prompt_id in given
        for value in [given[clip.prompt_id]]
    )  # fmt: skip
    return replace(view, measurements=rows)


@pytest.mark.parametrize(
    ("values", "middle"),
    [
        ([5.0, 1.0, 7.0, 2.0, 8.0, 3.0, 6.0, 4.0], 0),
        ([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0], 4),
        ([None, None, None, None, 9.0, 1.0, 5.0, 7.0], 5),
    ],
    ids=["upper-of-two", "in-order", "lost-clips-are-worst"],
)
def test_the_clip_shown_is_the_median_one(
    view: RunView, values: list[float | None], middle: int
) -> None:
    prompt = view.plan.prompts[middle]
    chosen = scored(view, values)

    assert middle_prompt(chosen, _id(view, FAST)) == prompt.id
    assert prompt.text in part(page(chosen), "as-good-as-25-steps")
    assert "the middle one of 8 prompts" in part(page(chosen), "as-good-as-25-steps")


def test_a_lost_or_damaged_clip_is_told_in_words(view: RunView, tmp_path: Path) -> None:
    arm, prompt = _id(view, FAST), middle_prompt(view, _id(view, FAST))
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")

    def hurt(**changes: Any) -> str:
        clips = tuple(
            replace(c, **changes) if (c.arm_id, c.prompt_id) == (arm, prompt) else c
            for c in view.clips
        )
        return part(page(replace(view, clips=clips)), "as-good-as-25-steps")

    assert "| AnimateLCM, 4 steps | FAILED |" in hurt(status=ClipStatus.FAILED, reason="no memory")
    assert "| AnimateLCM, 4 steps | NOT KEPT |" in hurt(strip=broken)
    assert "| AnimateLCM, 4 steps | ![" in hurt(reason="")


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_run_without_the_arms_of_any_claim_still_gives_a_page(
    view: RunView, language: Language
) -> None:
    alone = view.estimates.model_copy(update={"arms": view.estimates.arms[:1], "contrasts": ()})
    nothing = view.decision.model_copy(update={"arms": (), "recommended_arm_id": None})
    said = page(replace(view, estimates=alone, decision=nothing), language)

    assert ".png" not in said
    assert said.count('<a id="') == 13
    named = {"en": "no such arm: AnimateLCM, 4 steps", "ja": "構成がない：AnimateLCM・4ステップ"}
    assert named[language] in said


def test_a_setting_that_a_run_lacks_has_its_name_and_not_its_id(view: RunView) -> None:
    own = sections(view, "ja")["rough-video-suffices"]

    assert own.needs == ("この実行に該当する構成がない：粗い動画から学習した動き",)


# --- drawings ------------------------------------------------------------------------------------


def colours(path: Path) -> np.ndarray[Any, np.dtype[np.uint8]]:
    with Image.open(path) as opened:
        return np.asarray(opened.convert("RGB"))


def wide(path: Path, colour: str) -> int:
    """How many columns of a picture hold a colour."""
    wanted = [int(colour[at : at + 2], 16) for at in (1, 3, 5)]
    return int((colours(path) == wanted).all(axis=2).any(axis=0).sum())


def test_bars_are_as_long_as_their_numbers(tmp_path: Path) -> None:
    long, short = Amount(4.0, None, None), Amount(1.0, None, None)
    for name, one, baseline in (("long", long, True), ("short", short, False)):
        draw(Bar(one, (long, short), baseline=baseline), tmp_path / f"{name}.png")
    lengths = wide(tmp_path / "long.png", COLOURS[0]), wide(tmp_path / "short.png", COLOURS[1])

    assert lengths[0] == pytest.approx(4 * lengths[1], abs=4)


def test_an_interval_is_drawn_from_end_to_end_or_not_at_all(tmp_path: Path) -> None:
    whole, bare = Amount(2.0, 1.0, 3.0), Amount(2.0, None, None)
    for name, one in (("whole", whole), ("bare", bare)):
        draw(Bar(one, (Amount(4.0, None, None), one), baseline=False), tmp_path / f"{name}.png")
    scale = wide(tmp_path / "bare.png", COLOURS[1]) / 2.0

    assert wide(tmp_path / "whole.png", "#202020") == pytest.approx(2 * scale, abs=4)
    assert wide(tmp_path / "bare.png", "#202020") == 0


def test_a_window_holds_what_lies_in_it_and_nothing_else(tmp_path: Path) -> None:
    inside, outside = Amount(1.0, 0.95, 1.05), Amount(2.0, 1.9, 2.1)
    for name, one in (("inside", inside), ("outside", outside)):
        draw(InWindow(one, (inside, outside), 0.8, 1.25), tmp_path / f"{name}.png")

    def overlap(name: str) -> bool:
        pixels = colours(tmp_path / f"{name}.png")
        green = (pixels == (0xCF, 0xE8, 0xD5)).all(axis=2).any(axis=0)
        blue = (pixels == (0x00, 0x80, 0xC6)).all(axis=2).any(axis=0)
        return bool((green & blue).any())

    assert overlap("inside")
    assert not overlap("outside")


def test_frames_stand_in_a_row_in_their_order(tmp_path: Path) -> None:
    pixels = np.zeros((3, 8, 8, 3), np.uint8)
    pixels[0, ..., 0] = pixels[1, ..., 1] = pixels[2, ..., 2] = 255
    draw(Frames(pixels), tmp_path / "row.png")
    row = colours(tmp_path / "row.png")
    middle = [FRAME_PIXELS // 2 + k * (row.shape[1] - FRAME_PIXELS) // 2 for k in range(3)]

    assert row.shape[0] == FRAME_PIXELS
    assert [tuple(row[10, at]) for at in middle] == [(255, 0, 0), (0, 255, 0), (0, 0, 255)]


# --- the command ---------------------------------------------------------------------------------


def test_the_command_writes_both_pages(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "claims"
    code = cli.main(["report", str(run), "--format", "claims", "--out", str(out)])

    assert code == 0
    assert capsys.readouterr().out == f"report: {out}\n"
    assert {path.name for path in out.glob("*.md")} == {"claims.ja.md", "claims.en.md"}
