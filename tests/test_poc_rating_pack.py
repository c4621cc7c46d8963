"""`poc rate`: pages that tell nothing, answers that are taken in once, and what is refused."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
from base64 import b64decode, b64encode
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rated_runs as rated
import small_run

from poc import cli
from poc.errors import InputError
from poc.panel import Panel, ShownClip, Trial, TrialKind
from poc.rating_folder import answers_path, imported, votes_path
from poc.rating_import import MOST_BYTES
from poc.rating_pack import damaged
from poc.rating_page import render
from poc.rating_votes import stored_votes, sum_up, votes_amiss
from poc.records import Prompt
from poc.run_folder import derived
from poc.store import RunStore
from poc.vote_records import Outcome


def rate(action: str, *arguments: object) -> int:
    return cli.main(["rate", action, *map(str, arguments)])


def pack(run: Path, *options: object, raters: int = 5) -> int:
    return rate("pack", run, "--raters", raters, "--candidate", "lcm-2", *options)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return rated.folder(tmp_path_factory.mktemp("finished") / "run")


@pytest.fixture(scope="module")
def paneled(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("paneled") / "secretly-named-run"
    shutil.copytree(finished, run)
    assert pack(run) == 0
    return run


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    return shutil.copytree(finished, tmp_path / "secretly-named-run")


def panels(run: Path) -> list[Panel]:
    return [Panel.from_json(path.read_bytes()) for path in run.glob("rating/*/key.json")]


@pytest.fixture
def panel(run: Path, paneled: Path) -> Panel:
    shutil.copytree(paneled / "rating", run / "rating")
    (made,) = panels(run)
    return made


def refused(capsys: pytest.CaptureFixture[str]) -> str:
    error = capsys.readouterr().err
    assert error.startswith("poc: error: ")
    assert "Traceback" not in error
    return error


# --- pages ---------------------------------------------------------------------------------------


def page_data(page: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    data: dict[str, Any] = json.loads(found[1])
    return data


def media(trial: dict[str, Any]) -> list[bytes]:
    sides = [trial["sides"][side].split(",", 1) for side in ("left", "right")]
    assert {head for head, _ in sides} == {"data:video/webm;base64"}
    return [b64decode(body) for _, body in sides]


def test_a_page_tells_no_arm_no_clip_and_no_name(run: Path, panel: Panel) -> None:
    plan = small_run.plan(prompts=20)
    secrets = {arm.id for arm in plan.arms} | {arm.name for arm in plan.arms}
    secrets |= {clip.id for batch in plan.batches for clip in batch.clips}
    secrets |= {run.name}
    kinds = {"comparison", "repeat", "catch", "candidate", "baseline", "damaged", "steps"}
    pages = sorted(run.glob("rating/*/packs/*.html"))
    assert len(pages) == len(panel.packs)

    for path in pages:
        text = path.read_text("utf-8")
        own = re.sub(r"data:video/webm;base64,[A-Za-z0-9+/=]*", "", text)
        films = b"".join(film for t in page_data(text)["trials"] for film in media(t))
        assert {word for word in secrets if word in own or word.encode() in films} == set()
        assert not [prompt.id for prompt in plan.prompts if f'"{prompt.id}"' in own]
        trials = json.dumps(page_data(own)["trials"])
        assert {word for word in kinds if word in trials} == set()


def test_the_containers_of_all_sides_say_the_same(run: Path, panel: Panel) -> None:
    import av

    assert panel.packs
    said = set()
    for path in run.glob("rating/*/packs/*.html"):
        for trial in page_data(path.read_text("utf-8"))["trials"]:
            for film in media(trial):
                with av.open(io.BytesIO(film)) as container:
                    stream = container.streams.video[0]
                    tags = (*container.metadata.items(), *stream.metadata.items())
                    said.add((tuple(sorted(tags)), stream.average_rate, stream.width))
    assert len(said) == 1


def test_only_the_digested_script_and_style_and_data_media_are_allowed(
    run: Path, panel: Panel
) -> None:
    path = next(run.glob(f"rating/{panel.panel_id}/packs/*.html"))
    text = path.read_text("utf-8")
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', text)
    (style,), scripts = (
        re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL) for tag in ("style", "script")
    )
    hashes = [b64encode(sha256(one.encode()).digest()).decode() for one in (*scripts, style)]

    assert policy.replace("&#x27;", "'") == (
        f"default-src 'none'; script-src 'sha256-{hashes[0]}'; style-src 'sha256-{hashes[1]}'; "
        "media-src data:; base-uri 'none'; form-action 'none'"
    )
    assert not re.search(r"https?://|\bon\w+=\"|style=\"|<link|<img|userAgent", text)


def page_of(prompt: str, prompt_ja: str = "", *, demonstration: bool = True) -> str:
    panel = rated.panel(raters=1, per_rater=1)
    sides = {s: b"film" for t in panel.packs[0].trials for s in (t.left, t.right)}
    prompts = {
        f"p{n}": Prompt(id=f"p{n}", text=prompt, language="en", text_ja=prompt_ja, attributes={})
        for n in range(20)
    }
    return render(
        panel.packs[0],
        sides,
        prompts,
        panel_id=panel.panel_id,
        language="ja",
        clip_s=2.0,
        demonstration=demonstration,
    )


def test_a_hostile_prompt_stays_text() -> None:
    hostile = "</script><script>alert(1)</script><!-- \u202e evil \u0007"
    text = page_of(hostile, "日本語<b>")
    trial = page_data(text)["trials"][0]

    assert text.count("<script") == 2
    assert "<!--" not in text
    assert trial["prompt"] == "</script><script>alert(1)</script><!-- \ufffd evil \ufffd"
    assert trial["prompt_ja"] == "日本語<b>"
    assert "innerHTML" not in text


def test_a_page_says_that_it_is_blind_how_long_it_takes_and_what_is_stored() -> None:
    data = page_data(page_of("a circle"))

    assert set(data["texts"]["ja"]) == set(data["texts"]["en"])
    assert "ブラインド" in data["texts"]["ja"]["title"]
    assert "blind" in data["texts"]["en"]["title"]
    assert data["minutes"] == 2  # three trials of 2 s and 22 s
    assert data["demonstration"] is True
    assert page_data(page_of("a circle", demonstration=False))["demonstration"] is False


def test_the_damaged_copy_neither_moves_nor_keeps_its_shapes() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (4, 30, 40, 3), np.uint8)
    copy = damaged(frames)

    assert copy.shape == frames.shape
    assert (copy == copy[0]).all()
    for row in range(0, 30, 5):
        for column in range(0, 40, 5):
            square = copy[0, row : row + 5, column : column + 5]
            assert (square == square[0, 0]).all()
            mean = frames[0, row : row + 5, column : column + 5].mean(axis=(0, 1))
            assert np.abs(square[0, 0] - mean).max() <= 0.5


def test_a_catch_pair_shows_two_different_films_and_a_repeat_the_same_two_swapped(
    run: Path, panel: Panel
) -> None:
    first = panel.packs[0]
    text = next(run.glob(f"rating/*/packs/*{first.pseudonym}.html")).read_text("utf-8")
    films = {trial["id"]: media(trial) for trial in page_data(text)["trials"]}

    assert list(films) == [trial.trial_id for trial in first.trials]
    for trial in first.trials:
        left, right = films[trial.trial_id]
        assert left != right
        if trial.repeats is not None:
            assert films[trial.repeats] == [right, left]


# --- packing -------------------------------------------------------------------------------------


def test_a_second_pack_is_another_panel_and_leaves_the_first(run: Path, panel: Panel) -> None:
    key = run / "rating" / panel.panel_id / "key.json"
    before = key.read_bytes()

    assert pack(run) == 0

    assert key.read_bytes() == before
    assert len({one.panel_id for one in panels(run)}) == 2
    packs = [one.pack_id for made in panels(run) for one in made.packs]
    assert len(set(packs)) == 10


def test_clips_that_failed_are_left_out_and_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = rated.folder(tmp_path / "run", bad=2)

    assert pack(run, "--json") == 0

    answer = json.loads(capsys.readouterr().out)
    assert [(one["pairs"], one["of"]) for one in answer["left_out"]] == [(2, 20)]
    assert len(answer["packs"]) == 5


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--candidate", "lcm-3"], "has no arm 'lcm-3'"),
        (["--candidate", "lcm-1"], "the baseline itself"),
        (["--candidate", "lcm-2", "--per-rater", "21"], "--per-rater: expected at most 20"),
        ([], "no arm is recommended"),
    ],
)
def test_a_pack_that_cannot_be_made_leaves_no_key(
    run: Path, options: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert rate("pack", run, "--raters", 2, *options) == 2
    assert words in refused(capsys)
    assert panels(run) == []


def test_a_damaged_decision_says_how_to_make_it_anew(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    derived(run, "decision.json").write_text('{"decision": ', "utf-8")

    assert rate("pack", run, "--raters", 2) == 2
    error = refused(capsys)
    assert f"`poc decide {run}` writes it anew" in error
    assert "--candidate" in error
    assert panels(run) == []


@pytest.mark.parametrize(("option", "value"), [("--raters", "0"), ("--per-rater", "501")])
def test_a_number_out_of_range_is_refused_by_its_option(
    run: Path, option: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        rate("pack", run, "--raters", "2", option, value)
    assert ended.value.code == 2
    assert option in capsys.readouterr().err


def test_pages_replace_no_file_of_another_panel(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert pack(run, "--out", out) == 0
    (made,) = panels(run)
    page = out / f"rating-{made.packs[0].pseudonym}.html"
    (run / "rating" / made.panel_id / "key.json").unlink()  # the same panel is made again

    assert pack(run, "--out", out) == 2
    assert page.name in refused(capsys)


# --- importing -----------------------------------------------------------------------------------


def win(_trial: Trial) -> Outcome:
    return Outcome.WIN


def answer_file(folder: Path, panel: Panel, number: int = 0, **settings: Any) -> Path:
    content = rated.raw(panel, panel.packs[number], settings.pop("opinion", win), **settings)
    path = folder / f"answers-{number}.json"
    path.write_text(json.dumps(content), "utf-8")
    return path


def stored(run: Path) -> set[str]:
    return {path.stem for path in run.glob("rating/answers/*")}


def test_answers_are_stored_once_by_their_pack(
    run: Path, panel: Panel, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = answer_file(tmp_path, panel)

    assert rate("import", run, path) == 0
    kept = next(run.glob("rating/answers/*.json"))
    assert kept.stem == panel.packs[0].pack_id
    held = json.loads(kept.read_text("utf-8"))
    assert abs(date.fromisoformat(held.pop("taken_in")) - datetime.now(UTC).date()) <= timedelta(1)
    assert held == json.loads(path.read_text("utf-8"))

    capsys.readouterr()
    before = kept.read_bytes()
    answer_file(tmp_path, panel, opinion=lambda _trial: Outcome.LOSS)
    assert rate("import", run, path) == 2
    assert "is imported already" in refused(capsys)
    assert kept.read_bytes() == before


def test_with_one_bad_file_none_is_stored(
    run: Path, panel: Panel, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad = answer_file(tmp_path, panel), tmp_path / "bad.json"
    bad.write_text("{}", "utf-8")

    assert rate("import", run, good, bad) == 2
    assert "Nothing was stored" in refused(capsys)
    assert stored(run) == set()
    assert rate("import", run, good) == 0
    assert stored(run) == {panel.packs[0].pack_id}


def _other_pack(content: dict[str, Any]) -> None:
    content["pack_id"] = "0" * 16


def _other_panel(content: dict[str, Any]) -> None:
    content["panel_id"] = "0" * 16


def _trial_removed(content: dict[str, Any]) -> None:
    content["trials"].pop()


def _trial_added(content: dict[str, Any]) -> None:
    content["trials"].append(content["trials"][0] | {"trial_id": "f" * 16})


def _trial_twice(content: dict[str, Any]) -> None:
    content["trials"].append(content["trials"][0])


def _wrong_answer(content: dict[str, Any]) -> None:
    content["trials"][0]["answers"]["overall"] = "both"


def _question_missing(content: dict[str, Any]) -> None:
    del content["trials"][0]["answers"]["motion"]


def _control_character(content: dict[str, Any]) -> None:
    content["rater"] = "a\x1b[31m"


def _unknown_key(content: dict[str, Any]) -> None:
    content["user_agent"] = "a browser"


def _endless_time(content: dict[str, Any]) -> None:
    content["trials"][0]["duration_s"] = float("inf")


def _never_played(content: dict[str, Any]) -> None:
    content["trials"][0]["plays"] = 0


def _no_time(content: dict[str, Any]) -> None:
    content["trials"][0]["duration_s"] = None


def _path_as_pack(content: dict[str, Any]) -> None:
    content["pack_id"] = "../../manifest"


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (_other_pack, "which it has not"),
        (_other_panel, "it was edited"),
        (_trial_removed, "is missing"),
        (_trial_added, "is not in the pack"),
        (_trial_twice, "stands there twice"),
        (_wrong_answer, "trials.0.answers.overall"),
        (_question_missing, "trials.0.answers.motion"),
        (_control_character, "rater"),
        (_unknown_key, "user_agent"),
        (_endless_time, "trials.0.duration_s"),
        (_never_played, "trials.0: Value error, answered without having been played"),
        (_no_time, "trials.0: Value error, answered without having been played"),
        (_path_as_pack, "pack_id"),
    ],
)
def test_an_edited_file_is_refused(
    run: Path,
    panel: Panel,
    tmp_path: Path,
    *,
    edit: Callable[[dict[str, Any]], None],
    words: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = answer_file(tmp_path, panel)
    content = json.loads(path.read_text("utf-8"))
    edit(content)
    path.write_text(json.dumps(content), "utf-8")

    assert rate("import", run, path) == 2
    error = refused(capsys)
    assert words in error
    assert "\x1b" not in error
    assert stored(run) == set()


def test_a_huge_file_a_folder_a_pipe_and_a_missing_file_are_refused(
    run: Path, panel: Panel, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    huge, pipe = tmp_path / "huge.json", tmp_path / "pipe"
    huge.write_bytes(b" " * (MOST_BYTES + 1))
    os.mkfifo(pipe)

    for path, words in (
        (huge, f"at most {MOST_BYTES} bytes"),
        (tmp_path, str(tmp_path)),
        (pipe, "something else"),
        (tmp_path / "none.json", "is missing"),
    ):
        assert rate("import", run, path) == 2
        assert words in refused(capsys)
    assert stored(run) == set()
    assert panel.packs


def test_one_pack_given_twice_is_refused(
    run: Path, panel: Panel, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = answer_file(tmp_path, panel)
    assert rate("import", run, path, path) == 2
    assert "given twice" in refused(capsys)
    assert stored(run) == set()


def test_a_run_without_a_panel_takes_and_shows_nothing(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert rate("show", run) == 2
    assert "poc rate pack" in refused(capsys)
    assert rate("import", run, tmp_path / "any.json") == 2
    assert "poc rate pack" in refused(capsys)


def test_a_link_in_the_folder_of_ratings_is_refused_and_not_followed(
    run: Path, panel: Panel, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (run / "rating" / "answers").symlink_to(outside)

    assert rate("import", run, answer_file(tmp_path, panel)) == 2
    assert "link" in refused(capsys)
    assert list(outside.iterdir()) == []


# --- showing -------------------------------------------------------------------------------------


def all_answers(folder: Path, panel: Panel, opinion: rated.Opinion = win) -> list[Path]:
    numbers = range(len(panel.packs))
    return [answer_file(folder, panel, number, opinion=opinion) for number in numbers]


def test_the_sentence_is_the_last_line(
    run: Path, panel: Panel, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert rate("import", run, *all_answers(tmp_path, panel)) == 0
    capsys.readouterr()

    assert rate("show", run) == 0

    lines = capsys.readouterr().out.splitlines()
    # Five raters who all agree, worth 30.3 independent votes: Wilson's interval, from 88.7 %.
    assert lines[-1] == (
        "lcm-2: of 100 blind comparisons, preferred or no difference in 100 (88 to 100)"
    )
    assert lines[0].startswith("demonstration")
    assert "packs: 5 of 5 answered, 0 of them incomplete" in lines


def test_an_incomplete_pack_is_taken_as_it_is_and_counted(
    run: Path, panel: Panel, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    left = [trial.trial_id for trial in panel.packs[0].trials if trial.kind is TrialKind.CATCH]
    assert rate("import", run, answer_file(tmp_path, panel, leave_out=left)) == 0
    capsys.readouterr()

    assert rate("show", run) == 0

    text = capsys.readouterr().out
    assert "packs: 1 of 5 answered, 1 of them incomplete" in text
    assert "1 without an answered catch pair" in text
    assert "INSUFFICIENT: needs 5 more raters" in text.splitlines()[-1]


def test_json_has_the_analysis_and_missing_is_null(
    run: Path, panel: Panel, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert rate("show", run, "--json") == 0

    answer = json.loads(capsys.readouterr().out)
    overall = answer["votes"]["candidates"][0]["kept"]["questions"][3]
    assert (overall["question"], overall["not_worse"]["value"]) == ("overall", None)
    assert answer["demonstration"] is True
    assert answer["votes"]["packs"] == len(panel.packs)


def test_showing_writes_nothing(run: Path, panel: Panel, tmp_path: Path) -> None:
    assert rate("import", run, *all_answers(tmp_path, panel)) == 0
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}

    assert rate("show", run) == 0

    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


def test_the_sum_is_kept_for_pages_and_follows_from_the_answers(
    run: Path, panel: Panel, tmp_path: Path
) -> None:
    first, *others = all_answers(tmp_path, panel)
    plan = RunStore.open_reader(run).plan
    assert stored_votes(run, plan) is None

    assert rate("import", run, first) == 0
    one = stored_votes(run, plan)
    assert rate("import", run, *others) == 0
    every = stored_votes(run, plan)

    assert one is not None
    assert every is not None
    assert (len(one.answers), len(every.answers)) == (1, 5)
    assert [len(found.summary.raters) for found in (one, every)] == [1, 5]
    assert every == sum_up(run, plan)
    assert list(votes_amiss(run, plan)) == []


def test_showing_sums_up_what_was_imported_before_sums_were_kept(
    run: Path, panel: Panel, tmp_path: Path
) -> None:
    plan = RunStore.open_reader(run).plan
    assert rate("show", run) == 0
    assert not votes_path(run).exists()
    assert rate("import", run, *all_answers(tmp_path, panel)) == 0
    kept = votes_path(run).read_bytes()
    votes_path(run).unlink()

    assert list(votes_amiss(run, plan)) == []
    with pytest.raises(InputError, match="poc rate show"):
        stored_votes(run, plan)
    assert rate("show", run) == 0
    assert votes_path(run).read_bytes() == kept


def test_an_edited_sum_is_amiss_and_shown_anew(run: Path, panel: Panel, tmp_path: Path) -> None:
    plan = RunStore.open_reader(run).plan
    assert rate("import", run, *all_answers(tmp_path, panel)) == 0
    kept = votes_path(run).read_text("utf-8")
    edited = kept.replace('"n_raters":5', '"n_raters":50')
    assert edited != kept
    votes_path(run).write_text(edited, "utf-8")

    assert ["is not what follows" in one for one in votes_amiss(run, plan)] == [True]
    assert rate("show", run) == 0
    assert votes_path(run).read_text("utf-8") == kept


@pytest.mark.parametrize("forged", ["answers", "baseline_id"])
def test_a_sum_without_answers_or_of_no_arm_is_refused(
    run: Path, panel: Panel, tmp_path: Path, forged: str
) -> None:
    plan = RunStore.open_reader(run).plan
    assert rate("import", run, *all_answers(tmp_path, panel)) == 0
    found = json.loads(votes_path(run).read_text("utf-8"))
    assert stored_votes(run, plan) is not None
    found[forged] = {} if forged == "answers" else "0" * 16
    votes_path(run).write_text(json.dumps(found), "utf-8")
    if forged == "answers":
        for one in imported(run):
            answers_path(run, one).unlink()

    with pytest.raises(InputError, match="other answers"):
        stored_votes(run, plan)


def test_another_panel_keeps_the_sum_true(run: Path, panel: Panel, tmp_path: Path) -> None:
    plan = RunStore.open_reader(run).plan
    assert rate("import", run, *all_answers(tmp_path, panel)) == 0
    assert pack(run, raters=2) == 0

    found = stored_votes(run, plan)
    assert found is not None
    assert (found.summary.packs, found.summary.packs_answered) == (7, 5)
    assert list(votes_amiss(run, plan)) == []


def test_a_key_of_another_run_is_refused(
    run: Path, panel: Panel, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = rated.folder(tmp_path / "other", prompts=22)
    place = other / "rating" / panel.panel_id
    place.mkdir(parents=True)
    place.joinpath("key.json").write_text(panel.to_json(), "utf-8")

    assert rate("show", other) == 2
    assert "expected the key of panel" in refused(capsys)
    assert rate("show", run) == 0


def test_sides_of_a_trial_are_two_keys_even_of_one_clip() -> None:
    whole = ShownClip(arm_id="a", clip_id="0" * 16, damaged=False)
    assert len({whole, whole.model_copy(update={"damaged": True})}) == 2
