"""Clips made elsewhere: every take is listed, what is stated is marked as stated."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from poc import cli, journal
from poc.clip_folder import parse_protocol
from poc.clip_records import FolderMeasurement, Role, Status
from poc.delivery import COLUMNS, missing_takes, parse_delivery
from poc.errors import InputError
from poc.measure_folder import FolderJob, FolderResult, measure_folder
from poc.tiny import world
from poc.video import encode_webm

HEAD = ",".join(COLUMNS)
RED, BLUE = "a red circle moving left", "a blue square moving up"


def _line(**changes: str) -> str:
    fields = {
        "file": "a.webm",
        "prompt": RED,
        "attempt": "1",
        "price": "2.50",
        "currency": "USD",
        "requested": "2026-11-01T09:00:00+09:00",
        "received": "2026-11-01T09:02:00+09:00",
        "picked": "no",
    } | changes
    return ",".join(fields[name] for name in COLUMNS)


def _csv(*lines: str) -> str:
    return "\n".join([HEAD, *lines]) + "\n"


# --- the file -----------------------------------------------------------------------------------


def test_a_take_is_read_as_it_is_written() -> None:
    (take,) = parse_delivery(_csv(_line(received="2026-11-01T00:02:00Z")), "d.csv", ["a.webm"])

    assert (take.prompt, take.attempt, take.price, take.currency) == (RED, 1, 2.5, "USD")
    assert take.latency_s == 120.0  # 9 o'clock in Tokyo is midnight in Greenwich


def test_what_is_not_stated_is_none_and_not_zero() -> None:
    line = _line(price="", currency="", requested="", received="")
    (take,) = parse_delivery(_csv(line), "d.csv", ["a.webm"])

    assert (take.price, take.currency, take.latency_s) == (None, None, None)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"prompt": " "}, "'prompt' is empty"),
        ({"attempt": "0"}, "'attempt': expected a whole number of 1 to 1000, got '0'"),
        ({"attempt": "1001"}, "'attempt': expected a whole number of 1 to 1000, got '1001'"),
        ({"attempt": ""}, "'attempt': expected a whole number"),
        ({"attempt": "one"}, "'attempt': expected a whole number"),
        ({"price": "-1"}, "'price': expected a number of 0 or more"),
        ({"price": "nan"}, "'price': expected a number of 0 or more"),
        ({"price": "cheap"}, "'price': expected a number of 0 or more"),
        ({"currency": ""}, "'price' and 'currency' go together"),
        ({"currency": "JPY\x1b[2K"}, "'currency': expected three letters"),
        ({"price": ""}, "'price' and 'currency' go together"),
        ({"requested": "yesterday"}, "'requested': expected a time with its zone"),
        ({"requested": "2026-11-01T09:00:00"}, "'requested': expected a time with its zone"),
        ({"received": "2026-11-01T08:59:00+09:00"}, "'received' lies before 'requested'"),
        ({"picked": "maybe"}, "'picked': expected yes or no, got 'maybe'"),
    ],
)
def test_a_wrong_value_is_told_with_its_line(changes: dict[str, str], text: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_delivery(_csv(_line(file="b.webm", attempt="2"), _line(**changes)), "d.csv", [])

    assert str(caught.value).startswith(f"d.csv:3: {text}")


def test_all_faults_are_told_at_once() -> None:
    text = _csv(_line(picked=""), _line(attempt="x"), _line(attempt="2"))

    with pytest.raises(InputError) as caught:
        parse_delivery(text, "d.csv", [])
    assert [line.split(":")[1] for line in str(caught.value).splitlines()] == ["2", "3"]


def test_a_take_or_a_file_twice_is_refused() -> None:
    with pytest.raises(InputError, match="attempt 1 of this prompt is listed twice"):
        parse_delivery(_csv(_line(), _line(file="b.webm")), "d.csv", [])
    with pytest.raises(InputError, match=r"'a\.webm' is listed twice"):
        parse_delivery(_csv(_line(), _line(attempt="2")), "d.csv", [])


def test_a_clip_that_is_no_take_is_refused() -> None:
    with pytest.raises(InputError, match=r"extra\.webm: in the folder and no take"):
        parse_delivery(_csv(_line()), "d.csv", ["a.webm", "extra.webm"])


def test_other_columns_are_refused_with_the_nearest_name() -> None:
    with pytest.raises(InputError, match=r"lacks price\. Did you mean 'price'"):
        parse_delivery(HEAD.replace("price", "prise") + "\n", "d.csv", [])
    with pytest.raises(InputError, match="has notes besides"):
        parse_delivery(HEAD + ",notes\n", "d.csv", [])
    with pytest.raises(InputError, match="expected 8 fields, got 9"):
        parse_delivery(_csv(_line(prompt="a, b")), "d.csv", [])


# --- what is missing ----------------------------------------------------------------------------


def test_a_take_without_a_clip_and_one_that_is_left_out_count_as_failed() -> None:
    takes = parse_delivery(
        _csv(
            _line(),
            _line(file="", attempt="2"),
            _line(file="gone.webm", attempt="4"),
            _line(file="b.webm", prompt=BLUE),
        ),
        "d.csv",
        ["a.webm", "b.webm"],
    )

    lost = list(missing_takes(takes, ["a.webm", "b.webm"]))

    assert {clip.name: clip.reason for clip in lost} == {
        f"take 2 of {RED}": "nothing was delivered",
        f"take 4 of {RED}": "'gone.webm' is not in the folder",
        f"take 3 of {RED}": "a take that the delivery does not list",
    }
    assert {clip.status for clip in lost} == {Status.FAILED}


def test_where_all_is_there_nothing_is_missing() -> None:
    takes = parse_delivery(_csv(_line()), "d.csv", ["a.webm"])

    assert list(missing_takes(takes, ["a.webm"])) == []


# --- measuring ----------------------------------------------------------------------------------

TEXTS = world.unseen_prompts(6)


def _write(folder: Path, name: str, prompt: str, *, seed: int, dim: float = 1.0) -> None:
    folder.mkdir(exist_ok=True)
    clip = world.render_clip(world.parse(prompt), np.random.default_rng(seed))
    (folder / name).write_bytes(encode_webm((clip * dim).astype(np.uint8), 8))


def _delivered(tmp_path: Path, **changes: str) -> tuple[Path, Path]:
    """Six prompts with two takes each; the second take of the last prompt is missing."""
    lines = []
    for number, prompt in enumerate(TEXTS):
        for attempt in (1, 2):
            name = f"{number}-{attempt}.webm"
            if (number, attempt) != (5, 2):
                _write(tmp_path / "theirs", name, prompt, seed=10 * number + attempt, dim=0.8)
            fields = {"file": name, "prompt": f'"{prompt}"', "attempt": str(attempt)} | changes
            lines.append(_line(**fields))
    path = tmp_path / "delivery.csv"
    path.write_text(_csv(*lines), "utf-8")
    return tmp_path / "theirs", path


def _measured(folder: Path, **options: Any) -> FolderResult:
    return measure_folder(FolderJob(folder=folder, **options), progress=lambda *_: None)


def test_a_missing_take_is_counted_and_named(tmp_path: Path) -> None:
    folder, delivery = _delivered(tmp_path)

    result = _measured(folder, delivery=delivery)

    counts = result.summary.counts
    assert (counts.planned, counts.ok, counts.failed) == (12, 11, 1)
    assert [one.file for one in result.summary.not_ok] == [f"take 2 of {TEXTS[5]}"]
    assert not result.all_ok
    assert {clip.prompt for clip in result.clips} == set(TEXTS)
    contrast = next(one for one in result.summary.metrics if one.metric == "contrast")
    assert (contrast.n_clips, contrast.n_clusters, contrast.n_missing) == (11, 6, 1)


def test_price_and_time_are_what_is_stated_and_said_to_be(tmp_path: Path) -> None:
    folder, delivery = _delivered(tmp_path)

    found = _measured(folder, delivery=delivery).summary.delivery

    assert found is not None
    assert found.basis == "stated, not measured"
    assert (found.takes, found.ok, found.currency, found.price_total) == (12, 11, "USD", 30.0)
    assert found.price_per_ok == pytest.approx(30 / 11)  # the missing take was charged too
    assert (found.latency_n, found.latency_median_s, found.latency_max_s) == (12, 120.0, 120.0)


def test_takes_that_are_not_listed_leave_the_price_open(tmp_path: Path) -> None:
    folder, delivery = _delivered(tmp_path)
    lines = delivery.read_text("utf-8").splitlines()
    first = next(n for n, line in enumerate(lines) if f"{TEXTS[5]}" in line and ",1," in line)
    delivery.write_text("\n".join([*lines[:first], *lines[first + 1 :]]) + "\n", "utf-8")
    named = lines[first].split(",")[0].strip('"')
    (folder / named).unlink()

    found = _measured(folder, delivery=delivery).summary.delivery

    assert found is not None
    assert found.price_total is None
    assert found.price_per_ok is None
    assert found.price_reason == "1 takes are not listed, so that their price is not known"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [({"price": "", "currency": ""}, "12 of 12 takes have no price"), ({}, "")],
)
def test_without_all_prices_there_is_no_total(
    tmp_path: Path, changes: dict[str, str], reason: str
) -> None:
    folder, delivery = _delivered(tmp_path, **changes)

    found = _measured(folder, delivery=delivery).summary.delivery

    assert found is not None
    assert found.price_reason == reason
    assert (found.price_total is None) == bool(reason)


def test_hand_picked_takes_are_marked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, delivery = _delivered(tmp_path, picked="yes")

    assert cli.main(["measure", str(folder), "--delivery", str(delivery)]) == 3

    printed = capsys.readouterr().out
    assert "12 of 12 takes are HAND-PICKED" in printed
    assert "delivery (stated, not measured): price 30 USD in all" in printed
    assert "planned 12 = ok 11 + failed 1 + invalid 0" in printed


def _ours(tmp_path: Path) -> Path:
    for number, prompt in enumerate(TEXTS[:5]):
        name = f"{prompt.replace(' ', '_')}.webm"
        _write(tmp_path / "ours", name, prompt, seed=100 + number)
    return tmp_path / "ours"


PROTOCOL = "seconds:1,fps:8,short_side:48"


def test_another_arm_is_compared_by_prompt_under_one_protocol(tmp_path: Path) -> None:
    folder, delivery = _delivered(tmp_path)
    before = {path: path.read_bytes() for path in folder.iterdir()}
    protocol = parse_protocol(PROTOCOL)

    result = _measured(folder, delivery=delivery, beside=_ours(tmp_path), protocol=protocol)

    found = result.summary.beside
    assert found is not None
    assert (found.counts.ok, found.prompts) == (5, 5)
    assert {(c.shape.num_frames, c.shape.height) for c in result.clips if c.shape} == {(8, 48)}
    assert {path: path.read_bytes() for path in folder.iterdir()} == before
    contrast = next(one for one in found.metrics if one.metric == "contrast")
    assert contrast.n_clusters == 5
    # By hand, from each side measured alone: mean by prompt, then their differences.
    alone = _measured(_ours(tmp_path), prompts="names", protocol=protocol)
    ours = {clip.prompt: clip.value("contrast") or 0.0 for clip in alone.clips}
    theirs = {
        p: [c.value("contrast") or 0.0 for c in result.clips if c.prompt == p and c.rows]
        for p in TEXTS[:5]
    }
    gaps = [float(np.mean(theirs[p])) - ours[p] for p in TEXTS[:5]]
    assert contrast.value == pytest.approx(np.mean(gaps))
    assert contrast.high is not None
    assert contrast.high < 0  # theirs are dimmed to four fifths


def test_a_comparison_needs_a_protocol_and_prompts(tmp_path: Path) -> None:
    folder, delivery = _delivered(tmp_path)

    with pytest.raises(InputError, match=r"compared in one form only\. Give --protocol"):
        _measured(folder, delivery=delivery, beside=_ours(tmp_path))
    with pytest.raises(InputError, match="compared by prompt"):
        _measured(folder, beside=_ours(tmp_path), protocol=parse_protocol(PROTOCOL))
    with pytest.raises(InputError, match="the delivery names the prompt"):
        _measured(folder, delivery=delivery, prompts="names")


def test_the_summary_of_a_folder_without_a_delivery_says_nothing_of_one(tmp_path: Path) -> None:
    folder, _ = _delivered(tmp_path)

    text = _measured(folder).summary.to_json()

    assert {"delivery", "beside"}.isdisjoint(json.loads(text))


def test_measurements_of_the_other_arm_are_kept_apart(tmp_path: Path) -> None:
    folder, delivery = _delivered(tmp_path)
    options: dict[str, Any] = {"delivery": delivery, "out": tmp_path / "out"}
    options["beside"] = _ours(tmp_path)
    first = _measured(folder, protocol=parse_protocol(PROTOCOL), **options)
    again = _measured(folder, protocol=parse_protocol(PROTOCOL), **options)

    lines = (tmp_path / "out" / "measurements.jsonl").read_bytes().splitlines()
    roles = {journal.decode(line, FolderMeasurement).role for line in lines}
    assert roles == {Role.CLIP, Role.BESIDE, Role.SET}
    assert again.taken == 0
    assert again.summary == first.summary
