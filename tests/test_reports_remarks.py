"""What estimates say of themselves is read in both languages: every sentence of committed runs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from poc import intervals, set_metrics
from reports import remarks
from reports.text import load_text, metric_label

ROOT = Path(__file__).parent.parent
RUNS = sorted((ROOT / "reports" / "baselines").rglob("*estimates.json"))
EN, JA = load_text("en"), load_text("ja")
JAPANESE = re.compile(r"[\u3040-\u30ff\u4e00-\u9fff]")


def said(name: str) -> Iterator[str]:
    for path in RUNS:
        arms = json.loads(path.read_text("utf-8"))["arms"]
        yield from {one[name] for arm in arms for one in arm["estimates"] if one[name]}


def test_there_is_something_to_read() -> None:
    assert len(RUNS) > 5
    assert len(set(said("method"))) > 8
    assert len(set(said("reason"))) > 3


def test_no_method_of_a_committed_run_is_left_in_english() -> None:
    assert {one for one in said("method") if not JAPANESE.search(remarks.method(JA, one))} == set()


def test_no_reason_of_a_committed_run_is_left_in_english() -> None:
    assert {one for one in said("reason") if not JAPANESE.search(remarks.reason(JA, one))} == set()


def test_no_metric_of_a_committed_run_is_shown_by_its_id() -> None:
    metrics = set(said("metric"))

    assert {one for one in metrics if "_" in metric_label(EN, one)} == set()
    assert {one for one in metrics if "_" in metric_label(JA, one)} == set()
    assert not {"kvd", "motion"} & {metric_label(EN, one) for one in metrics}


@pytest.mark.parametrize(
    ("method", "english", "japanese"),
    [
        (
            "paired, on logarithms: bootstrap over prompts (BCa) or t, the farther end",
            "paired, on logarithms: bootstrap over prompts (BCa) or Student's t, the farther end",
            "対応あり（対数）：プロンプト単位のブートストラップ（BCa）とt分布のうち、外側の端",
        ),
        (
            "rounds' ratios, order statistics 2 and 14 of 15",
            "ratios within a round, order statistics 2 and 14 of 15",
            "同じ回の中の比：15件中2番目と14番目の順序統計量",
        ),
        (
            "paired rates over prompts, Tango's score",
            "Tango's score on pairs, over prompts",
            "プロンプト単位の対のTangoスコア",
        ),
        (
            intervals.t_interval(0.0, 1.0, 5).method,
            "Student's t on the prompts' means",
            "プロンプトごとの平均に対するt分布",
        ),
        (
            f"paired {intervals.t_interval(0.0, 1.0, 5).method}",
            "paired Student's t on the prompts' means",
            "対応あり：プロンプトごとの平均に対するt分布",
        ),
    ],
)
def test_a_method_is_said_whole(method: str, english: str, japanese: str) -> None:
    assert remarks.method(EN, method) == english
    assert remarks.method(JA, method) == japanese


@pytest.mark.parametrize("method", [set_metrics._OVER_PROMPTS, set_metrics._OVER_BOTH])
def test_how_kvd_is_reckoned_is_known(method: str) -> None:
    assert remarks.method(JA, method).endswith("ジャックナイフ（歪み補正）")


def test_what_another_version_says_is_shown_as_it_came_and_does_no_harm() -> None:
    assert remarks.method(JA, "by\u202e magic") == "by⟨U+202E⟩ magic"
    assert remarks.reason(JA, "the moon") == "the moon"
    assert remarks.method(JA, "") == ""
