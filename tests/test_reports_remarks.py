"""What a run says of its numbers is read in both languages, as the modules that say it word it."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from reports import remarks
from reports.text import load_text, metric_label

ROOT = Path(__file__).parent.parent
RUNS = sorted((ROOT / "reports" / "baselines").rglob("*estimates.json"))
SPEAKERS = (
    "outcomes", "samples", "latency_estimates", "latency_scenarios", "set_metrics", "verdicts",
)  # fmt: skip
"""Modules of `poc` whose sentences stand in estimates and verdicts."""
PARTS = {
    "fraction of clips",
    "is not known",
    "{} is {}: fewer clips than feature dimensions",
    "the baseline's own share {}, not shown to be above {}: to be no worse than it proves nothing",
    " (normal approximation of the interval)",
    "{} clips of {}",
    ", ratio {}",
    "extractor {} @{}",
    "noise floor {} at n = {}{}",
    "paired, on logarithms: ",
}
"""A unit, and sentences whose pieces make them: examples of these stand below."""
EN, JA = load_text("en"), load_text("ja")
JAPANESE = re.compile(r"[\u3040-\u30ff\u4e00-\u9fff]")
ENGLISH = re.compile(r"\b(the|of|no|not|is|over|per|at|by|in|or|and|value|interval)\b")


def stored(name: str) -> set[str]:
    """Every sentence of this kind in the committed runs."""
    arms = [arm for path in RUNS for arm in json.loads(path.read_text("utf-8"))["arms"]]
    found = [one[name] for arm in arms for one in arm["estimates"]]
    return {one for many in found for one in ([many] if isinstance(many, str) else many) if one}


def spoken(module: str) -> Iterator[str]:
    """Every sentence of three words or more in a module that is no docstring and no error."""
    tree = ast.parse((ROOT / "poc" / f"{module}.py").read_text("utf-8"))
    left = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise | ast.JoinedStr):
            left |= {id(part) for part in ast.walk(node) if part is not node}
        if isinstance(node, ast.Expr):
            left.add(id(node.value))
    for node in ast.walk(tree):
        said = "" if id(node) in left else _sentence(node)
        if len(said.split()) > 2 and said not in PARTS:
            yield said.replace("{}", "7")


def _sentence(node: ast.AST) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(
            str(one.value) if isinstance(one, ast.Constant) else "{}" for one in node.values
        )
    return ""


def left_in_english(sentences: set[str]) -> set[str]:
    read = {one: remarks.said(JA, one) for one in sentences}
    return {one for one, said in read.items() if not JAPANESE.search(said) or ENGLISH.search(said)}


# --- nothing is left out -------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["method", "reason", "notes"])
def test_no_sentence_of_a_committed_run_is_left_in_english(name: str) -> None:
    found = stored(name)

    assert len(found) > 3
    assert left_in_english(found) == set()


@pytest.mark.parametrize("module", SPEAKERS)
def test_no_sentence_of_the_program_is_left_in_english(module: str) -> None:
    found = set(spoken(module))

    assert found
    assert left_in_english(found) == set()


def test_a_sentence_that_nobody_has_translated_is_found() -> None:
    assert left_in_english({"the moon is full tonight"}) == {"the moon is full tonight"}


def test_no_metric_of_a_committed_run_is_shown_by_its_id() -> None:
    metrics = stored("metric")

    assert {one for one in metrics if "_" in metric_label(EN, one)} == set()
    assert {one for one in metrics if "_" in metric_label(JA, one)} == set()
    assert not {"kvd", "motion"} & {metric_label(EN, one) for one in metrics}


# --- what is said --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sentence", "japanese"),
    [
        (
            "paired, on logarithms: bootstrap over prompts (BCa) or t, the farther end",
            "対応あり（対数）：プロンプト単位のブートストラップ（BCa）とt分布のうち、外側の端",
        ),
        (
            "rounds' ratios, order statistics 2 and 14 of 15",
            "同じ回の中の比：15件中2番目と14番目の順序統計量",
        ),
        ("paired rates over prompts, Tango's score", "プロンプト単位の対のTangoスコア"),
        ("paired t on per-prompt values", "対応あり：プロンプトごとの平均に対するt分布"),
        ("maximum over timed clips", "計測したクリップの最大値"),
        ("maximum over timed batches", "計測した一括生成の最大値"),
        ("a single first call has no interval", "初回は1度だけのため信頼区間なし"),
        ("a maximum has no interval", "最大値のため信頼区間なし"),
        (
            "noise floor 3.08 at n = 64, ratio 1.29",
            "n = 64でのノイズフロア 3.08（値はその1.29倍）",
        ),
        ("noise floor 3.08 at n = 64", "n = 64でのノイズフロア 3.08"),
        ("against 512 clips of tiny-clean", "tiny-cleanの512本と比較"),
        ("kvd is rank-deficient: fewer clips than feature dimensions",
         "KVD：特徴量の次元に対してクリップ数が不足"),
        ("not measured: no ratio of latency_p50_s",
         "未測定（1本あたりの生成時間（中央値）のベースライン比がない）"),
        ("not comparable with the baseline: reference: a against b; extractor: c against d",
         "ベースラインと比較できない（参照クリップが異なる：aとb、ネットワークが異なる：cとd）"),
        ("the baseline: no clip has a value: not measured",
         "ベースライン：値のあるクリップがない（未測定）"),
        ("not comparable: 64 clips asked for, 60 of the arm and 64 of the baseline measured",
         "比較できない（必要64本、計測はこの構成60本、ベースライン64本）"),
        (("the baseline's own share is 62%, not shown to be above 80%: to be no worse than it "
         "proves nothing"),
         "ベースライン自体の割合が62%で、80%を超えるとは言えない。それに劣らないだけでは証明にならない"),
        (("the baseline's own share is not known, not shown to be above 80%: to be no worse than "
         "it proves nothing"),
         "ベースライン自体の割合が不明で、80%を超えるとは言えない。それに劣らないだけでは証明にならない"),
        ("1 of 64 pairs lost: a clip of the pair has no value.",
         "64組中1組は、片方のクリップに値がないため除外"),
    ],
)  # fmt: skip
def test_a_sentence_is_said_whole_in_both_languages(sentence: str, japanese: str) -> None:
    assert remarks.said(JA, sentence) == japanese
    assert remarks.said(EN, sentence) == sentence


@pytest.mark.parametrize(
    ("note", "stands_on"),
    [
        ("noise floor 3.08 at n = 64, ratio 1.29", "noise floor 3.08 at n = 64"),
        ("noise floor 3.08 at n = 64", "noise floor 3.08 at n = 64"),
        ("extractor tiny-video @0123", "extractor tiny-video @0123"),
        ("against 512 clips of tiny-clean", "against 512 clips of tiny-clean"),
        ("rank-deficient", ""),
        ("1 of 64 pairs lost: a clip of the pair has no value.", ""),
    ],
)
def test_what_a_metric_stands_on_is_told_from_what_is_one_arms_own(
    note: str, stands_on: str
) -> None:
    assert remarks.protocol(note) == stands_on


# --- hostile sentences ---------------------------------------------------------------------------


def test_what_no_sentence_fits_is_shown_as_it_came() -> None:
    assert remarks.said(JA, "MemoryError: out of memory") == "MemoryError: out of memory"
    assert remarks.said(JA, "") == ""


def test_signs_that_turn_text_around_are_shown_as_signs_in_a_gap_too() -> None:
    assert remarks.said(JA, "by\u202e magic") == "by⟨U+202E⟩ magic"
    assert remarks.said(JA, "against 5 clips of a\u202eb") == "a⟨U+202E⟩bの5本と比較"


@pytest.mark.parametrize("sentence", ["paired " * 200_000 + "none", "a: " * 200_000 + "none"])
def test_a_sentence_without_end_is_cut(sentence: str) -> None:
    assert len(remarks.said(JA, sentence)) < 500
