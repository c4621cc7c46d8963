"""One file, two languages, nothing fetched, foreign text harmless, what is missing is named."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
import reports_fixture as fixture

from poc.claims_file import ClaimsFile
from poc.records import (
    ArmDecision,
    ArmRole,
    ArmSummary,
    Comparison,
    Light,
    SliceEstimates,
    SliceSpec,
    Verdict,
)
from reports import text as words
from reports.content import make_content
from reports.export import clips, html
from reports.judged import focus_arm
from reports.load import RunNotShownError, RunView, load_run
from reports.sheet import make_sheet, shows, viewing_copy
from reports.text import LANGUAGES, Language, load_text

VOID = {"meta", "input", "br"}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = fixture.plan(count=8, hostile=True)
    return fixture.write_run(tmp_path_factory.mktemp("runs") / "demo", made, drawn=8)


@pytest.fixture(scope="module")
def view(run: Path) -> RunView:
    return load_run(run)


@pytest.fixture(scope="module")
def page(view: RunView) -> str:
    return html.render(view, language="ja")


class Reader(HTMLParser):
    """Collects tags, attributes and the visible words of each language's article."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.words: dict[str, str] = {}
        self.open: list[str] = []
        self.article = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag == "article":
            self.article = dict(attrs)["lang"] or ""
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.article:
            self.words[self.article] = self.words.get(self.article, "") + data


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    return reader


# --- one file ------------------------------------------------------------------------------------


def test_nothing_is_fetched_and_nothing_runs(page: str) -> None:
    found = read(page)

    assert "script" not in found.tags
    assert not {"iframe", "link", "object", "embed", "form"} & set(found.tags)
    assert not [name for name, _ in found.attributes if name.startswith("on") or name == "style"]
    addresses = set(re.findall(r"https?://[^\s\"'<>&]+", page))
    assert addresses <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink", "http://x"}


def test_the_policy_allows_exactly_the_styles_of_the_file(page: str) -> None:
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    assert policy is not None
    styles = re.findall(r"<style>(.*?)</style>", page, flags=re.DOTALL)
    allowed = policy.group(1).replace("&#39;", "'")

    for style in styles:
        digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in allowed
    assert allowed.startswith("default-src 'none'; img-src data:;")
    assert "unsafe" not in allowed


def test_every_tag_is_closed(page: str) -> None:
    assert read(page).open == []


def test_the_file_is_small_and_stays_so_with_large_clips(page: str) -> None:
    assert len(page.encode()) < 6_000_000
    assert clips.CLIP_BUDGET <= 4_000_000


def test_the_sheet_shrinks_to_its_budget(view: RunView, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, all_pictures = clips.fitting_sheet(view)
    budget = sum(map(len, all_pictures.values())) * 2 // 3
    monkeypatch.setattr(clips, "CLIP_BUDGET", budget)
    small, pictures = clips.fitting_sheet(view)

    assert len(small.columns) < len(whole.columns)
    assert sum(map(len, pictures.values())) <= budget


def test_the_same_run_gives_the_same_bytes_but_for_the_first_language(run: Path, page: str) -> None:
    path = html.write_report(run, None, language="en")
    written = path.read_text("utf-8")

    assert path == run / "report.html"
    assert '<html lang="en">' in written
    assert written[written.index("<main>") :] == page[page.index("<main>") :]
    assert not list(run.glob(".report*"))


# --- what it says --------------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_conclusion_the_numbers_and_the_lights_are_said(
    view: RunView, page: str, language: Language
) -> None:
    said, content = read(page).words[language], make_content(view, load_text(language))

    for sentence in (content.banner, content.headline, content.sureness, content.actions[0].what):
        assert sentence
        assert sentence in said
    for number in content.numbers:
        assert number.cell.value in said
        assert number.cell.interval in said
    for row in content.criteria:
        assert row.label in said
        assert row.mark.word in said


