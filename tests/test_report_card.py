"""The next report card asks every metric that the tiny world can, and tells faults apart."""

from __future__ import annotations

import numpy as np
import pytest
import report_card as card

from metrics.catalog import CATALOG, Direction
from metrics.report_card import ReportCard, Standing
from poc.run import judges_of, read_plan
from poc.tiny.judges import auc

COUNT = 16
FAULTS = ("washed_out", "other_prompt", "unasked_style", "bare_ground")


def test_every_metric_is_on_the_next_card_or_has_a_reason_why_not() -> None:
    parts = [[*card.MEASURED], [*card.APART], [*card.NOT_ON_CARD], ["validity"]]
    names = [name for part in parts for name in part]

    assert sorted(names) == sorted(CATALOG)
    assert all(len(reason) > 10 for reason in card.NOT_ON_CARD.values())
    assert {"flashes", "motion_smoothness", "clip_logit", "kvd", "oracle_style"} <= {*card.MEASURED}


@pytest.fixture(scope="module")
def cells() -> dict[str, card.Compared]:
    """Some faults, planted in few clips and measured by all metrics, as the card does."""
    plan, models = read_plan(card.SPEC)
    prompts = plan.prompts[:COUNT]
    arm = next(one for one in plan.arms if one.name == card.ARM)
    reference = plan.spec.references[0].model_copy(update={"count": 2 * COUNT})
    measured = card.Measurer(judges_of(models), arm, reference=reference, prompts=prompts)
    found = card.pictures(prompts, measured, FAULTS)
    return dict([*found, *card.apart(prompts, measured)])


@pytest.fixture(scope="module")
def read(cells: dict[str, card.Compared], tmp_path_factory: pytest.TempPathFactory) -> ReportCard:
    """The card as it is written and read again."""
    folder = tmp_path_factory.mktemp("card")
    card.write(folder, cells, COUNT)
    return ReportCard.from_json((folder / "report_card.json").read_text("utf-8"))


@pytest.mark.slow
def test_every_metric_of_the_card_has_a_number_for_some_fault(read: ReportCard) -> None:
    without = [name for name in (*card.MEASURED, *card.APART) if not read.of(name)]

    assert without == []
    assert {name for name in CATALOG if read.standing(name) is Standing.UNTESTED} == {
        *card.NOT_ON_CARD
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "metric"),
    [
        ("other_prompt", "clip_score"),
        ("other_prompt", "oracle_shape"),
        ("other_prompt", "oracle_colour"),
        ("other_prompt", "oracle_background"),
        ("other_prompt", "oracle_motion"),
        ("unasked_style", "oracle_style"),
        ("unasked_style", "kvd"),
        ("bare_ground", "oracle_texture"),
        ("washed_out", "contrast"),
        ("washed_out", "saturation"),
        ("copied_still", "style_copy"),
        ("one_clip_for_all_seeds", "seed_diversity"),
    ],
)
def test_a_metric_sees_the_fault_that_it_is_made_for(
    read: ReportCard, fault: str, metric: str
) -> None:
    assert read.paired[fault][metric] is not None
    assert (read.paired[fault][metric] or 0.0) >= 0.8


@pytest.mark.slow
def test_a_prompt_that_is_not_shown_changes_nothing_that_looks_at_pictures_alone(
    read: ReportCard,
) -> None:
    for metric in ("sharpness", "flicker", "motion", "saturation", "kvd", "oracle_style"):
        assert read.paired["other_prompt"][metric] == 0.5


def test_pairs_see_a_shift_that_lies_within_the_spread_of_the_clips() -> None:
    rng = np.random.default_rng(0)
    clean = rng.normal(0, 10, 40)
    spoilt = clean + 1

    assert card.paired_share(Direction.LOWER, [*zip(clean, spoilt, strict=True)]) == 1.0
    assert card.paired_share(Direction.HIGHER, [*zip(clean, spoilt, strict=True)]) == 0.0
    assert card.paired_share(Direction.TARGET, [*zip(clean, spoilt, strict=True)]) == 1.0
    assert auc(spoilt, clean) < 0.6
