"""Laws of the first steps: a folder to start from that plans as it is, and prompts as a table."""

from __future__ import annotations

from pathlib import Path

import pytest

from poc import cli
from poc.datasets import read_csv
from poc.errors import InputError
from poc.run import check_plan, read_plan
from poc.starting import start


def test_a_new_folder_plans_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = tmp_path / "spring-campaign"
    assert cli.main(["init", str(home)]) == 0
    printed = capsys.readouterr().out
    assert f"poc plan {home / 'spec.yaml'}" in printed

    plan, models = read_plan(home / "spec.yaml")
    assert plan.spec.name == "spring-campaign"
    assert [prompt.language for prompt in plan.prompts] == ["en"] * 4
    found = check_plan(plan, models, tmp_path / "runs")
    assert {one.code for one in found if one.severity == "error"} <= {
        "model-unpinned",
        "model-not-fetched",
        "disk-short",
    }
    assert (home / "stills").is_dir()


def test_the_rights_record_can_be_judged_and_permits_nothing_yet(tmp_path: Path) -> None:
    home = tmp_path / "new"
    start(home)
    command = ["rights", str(home / "spec.yaml"), "--rights", str(home / "rights.yaml")]

    assert cli.main(command) == 3  # INSUFFICIENT_EVIDENCE


def test_prompts_that_were_changed_in_the_table_are_those_of_the_plan(tmp_path: Path) -> None:
    start(tmp_path / "new")
    table = tmp_path / "new" / "prompts.csv"
    text = table.read_text("utf-8")
    table.write_text(text.replace("a paper crane", "a blue paper crane"), "utf-8")

    assert read_plan(tmp_path / "new/spec.yaml")[0].prompts[0].text.startswith("a blue paper crane")


def test_a_folder_with_something_in_it_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("kept")
    with pytest.raises(InputError, match="expected a new or empty folder"):
        start(tmp_path)

    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_folder_whose_name_is_none_for_a_spec_keeps_the_first_one(tmp_path: Path) -> None:
    start(tmp_path / "春の企画")

    assert read_plan(tmp_path / "春の企画" / "spec.yaml")[0].spec.name == "my-poc"


# --- the table -----------------------------------------------------------------------------------

HEAD = "text,language,text_ja,light\r\n"


def table(folder: Path, raw: bytes) -> Path:
    path = folder / "prompts.csv"
    path.write_bytes(raw)
    return path


def test_a_table_as_spreadsheets_write_it_is_read(tmp_path: Path) -> None:
    raw = f'\ufeff{HEAD}"a cat, asleep",en,眠る猫,day\r\na dog,en,犬,\r\n'.encode()
    cat, dog = read_csv(table(tmp_path, raw))

    assert (cat.text, cat.language, cat.text_ja) == ("a cat, asleep", "en", "眠る猫")
    assert cat.attributes == {"light": "day"}
    assert dog.attributes == {}


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ((HEAD + "猫,ja,猫,\r\n").encode("cp932"), "expected a table in UTF-8"),
        (b"text,language\r\na,en\r\n", r"prompts\.csv:1: missing column text_ja"),
        ((HEAD + "a,en,b,c,d\r\n").encode(), r":2: expected as many cells as columns"),
        ((HEAD + "a,en\r\n").encode(), r":2: expected as many cells as columns"),
        ((HEAD + "a,en,b,\r\n,en,b,\r\n").encode(), r":3: 'text': "),
        ((HEAD + "a,e,b,\r\n").encode(), r":2: 'language': "),
        ((HEAD + "a b,en,c,\r\na  b,en,d,\r\n").encode(), r":3: duplicate prompt .* line 2"),
        ((HEAD + '"a,en,b,\r\n').encode(), "damaged table"),
        (b"", "missing column"),
    ],
)
def test_a_faulty_table_is_refused_with_its_line(tmp_path: Path, raw: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_csv(table(tmp_path, raw))


def test_a_table_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"prompts\.csv: expected a table"):
        read_csv(tmp_path / "prompts.csv")
