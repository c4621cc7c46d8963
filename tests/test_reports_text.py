"""Both languages say everything, numbers read as people write them, foreign text stays harmless."""

from __future__ import annotations

import ast
import json
import re
import string
from pathlib import Path

import pytest
import reports_fixture as fixture

import reports
from metrics.catalog import CATALOG, Direction
from poc import findings
from poc.claims import ClaimStatus
from poc.claims_file import How
from poc.records import Comparison, Criterion, Light, Verdict, Weight
from poc.run import read_plan
from poc.vote_records import Reason
from reports import text as words
from reports.text import LANGUAGES, Language, load_text

ROOT = Path(reports.__file__).parent
EN, JA = load_text("en"), load_text("ja")
KANA = re.compile(r"[\u3040-\u30ff\u4e00-\u9fff]")

KEPT = re.compile(r"animatelcm|dpmpp")
"""Names that are the same in Japanese."""

SAME = {
    "arm.animatelcm", "arm.dpmpp", "arm.styled", "bound.window", "chart.quality.none",
    "claim.how.value", "claim.number", "column.n", "column.nfe",
    "basis.n", "compare.of", "comparison.value", "criterion.label", "app.language", "lost.clip",
    "missing.cell", "list.comma", "punctuation.aside", "punctuation.colon", "picture.number",
    "clips.with", "money.against", "part.lora", "rights.part",
    "n.clips", "number.none", "number.pixels", "number.plain", "provenance.python", "term.n",
    "term.nfe", "watermark", "action.rights.way", "page.language",
}  # fmt: skip
"""Sentences of signs, names and numbers only; all others must hold Japanese letters in Japanese."""


def gaps(sentence: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(sentence) if name is not None}


def sources() -> list[Path]:
    return sorted(ROOT.rglob("*.py"))


def test_both_languages_have_the_same_sentences_with_the_same_gaps() -> None:
    assert EN.table.keys() == JA.table.keys()
    for key in EN.table:
        assert gaps(EN.table[key]) == gaps(JA.table[key]), key


def test_no_key_stands_twice_in_a_file() -> None:
    for language in LANGUAGES:
        raw = (ROOT / "locale" / f"{language}.json").read_text("utf-8")
        pairs = json.loads(raw, object_pairs_hook=list)

        assert len(pairs) == len(dict(pairs))


def test_japanese_is_japanese_and_english_has_none_of_it() -> None:
    for key in EN.table.keys() - SAME:
        assert KANA.search(JA.table[key]) or "number." in key or "provenance." in key, key
    for key in EN.table.keys() - {"watermark", "app.language"}:
        assert not KANA.search(EN.table[key]), key


def test_a_sentence_of_a_decision_has_settings_and_criteria_as_the_pages_call_them() -> None:
    plan = fixture.plan(count=2)
    arm = next(one for one in plan.arms if one.name == "animatelcm-4")
    asked = plan.criteria.criteria[0]
    one = findings.more_prompts(
        asked.name, arm, count=64, clips=128, paired=True, toward=Verdict.PASS
    )

    said = words.sentence(JA, plan, one)
    assert "AnimateLCM・4ステップとベースラインのクリップ" in said
    assert f"「{words.criterion_label(JA, asked)}」" in said
    assert arm.name not in said
    assert asked.name not in said
    assert repr(asked.name) in words.sentence(EN, plan, one)


def test_every_sentence_that_the_code_asks_for_by_name_exists() -> None:
    asked: set[str] = set()
    for path in [*sources(), *(ROOT / "templates").glob("*.j2")]:
        asked |= set(re.findall(r"\b(?:text|t)\(\s*\"([a-z_.]+)\"", path.read_text("utf-8")))

    assert len(asked) > 60
    assert asked <= EN.table.keys()


@pytest.mark.parametrize(
    ("prefix", "names"),
    [
        ("light", list(Light)),
        ("headline", list(Light)),
        ("verdict", list(Verdict)),
        ("weight", list(Weight)),
        ("comparison", list(Comparison)),
        ("reason", list(Reason)),
        ("claim", list(ClaimStatus)),
        ("claim.how", list(How)),
        ("claims.page.means", list(ClaimStatus)),
    ],
)
def test_every_outcome_has_a_word(prefix: str, names: list[str]) -> None:
    assert {f"{prefix}.{name}" for name in names} <= EN.table.keys()


def test_no_sentence_is_written_into_the_code() -> None:
    """A call that shows something takes no literal with a word in it."""
    shows = {"header", "subheader", "caption", "markdown", "write", "title", "info", "error",
             "warning", "metric", "selectbox", "expander", "slider", "multiselect"}  # fmt: skip
    found = []
    for path in [*(ROOT / "app_pages").glob("*.py"), ROOT / "app.py", ROOT / "dashboard.py"]:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") in shows:
                found += [
                    f"{path.name}: {part.value!r}"
                    for part in node.args[:1]
                    if isinstance(part, ast.Constant) and re.search(r"\w", str(part.value))
                ]

    assert found == []


