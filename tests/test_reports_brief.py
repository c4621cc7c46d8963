"""The plan document: complete before any run, honest about what nobody has measured."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pypdfium2
import pytest

from poc import cli
from poc.brief import Brief, half_width, make_brief, share_difference, votes_needed
from poc.cost_file import EXAMPLE, read_cost
from poc.plan import summary
from poc.run import read_plan
from reports.brief import brief_sections
from reports.document import Table
from reports.export.brief import render_markdown, render_pdf
from reports.text import LANGUAGES, Language, load_text

SPEC = Path("poc/specs/quick.yaml")
EN = load_text("en")


@pytest.fixture(scope="module")
def brief() -> Brief:
    plan, _ = read_plan(SPEC)
    return make_brief(plan, (), read_cost(EXAMPLE))


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_part_of_the_plan_is_there(brief: Brief, language: Language) -> None:
    text = load_text(language)
    said = render_markdown(brief, text, "spec.yaml").decode()
    parts = ("question", "scenarios", "data", "criteria", "sizes", "people", "schedule", "cost",
             "compare", "stops", "roles", "stages", "acceptance", "digests")  # fmt: skip

    assert [one for one in parts if f"## {text(f'brief.{one}')}" not in said] == []
    assert text("brief.unmeasured") in said


def test_it_holds_the_digests_of_plan_spec_criteria_and_prompts(brief: Brief) -> None:
    said = render_markdown(brief, EN, "spec.yaml").decode()
    plan = brief.plan

    for digest in (plan.content_digest(), plan.spec_digest, plan.criteria_digest):
        assert digest in said
    assert brief.prompts_digest in said
    other = plan.prompts[0].model_copy(update={"text_ja": "別"})
    changed = plan.model_copy(update={"prompts": (other, *plan.prompts[1:])})
    assert make_brief(changed, ()).prompts_digest != brief.prompts_digest


def test_every_criterion_stands_with_its_reason(brief: Brief) -> None:
    said = " ".join(render_markdown(brief, EN, "spec.yaml").decode().split())
    found = re.sub(r"&#(\d+);", lambda one: chr(int(one[1])), said)

    for criterion in brief.plan.criteria.criteria:
        assert " ".join(criterion.reason.split())[:390] in found


def test_nothing_is_called_measured_before_a_run_and_no_cell_is_empty(brief: Brief) -> None:
    sheet = next(s for s in brief_sections(brief, EN, "s") if s.key == "brief.compare")
    (table,) = (block for block in sheet.blocks if isinstance(block, Table))
    cells = [entry.said for row in table.rows for entry in row.entries]

    assert all(cells)
    assert not [one for one in cells if one.startswith("measured")]
    # The example's prices carry no decision, and the sheet says so of each.
    assert [one for one in cells if one.startswith("stated")] == []
    assert sum(one.startswith("example: ") for one in cells) >= 5


def test_a_price_that_is_no_example_is_stated_with_its_day(brief: Brief) -> None:
    assert brief.inputs is not None
    assert brief.cost is not None
    ways = tuple(w.model_copy(update={"is_example": False}) for w in brief.cost.alternatives)
    real = replace(brief, cost=brief.cost.model_copy(update={"alternatives": ways}))
    said = render_markdown(real, EN, "s").decode()
    day = brief.inputs.alternatives.outsourcing.per_deliverable.date

    assert f"stated: 500,000 JPY ({day})" in said


def test_without_prices_it_says_which_command_takes_them(brief: Brief) -> None:
    said = render_markdown(make_brief(brief.plan, ()), EN, "s").decode()

    assert "poc brief SPEC --cost FILE" in said
    assert "JPY" not in said


def test_time_and_disk_are_the_plans_own(brief: Brief) -> None:
    assert brief.summary == summary(brief.plan)


# --- what samples can show -----------------------------------------------------------------------


@pytest.mark.parametrize("n", [8, 64, 256])
def test_the_width_of_a_share_is_wilsons(n: int) -> None:
    z = 1.959964
    centre, spread = (0.5 + z**2 / (2 * n)), z * math.sqrt(0.25 / n + z**2 / (4 * n**2))
    low = (centre - spread) / (1 + z**2 / n)

    assert half_width(n) == pytest.approx(0.5 - low, rel=1e-5)


@pytest.mark.parametrize(("n", "discordant"), [(256, 0.2), (256, 0.4), (1024, 0.2)])
def test_a_difference_at_the_limit_is_shown_in_about_four_of_five_runs(
    n: int, discordant: float
) -> None:
    """By simulation: wins and losses on the prompts that differ, McNemar's test without ties."""
    least = share_difference(n, discordant)
    assert least is not None
    rng = np.random.default_rng(1)
    win, loss = (discordant + least) / 2, (discordant - least) / 2
    drawn = rng.multinomial(n, [win, loss, 1 - discordant], size=20_000)
    statistic = np.abs(drawn[:, 0] - drawn[:, 1]) / np.sqrt(drawn[:, 0] + drawn[:, 1])

    assert np.mean(statistic > 1.96) == pytest.approx(0.80, abs=0.03)


def test_too_few_prompts_to_show_any_difference_are_called_so(brief: Brief) -> None:
    few = replace(brief, share_differences=((0.2, share_difference(12, 0.2)),))

    assert (
        EN("brief.sizes.difference.none", discordant="20", value="")
        in render_markdown(few, EN, "s").decode()
    )


@pytest.mark.parametrize("preference", [0.55, 0.60, 0.70])
def test_as_many_votes_as_said_show_a_preference_in_four_of_five_runs(preference: float) -> None:
    n = votes_needed(preference)
    wins = np.random.default_rng(2).binomial(n, preference, size=50_000)
    statistic = np.abs(wins - n / 2) / math.sqrt(n / 4)

    assert np.mean(statistic > 1.96) == pytest.approx(0.80, abs=0.04)


# --- writing -------------------------------------------------------------------------------------


def test_the_command_writes_markdown_and_pdf(tmp_path: Path) -> None:
    for name in ("plan.md", "plan.pdf"):
        assert cli.main(["brief", str(SPEC), "--lang", "en", "--out", str(tmp_path / name)]) == 0

    document = pypdfium2.PdfDocument(tmp_path / "plan.pdf")
    try:
        first = document[0].get_textpage().get_text_range()
    finally:
        document.close()
    assert "plan of the proof of concept" in first
    assert "plan of the proof of concept" in (tmp_path / "plan.md").read_text("utf-8")


def test_equal_plans_give_equal_bytes(brief: Brief) -> None:
    assert render_pdf(brief, EN, "s") == render_pdf(brief, EN, "s")


def test_hostile_words_of_a_spec_stay_words(brief: Brief) -> None:
    evil = "#import <script>alert(1)</script> | \u202e"
    spec = brief.plan.spec.model_copy(update={"question": evil})
    bad = replace(brief, plan=brief.plan.model_copy(update={"spec": spec}))
    said = render_markdown(bad, EN, "s").decode()

    assert "<script" not in said
    assert "\u202e" not in said
    assert render_pdf(bad, EN, "s").startswith(b"%PDF")


def test_it_can_be_asked_for_by_machines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "plan.md"
    cli.main(["brief", str(SPEC), "--out", str(out), "--json"])

    assert json.loads(capsys.readouterr().out) == {"brief": str(out)}