def test_a_number_on_the_page_is_the_number_in_the_run(view: RunView) -> None:
    text, arm = load_text("en"), focus_arm(view)
    quality = view.estimate(arm.id, view.estimates.quality_metric, Comparison.VALUE)
    seconds = view.estimate(arm.id, "latency_p50_s", Comparison.VALUE)
    assert quality is not None
    assert quality.value is not None
    assert seconds is not None
    people, speed, _ = make_content(view, text).numbers

    assert f"{100 * quality.value:.1f} %" in people.lines[-1]
    assert speed.cell.value == f"{seconds.value:.3f} s"


def test_a_changed_number_changes_the_page(view: RunView) -> None:
    arm = focus_arm(view)
    summaries = []
    for summary in view.estimates.arms:
        changed = [
            e.model_copy(update={"value": 0.12345})
            if (e.arm_id, e.metric, e.comparison) == (arm.id, "oracle_all", Comparison.VALUE)
            else e
            for e in summary.estimates
        ]
        summaries.append(summary.model_copy(update={"estimates": tuple(changed)}))
    estimates = view.estimates.model_copy(update={"arms": tuple(summaries)})
    text = load_text("en")
    before = make_content(view, text)
    after = make_content(replace(view, estimates=estimates), text)

    assert "83.0 %" in before.numbers[0].lines[-1]
    assert "12.3 %" in after.numbers[0].lines[-1]
    assert text("warning.stale") not in before.warnings
    assert text("warning.stale") in after.warnings


def test_the_languages_do_not_mix(view: RunView, page: str) -> None:
    said = read(page).words
    foreign = [prompt.text_ja for prompt in view.plan.prompts]
    english = said["en"]
    for text in (*foreign, "デモ", "髙﨑"):
        english = english.replace(text, "")

    assert not re.findall(r"[\u3040-\u30ff\u4e00-\u9fff]+", english)
    assert load_text("en")("section.criteria") not in said["ja"].split("\n")


def test_a_real_run_has_no_banner_and_no_watermark(tmp_path: Path) -> None:
    real = load_run(fixture.write_run(tmp_path / "real", fixture.plan("procurement", count=1)))
    page = html.render(real)

    assert "DEMONSTRATION" not in page.replace(load_text("en")("term.demonstration"), "")
    assert load_text("ja")("banner.demonstration") not in page
    assert load_text("en")("section.claims.demonstration") not in page
    assert 'class="banner"' not in page


def test_without_a_recommended_arm_the_best_light_is_in_focus(view: RunView) -> None:
    nobody = view.decision.model_copy(
        update={"recommended_arm_id": None, "decision": Light.NO_GO, "technical": Light.NO_GO}
    )
    bare = replace(view, decision=nobody)
    content = make_content(bare, load_text("en"))

    assert content.headline == "Demonstration: No candidate can replace Teacher, 25 steps."
    lights = {arm.arm_id: arm.technical for arm in nobody.arms}
    assert lights[focus_arm(bare).id] is Light.INSUFFICIENT_EVIDENCE


def test_of_candidates_that_all_fail_the_one_that_fails_least_is_in_focus(view: RunView) -> None:
    candidates = [
        arm
        for arm in view.decision.arms
        if view.arm(arm.arm_id).role is ArmRole.CANDIDATE and arm.results
    ]
    nearest = candidates[-1].arm_id

    def failing(arm: ArmDecision) -> ArmDecision:
        verdict = Verdict.INCONCLUSIVE if arm.arm_id == nearest else Verdict.FAIL
        results = tuple(r.model_copy(update={"verdict": verdict}) for r in arm.results)
        return arm.model_copy(update={"technical": Light.NO_GO, "results": results})

    arms = tuple(failing(arm) for arm in view.decision.arms)
    nobody = {"recommended_arm_id": None, "decision": Light.NO_GO, "arms": arms}
    bare = replace(view, decision=view.decision.model_copy(update=nobody))

    assert len(candidates) > 1
    assert focus_arm(bare).id == nearest


def test_warnings_stand_at_the_top(view: RunView) -> None:
    text = load_text("en")
    changes = {"criteria_edited": True, "valid_until": "2026-01-31"}
    edited = view.decision.model_copy(update=changes)
    open_run = view.estimates.model_copy(update={"complete": False})
    troubled = replace(
        view, decision=edited, estimates=open_run, closed_reason="deadline", findings=("torn",)
    )
    warnings = make_content(troubled, text).warnings

    assert text("warning.closed", reason="deadline") in warnings
    assert text("warning.incomplete") in warnings
    assert text("warning.criteria_edited") in warnings
    assert text("warning.until", day="2026-01-31") in warnings
    assert text("warning.store", finding="torn") in warnings
    assert make_content(view, text).warnings == ()