def test_no_sentence_is_written_into_the_template() -> None:
    template = (ROOT / "templates" / "report.html.j2").read_text("utf-8")
    bare = re.sub(r"{%.*?%}|{{.*?}}|<[^>]*>", " ", template, flags=re.DOTALL)

    assert re.findall(r"[^\W\d_]{2,}", bare) == ["日本語", "English"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_catalogued_metric_has_a_name(language: Language) -> None:
    text = load_text(language)
    for metric in CATALOG:
        assert words.metric_label(text, metric)


def test_an_unknown_key_names_the_file_and_the_key() -> None:
    with pytest.raises(KeyError, match=r"ja.json: no sentence 'no.such'"):
        JA("no.such")


# --- names ---------------------------------------------------------------------------------------


def test_arms_are_named_readably_in_both_languages() -> None:
    styled = fixture.arm("animatelcm-pastel-4")

    assert words.arm_name(EN, styled) == "AnimateLCM (pastel), 4 steps"
    assert words.arm_name(JA, styled) == "AnimateLCM（パステル）・4ステップ"
    assert words.arm_name(EN, fixture.arm("animatelcm-1")) == "AnimateLCM, 1 step"
    assert words.arm_name(JA, fixture.arm("teacher-25")) == "教師モデル・25ステップ"


@pytest.mark.parametrize(
    "spec",
    [*sorted(Path("poc/specs/ablations").glob("*.yaml")), Path("poc/specs/tiny-evidence.yaml")],
)
def test_every_arm_of_a_published_run_has_a_name_for_people(spec: Path) -> None:
    for arm in read_plan(spec)[0].arms:
        assert words.arm_group(EN, arm)[0].isupper(), arm.name  # an id begins small
        assert words.arm_group(JA, arm) != words.arm_group(EN, arm) or KEPT.match(arm.name), (
            arm.name
        )


def test_an_arm_of_the_users_own_is_shown_as_written() -> None:
    arm = fixture.arm("teacher-25").model_copy(update={"name": "our-model-25"})

    assert words.arm_name(EN, arm) == "our-model, 25 steps"


def test_a_metric_with_an_argument_names_the_argument() -> None:
    assert words.metric_label(EN, "style_similarity[pastel]") == "Style similarity (pastel)"
    assert words.metric_label(JA, "style_similarity[neon]") == "画風の類似度（ネオン）"
    assert words.direction("style_similarity[neon]") is Direction.HIGHER


def test_criteria_say_what_they_compare() -> None:
    labels = [words.criterion_label(EN, criterion) for criterion in fixture.criteria().criteria]

    assert "Everything as asked, minus the baseline" in labels
    assert "KVD, relative to the baseline" in labels


# --- numbers -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("metric", "how", "value", "english", "japanese"),
    [
        ("oracle_all", Comparison.VALUE, 0.8304, "83.0 %", "83.0%"),
        ("oracle_all", Comparison.DIFFERENCE, -0.0312, "−3.1 points", "−3.1ポイント"),
        ("oracle_all", Comparison.DIFFERENCE, 0.04, "+4.0 points", "+4.0ポイント"),
        ("oracle_all", Comparison.DIFFERENCE, -0.0001, "−0.01 points", "−0.01ポイント"),
        ("oracle_all", Comparison.DIFFERENCE, -1e-9, "0.0 points", "0.0ポイント"),
        ("oracle_all", Comparison.DIFFERENCE, 0.0, "0.0 points", "0.0ポイント"),
        ("kvd", Comparison.RATIO, 1.4285, "×1.43", "1.43倍"),
        ("kvd", Comparison.VALUE, -0.00123, "−0.00123", "−0.00123"),
        ("latency_p50_s", Comparison.VALUE, 0.2619, "0.262 s", "0.262秒"),
        ("peak_memory_bytes", Comparison.VALUE, 4.0e8, "400 MB", "400MB"),
        ("kvd", Comparison.VALUE, None, "–", "–"),
        ("kvd", Comparison.VALUE, 0.0, "0", "0"),
    ],
)
def test_numbers_read_as_people_write_them(
    metric: str, how: Comparison, value: float | None, english: str, japanese: str
) -> None:
    assert words.number(EN, metric, how, value) == english
    assert words.number(JA, metric, how, value) == japanese


def test_half_an_interval_is_none() -> None:
    assert words.interval(EN, "kvd", Comparison.VALUE, (0.1, None)) == "no interval"


@pytest.mark.parametrize(
    ("share", "shown"),
    [(1.0, "100 %"), (0.9995, "over 99 %"), (0.93, "93 %"), (0.0004, "under 1 %"), (0.0, "0 %")],
)
def test_nearly_all_is_not_all(share: float, shown: str) -> None:
    assert words.percent(EN, share) == shown


def test_a_window_is_shown_by_its_ends() -> None:
    window = next(c for c in fixture.criteria().criteria if c.direction == "window")

    assert words.bound(EN, window, window.target) == "×0.800 to ×1.25"
    assert words.bound(JA, window, window.target) == "0.800倍～1.25倍"


def test_bounds_say_their_direction() -> None:
    by_metric: dict[str, Criterion] = {c.metric: c for c in fixture.criteria().criteria}
    speed, usable = by_metric["latency_p50_s"], by_metric["valid_share"]

    assert words.bound(EN, speed, speed.minimum) == "at most ×0.333"
    assert words.bound(JA, usable, usable.target) == "99.0%以上"


# --- foreign text --------------------------------------------------------------------------------


def test_direction_and_control_marks_are_made_visible() -> None:
    assert words.shown("a\u202eb\x00\u2066") == "a⟨U+202E⟩b⟨U+0000⟩⟨U+2066⟩"
    assert words.shown("髙﨑 🎬 café") == "髙﨑 🎬 café"


def test_long_text_is_cut() -> None:
    assert words.shown("x" * 1000, 10) == "x" * 9 + "…"


@pytest.mark.parametrize(
    ("tag", "language"), [("ja-JP", "ja"), ("en-GB", "en"), ("fr", "en"), (None, "ja")]
)
def test_the_browser_decides_the_first_language(tag: str | None, language: str) -> None:
    assert words.language_of(tag) == language
