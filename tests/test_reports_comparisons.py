"""The page of comparisons: every number of the runs' contrasts, in both languages, and no other."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import reports_fixture as fixture

from poc import cli
from poc.errors import InputError
from poc.records import Standing
from reports.comparisons_page import make_page
from reports.export.comparisons import render, write_comparisons
from reports.load import RunView, load_run
from reports.text import LANGUAGES, load_text, metric_label

EN = load_text("en")


def _run(folder: Path, name: str) -> Path:
    made = fixture.plan(count=8)
    named = made.model_copy(update={"spec": made.spec.model_copy(update={"name": name})})
    return fixture.write_run(folder / name, named, drawn=8)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("runs")
    return [_run(folder, "first"), _run(folder, "second")]


@pytest.fixture(scope="module")
def written(runs: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_comparisons(runs, tmp_path_factory.mktemp("page"), note="Read this first.")


def _contrasts(run: Path) -> list[dict[str, Any]]:
    """The contrasts of estimates.json, read without our records."""
    return list(json.loads((run / "estimates.json").read_text("utf-8"))["contrasts"])


def _shown_with(view: RunView, standing: Standing) -> str:
    """The page's table in brief once the first result of the first contrast stands like that."""
    first, *others = view.estimates.contrasts
    results = (first.results[0].model_copy(update={"standing": standing}), *first.results[1:])
    contrasts = (first.model_copy(update={"results": results}), *others)
    changed = view.estimates.model_copy(update={"contrasts": contrasts})
    page = render(make_page([replace(view, estimates=changed)], EN, ()))
    (row,) = (line for line in page.splitlines() if line.startswith(f"| [{first.question}]"))
    return row


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_question_of_every_run_is_on_the_page(
    runs: list[Path], written: Path, language: str
) -> None:
    page = (written / f"comparisons.{language}.md").read_text("utf-8")
    key = "question_ja" if language == "ja" else "question"
    for run in runs:
        assert f'<a id="{run.name}"></a>' in page
        for one in _contrasts(run):
            assert one[key] in page


def test_a_difference_stands_with_its_interval_and_pairs_as_in_the_estimates(
    runs: list[Path], written: Path
) -> None:
    (one,) = (
        result["estimate"]
        for result in _contrasts(runs[0])[0]["results"]
        if result["estimate"]["metric"] == "oracle_all"
    )
    value, low, high = (f"{100 * one[end]:+.1f} points" for end in ("value", "low", "high"))
    pairs = f"n = {one['n_clips']} of {one['n_clips'] + one['n_missing']} pairs"
    page = (written / "comparisons.en.md").read_text("utf-8")

    assert f"| {value} ({low} to {high}) | {pairs} |".replace("-", "−") in page


def test_what_is_better_worse_or_neither_stands_in_its_own_column(runs: list[Path]) -> None:
    view = load_run(runs[0])
    first = view.estimates.contrasts[0].results[0].estimate.metric
    label = metric_label(EN, first)
    for standing, column in (
        (Standing.BETTER, 2),
        (Standing.WORSE, 3),
        (Standing.DIFFERENT, 4),
        (Standing.OPEN, 4),
    ):
        cells = _shown_with(view, standing).split("|")
        assert label in cells[column]
        assert not any(label in cells[other] for other in {2, 3, 4} - {column})


def test_a_difference_without_a_better_side_is_said_to_be_one(runs: list[Path]) -> None:
    view = load_run(runs[0])

    assert EN("standing.different") in _shown_with(view, Standing.DIFFERENT)
    assert EN("standing.different") not in _shown_with(view, Standing.OPEN)


def test_pictures_are_shared_and_the_estimates_lie_beside_the_pages(
    runs: list[Path], written: Path
) -> None:
    pages = [(written / f"comparisons.{one}.md").read_text("utf-8") for one in LANGUAGES]
    pictures = sorted(path.name for path in written.glob("*.png"))

    assert any(name.startswith("first-") for name in pictures)
    assert all(f"]({name})" in page for name in pictures for page in pages)
    for run in runs:
        copied = json.loads((written / f"{run.name}.estimates.json").read_text("utf-8"))
        assert copied == json.loads((run / "estimates.json").read_text("utf-8"))


def test_the_note_and_the_tiny_world_are_said_at_the_top(written: Path) -> None:
    page = (written / "comparisons.en.md").read_text("utf-8")
    top = page[: page.index(f"## {EN('comparisons.brief')}")]

    assert "> Read this first." in top
    assert EN("banner.demonstration") in top


def test_a_warning_of_a_run_stands_in_its_section(runs: list[Path]) -> None:
    views = [load_run(runs[0]), replace(load_run(runs[1]), closed_reason="the power went")]
    page = render(make_page(views, EN, ()))
    start = page.index('<a id="second">')

    assert "the power went" in page[start:]
    assert "the power went" not in page[:start]


def test_the_same_runs_give_the_same_bytes(runs: list[Path], written: Path, tmp_path: Path) -> None:
    again = write_comparisons(runs, tmp_path / "again", note="Read this first.")

    assert {p.name: p.read_bytes() for p in again.iterdir()} == {
        p.name: p.read_bytes() for p in written.iterdir()
    }


def test_two_runs_of_one_name_are_refused_and_nothing_is_written(
    runs: list[Path], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="different names"):
        write_comparisons([runs[0], runs[0]], tmp_path / "page")

    assert not (tmp_path / "page").exists()


def test_a_run_that_compares_nothing_is_refused(tmp_path: Path) -> None:
    run = _run(tmp_path, "plain")
    path = run / "estimates.json"
    found = json.loads(path.read_text("utf-8")) | {"contrasts": []}
    path.write_text(json.dumps(found), "utf-8")

    with pytest.raises(InputError, match="compares nothing"):
        write_comparisons([run], tmp_path / "page")


def test_the_command_takes_several_runs_for_comparisons_alone(
    runs: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    both = [str(run) for run in runs]
    out = tmp_path / "page"

    assert cli.main(["report", *both, "--format", "comparisons", "--out", str(out)]) == 0
    assert (out / "comparisons.ja.md").is_file()
    assert cli.main(["report", *both, "--format", "md"]) == 2
    assert "one run folder for the format md" in capsys.readouterr().err