# --- contrasts -----------------------------------------------------------------------------------


CONTRASTS: dict[Language, tuple[str, str, list[str]]] = {
    "en": (
        "AnimateLCM, 4 steps against Naive LCM-LoRA, 4 steps",
        "Was stage 2 worth it?",
        ["better", "no difference shown"],
    ),
    "ja": (
        "AnimateLCM・4ステップ 対 単純なLCM-LoRA・4ステップ",
        "第2段階の意味はあったか。",
        ["優れる", "差は確認できない"],
    ),
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_contrast_says_who_is_better_only_where_the_interval_does(
    view: RunView, page: str, language: Language
) -> None:
    pair, question, words = CONTRASTS[language]
    (found,) = make_content(view, load_text(language)).contrasts

    assert (found.pair, found.question) == (pair, question)
    assert [row.standing for row in found.rows] == words
    assert all(text in read(page).words[language] for text in (pair, question, *words))


def test_a_run_that_asks_no_contrast_shows_no_such_section(view: RunView) -> None:
    without = replace(view, estimates=view.estimates.model_copy(update={"contrasts": ()}))

    assert load_text("en")("section.contrasts") not in html.render(without)


def test_tables_of_slices_are_folded_under_their_titles(view: RunView) -> None:
    asked = SliceSpec(by=("camera",), metrics=("oracle_all", "clip_score"))
    spec = view.plan.spec.model_copy(update={"slices": asked})
    every = tuple(one for summary in view.estimates.arms for one in summary.estimates)
    near = SliceEstimates(factor="camera", value="close up", n_prompts=4, estimates=every)
    sliced = replace(
        view,
        plan=view.plan.model_copy(update={"spec": spec}),
        estimates=view.estimates.model_copy(update={"slices": (near,)}),
    )
    page = html.render(sliced, language="en")
    fold = r'<details class="fold"><summary>(.*?)</summary>(.*?)</details>'
    folds = re.findall(fold, page, re.DOTALL)

    named = [words.metric_label(load_text("en"), metric) for metric in asked.metrics]
    assert [title for title, _ in folds[len(folds) // 2 :]] == [
        f"{name}, by viewpoint" for name in named
    ]
    assert all(body.count('<th scope="row"') == len(view.plan.arms) for _, body in folds)


def test_controls_are_named_as_such_and_never_in_focus(view: RunView) -> None:
    nobody = replace(view, decision=view.decision.model_copy(update={"recommended_arm_id": None}))
    content = make_content(nobody, load_text("en"))
    roles = {row.spec_name: row.role for row in content.arms}

    assert roles["dpmpp-8"] == "control"
    assert focus_arm(nobody).name not in fixture.CONTROLS


# --- published claims ----------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_published_claim_stands_on_the_page_with_theirs_ours_and_what_differs(
    view: RunView, page: str, language: Language
) -> None:
    said, content = read(page).words[language], make_content(view, load_text(language))

    assert [len(content.claims), bool(content.splits)] == [len(view.published.claims), False]
    assert load_text(language)("section.claims.demonstration") in said
    for row in content.claims:
        for sentence in (row.label, row.said, row.mark.word, *row.published, *row.reasons):
            assert sentence in said
        assert row.differs
        assert all(sentence in said for sentence in row.differs)
        assert all(one.cell.value in said for one in row.numbers)


def test_a_claim_shows_the_number_interval_and_outcome_of_the_run(view: RunView) -> None:
    asked = _of_arms_that_it_has(view, "decoupling-pays", "animatelcm-4", "naive-lcm-lora-4")
    rows = {row.label: row for row in make_content(asked, load_text("en")).claims}
    one = rows["Distilling image and motion apart pays"]
    kvd, clip = one.numbers

    assert (kvd.cell.value, kvd.cell.interval) == ("−0.131", "−0.200 to −0.0600")
    assert (kvd.cell.n, kvd.asked) == ("n = 63", "below 0")
    assert kvd.arm == "AnimateLCM, 4 steps against Naive LCM-LoRA, 4 steps"
    assert (clip.cell.value, clip.cell.reason) == ("–", "not measured")
    assert (one.mark.word, one.mark.level) == ("not testable here", "NONE")
    (fast,) = rows["Denoising is 24 times as fast (NFE 4 for 100)"].numbers
    assert fast.asked == "above ×24.47"


def _of_arms_that_it_has(view: RunView, claim: str, arm: str, against: str) -> RunView:
    """The same run, in which a claim that another run is made for is asked of its own arms."""
    arms = {"arms": arm, "against": against}
    claims = tuple(
        one.model_copy(update={"tests": tuple(t.model_copy(update=arms) for t in one.tests)})
        if one.id == claim
        else one
        for one in view.published.claims
    )
    return replace(view, published=view.published.model_copy(update={"claims": claims}))


def test_the_parts_of_a_speed_up_stand_side_by_side(view: RunView) -> None:
    arms = tuple(_with_denoising(summary) for summary in view.estimates.arms)
    timed = replace(view, estimates=view.estimates.model_copy(update={"arms": arms}))
    rows = {row.name: row for row in make_content(timed, load_text("en")).splits}
    one = rows["AnimateLCM, 4 steps"]

    # 25 guided steps in 2.61 s against 4 unguided ones in 0.262 s: x9.96 = x6.25 x x2 x x0.797.
    assert (one.whole.value, one.steps, one.guidance) == ("×9.96", "×6.25", "×2.00")
    assert one.whole_rest.value == "×0.797"
    assert load_text("en")("section.splits") in html.render(timed)


def _with_denoising(summary: ArmSummary) -> ArmSummary:
    found = [e for e in summary.estimates if e.metric == "latency_p50_s"]
    copies = [e.model_copy(update={"metric": "latency_denoise_p50_s"}) for e in found]
    return summary.model_copy(update={"estimates": (*summary.estimates, *copies)})


def test_a_hostile_claim_stays_text(view: RunView) -> None:
    first, *others = view.published.claims
    evil = first.model_copy(update={"label": "<img src=x>", "text": fixture.HOSTILE})
    bad = replace(view, published=ClaimsFile(version=1, claims=(evil, *others)))
    page = html.render(bad)

    assert "<img" not in page
    assert "&lt;img src=x&gt;" in page
    assert "<script" not in page


# --- what is missing -----------------------------------------------------------------------------


def test_failed_and_invalid_clips_are_counted_shown_and_named(view: RunView, page: str) -> None:
    content = make_content(view, load_text("en"))
    said = read(page).words["en"]
    rows = {row.spec_name: row for row in content.arms}

    assert rows["naive-lcm-lora-4"].counts == "6 of 8 OK"
    assert rows["naive-lcm-lora-4"].lost == "2 failed"
    assert rows["animatelcm-4"].lost == "1 invalid"
    assert len(content.lost) == 4
    assert "INVALID" in said
    assert "black: mean luminance 0.4" in said


def test_a_missing_number_says_why_and_is_never_zero(view: RunView) -> None:
    content = make_content(view, load_text("en"))
    neon = next(row for row in content.arms if row.spec_name == "animatelcm-neon-4")
    kvd = neon.cells[[c.term for c in content.arm_columns].index("KVD")]

    assert (kvd.value, kvd.interval, kvd.n) == ("–", "", "")
    assert kvd.reason == "fewer than 2 clips, or no reference set, have features"
    assert len(content.missing) == 2


def test_pending_clips_are_never_passed_over_in_silence(view: RunView) -> None:
    first, *others = view.estimates.arms
    counts = first.counts.model_copy(update={"ok": 5, "pending": 3})
    arms = (first.model_copy(update={"counts": counts}), *others)
    waiting = replace(view, estimates=view.estimates.model_copy(update={"arms": arms}))
    content = make_content(waiting, load_text("en"))

    assert content.arms[0].lost == "3 pending"
    assert [line.said for line in content.missing].count("3 pending") == 1


def test_a_run_without_latency_shows_nfe(view: RunView) -> None:
    arms = tuple(
        arm.model_copy(
            update={
                "estimates": tuple(e for e in arm.estimates if not e.metric.startswith("latency"))
            }
        )
        for arm in view.estimates.arms
    )
    untimed = replace(view, estimates=view.estimates.model_copy(update={"arms": arms}), latency=())
    content = make_content(untimed, load_text("en"))

    assert content.numbers[1].label == "NFE"
    assert content.numbers[1].cell.value == "4"
    assert content.numbers[1].cell.interval == "speed was not measured"
    assert any("NFE" in line.said for line in content.method)


def test_a_run_without_a_decision_is_an_error_that_says_what_to_type(tmp_path: Path) -> None:
    half = fixture.write_run(tmp_path / "half", fixture.plan(count=1), decided=False)

    with pytest.raises(RunNotShownError, match="poc decide"):
        html.write_report(half, None)
    assert not (half / "report.html").exists()


# --- clips ---------------------------------------------------------------------------------------


def test_the_sheet_begins_with_a_lost_or_the_worst_clip(view: RunView) -> None:
    sheet = make_sheet(view, 4)
    first = sheet.clips[focus_arm(view).id, sheet.columns[0].prompt_id]

    assert shows(first) == "invalid"
    assert [column.rank for column in sheet.columns] == ["worst", "low", "middle", "best"]


def test_every_good_clip_of_the_sheet_moves(view: RunView, page: str) -> None:
    sheet, pictures = clips.fitting_sheet(view)
    places = [sheet.clips[arm.id, c.prompt_id] for c in sheet.columns for arm in view.plan.arms]
    good = {clip.clip_id for clip in places if shows(clip) == ""}
    worst = sheet.columns[0].prompt_id
    pair = {sheet.clips[arm.id, worst].clip_id for arm in (focus_arm(view), view.baseline)}

    assert set(pictures) == good
    for clip_id in good:
        assert page.count(f".k-{clip_id} ") == 1
        # Once in either language, and once more where the worst clip stands beside the baseline's.
        times = 4 if clip_id in pair else 2
        assert page.count(f'class="strip k-{clip_id}"') == times
    assert "steps(16, jump-none)" in page
    assert "prefers-reduced-motion" in page


def test_a_damaged_picture_costs_only_its_own_place(tmp_path: Path) -> None:
    made = fixture.plan(count=2)
    hurt = fixture.write_run(tmp_path / "hurt", made)
    strips = sorted((hurt / "clips").glob("*.png"))
    strips[0].write_bytes(b"no picture")

    assert viewing_copy(strips[0], 16) is None
    text, reread = load_text("en"), load_run(hurt)
    sheet, pictures = clips.fitting_sheet(reread)
    shown = clips.sheet_text(reread, text, sheet, pictures, reread.plan.arms)
    assert len(pictures) == len(strips) - 1
    assert [p.word for row in shown.rows for p in row.places if not p.style] == ["NOT KEPT"]


# --- foreign text --------------------------------------------------------------------------------


def test_a_hostile_prompt_stays_text(view: RunView, page: str) -> None:
    assert fixture.HOSTILE in {prompt.text for prompt in view.plan.prompts}
    assert "&lt;script&gt;alert" in page
    assert "<script" not in page
    assert "\u202e" not in page
    assert "⟨U+202E⟩" in page


def test_hostile_names_and_reasons_stay_text(view: RunView) -> None:
    evil = "</style><img src=x onerror=alert(1)>"
    arms = tuple(arm.model_copy(update={"name": evil}) for arm in view.plan.arms)
    plan = view.plan.model_copy(update={"arms": arms})
    summaries = tuple(
        summary.model_copy(update={"arm": arm})
        for summary, arm in zip(view.estimates.arms, arms, strict=True)
    )
    clip = replace(view.clips[0], reason=evil)
    bad = replace(
        view,
        plan=plan,
        estimates=view.estimates.model_copy(update={"arms": summaries}),
        clips=(clip, *view.clips[1:]),
        closed_reason=evil,
        findings=(evil,),
    )
    page = html.render(bad)

    assert "<img" not in page
    assert read(page).open == []
