"""Packs that are begun without a link: each by one, none that was given to somebody else."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import rated_runs as rated
import served_ratings as served

from poc import cli
from poc.ballot import Ballot
from poc.panel import Form, Panel
from poc.rating_import import import_answers
from poc.store import RunStore
from poc.vote_records import Outcome


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run with four packs of pairs and no pack of clips."""
    folder = rated.folder(tmp_path / "run", prompts=6)
    options = ["--raters", "4", "--candidate", "lcm-2", "--per-rater", "1"]
    assert cli.main(["rate", "pack", str(folder), *options]) == 0
    return folder


def opened(run: Path) -> Ballot:
    return Ballot.of(RunStore.open_reader(run), "en")


def panel_of(run: Path) -> Panel:
    (path,) = run.glob("rating/*/key.json")
    return Panel.from_json(path.read_bytes())


def packs_of(ballot: Ballot, cookies: Sequence[str | None]) -> list[str | None]:
    return [ballot.pack_of(cookie) for cookie in cookies if cookie is not None]


def test_twenty_who_begin_at_once_get_each_pack_once(run: Path) -> None:
    ballots = [opened(run) for _ in range(2)]  # as two programs would
    with ThreadPoolExecutor(20) as crowd:
        cookies = list(crowd.map(lambda n: ballots[n % 2].enter(Form.PAIRS), range(20)))
    packs = packs_of(ballots[0], cookies)

    assert sorted(map(str, packs)) == sorted(pack.pack_id for pack in panel_of(run).packs)
    assert cookies.count(None) == 16
    assert [one.free(Form.PAIRS) for one in ballots] == [0, 0]


def test_who_asks_again_with_the_same_cookie_gets_the_same_pack(run: Path) -> None:
    ballots = [opened(run) for _ in range(2)]
    own, other = "a" * 32, "b" * 32
    with ThreadPoolExecutor(8) as crowd:
        cookies = list(crowd.map(lambda n: ballots[n % 2].enter(Form.PAIRS, own), range(8)))

    assert cookies == [own] * 8
    assert ballots[0].free(Form.PAIRS) == 3
    assert ballots[1].enter(Form.PAIRS, other) == other
    assert ballots[0].pack_of(other) not in {None, ballots[0].pack_of(own)}
    assert ballots[0].free(Form.PAIRS) == 2


def test_who_is_known_gets_one_pack_of_a_panel_before_and_after_its_end(run: Path) -> None:
    ballots = [opened(run) for _ in range(2)]
    with ThreadPoolExecutor(8) as crowd:
        entered = crowd.map(lambda n: ballots[n % 2].enter_as(Form.PAIRS, b"sato"), range(8))
        cookies = set(entered)
    (cookie,) = cookies
    pack_id = ballots[0].pack_of(cookie or "") or ""
    (pack,) = [one for one in panel_of(run).packs if one.pack_id == pack_id]
    first = served.votes(panel_of(run), pack, lambda _trial: Outcome.WIN)[0]
    assert ballots[0].take(pack_id, "vote", json.dumps(first).encode()).status == 200
    assert ballots[0].finish(pack_id).status == 200

    assert ballots[1].enter_as(Form.PAIRS, b"sato") == cookie
    assert ballots[0].free(Form.PAIRS) == 3
    other = ballots[0].enter_as(Form.PAIRS, b"suzuki") or ""
    assert ballots[0].pack_of(other) not in {None, pack_id}
    assert ballots[0].free(Form.PAIRS) == 2
    assert ballots[0].enter_as(Form.CLIPS, b"sato") is None


def test_who_is_known_gets_a_pack_of_a_later_panel_too_and_finishes_the_first_before(
    run: Path,
) -> None:
    first = opened(run).enter_as(Form.PAIRS, b"sato") or ""
    earlier = panel_of(run)
    options = ["--raters", "2", "--candidate", "lcm-2", "--per-rater", "1", "--seed", "1"]
    assert cli.main(["rate", "pack", str(run), *options]) == 0
    ballot = opened(run)
    assert ballot.free(Form.PAIRS) == 5

    assert ballot.enter_as(Form.PAIRS, b"sato") == first
    pack_id = ballot.pack_of(first) or ""
    (pack,) = [one for one in earlier.packs if one.pack_id == pack_id]
    said = served.votes(earlier, pack, lambda _trial: Outcome.WIN)[0]
    assert ballot.take(pack_id, "vote", json.dumps(said).encode()).status == 200
    assert ballot.finish(pack_id).status == 200
    second = ballot.enter_as(Form.PAIRS, b"sato") or ""
    assert second != first
    assert ballot.pack_of(second) not in {one.pack_id for one in earlier.packs}


def test_a_pack_that_somebody_was_sent_a_link_to_is_not_begun_and_the_others_are(run: Path) -> None:
    ballot = opened(run)
    first, second, *others = [pack.pack_id for pack in panel_of(run).packs]
    ballot._votes.invite([first, second])

    assert ballot.free(Form.PAIRS) == 2
    cookies = [ballot.enter(Form.PAIRS) for _ in range(3)]
    assert packs_of(ballot, cookies) == [*reversed(others)]  # the last first
    assert cookies[2] is None


def test_a_pack_whose_answers_came_back_as_a_file_is_not_begun(run: Path, tmp_path: Path) -> None:
    panel = panel_of(run)
    file = tmp_path / "answers.json"
    said = rated.raw(panel, panel.packs[3], lambda _trial: Outcome.TIE)
    file.write_text(json.dumps(said), "utf-8")
    import_answers(run, [file])
    ballot = opened(run)

    assert ballot.free(Form.PAIRS) == 3
    assert ballot.pack_of(ballot.enter(Form.PAIRS) or "") == panel.packs[2].pack_id


def test_a_form_that_nobody_is_asked_in_has_no_packs(run: Path) -> None:
    ballot = opened(run)

    assert ballot.free(Form.CLIPS) is None
    assert ballot.enter(Form.CLIPS) is None
    assert ballot.free(Form.PAIRS) == 4


def test_a_page_is_drawn_in_the_language_that_is_asked_for(run: Path) -> None:
    ballot = opened(run)
    pack_id = panel_of(run).packs[0].pack_id
    ballot.invite()

    assert '<html lang="ja">' in ballot.page(pack_id, "ja")
    assert '<html lang="en">' in ballot.page(pack_id, "en")
    assert '<html lang="en">' in ballot.page(pack_id)


def test_panels_that_are_made_later_leave_the_name_of_the_ballot(run: Path) -> None:
    name = opened(run).name
    options = ["--raters", "1", "--candidate", "lcm-2", "--per-rater", "1", "--form", "clips"]
    assert cli.main(["rate", "pack", str(run), *options]) == 0

    assert opened(run).name == name
    assert opened(run).free(Form.CLIPS) == 1


def test_a_vote_taken_by_one_program_is_known_to_the_other(run: Path) -> None:
    one, other = opened(run), opened(run)
    panel = panel_of(run)
    cookie = one.enter(Form.PAIRS) or ""
    pack_id = one.pack_of(cookie) or ""
    (pack,) = [pack for pack in panel.packs if pack.pack_id == pack_id]
    messages = served.votes(panel, pack, lambda _trial: Outcome.WIN)
    sent = [one.take(pack_id, "vote", json.dumps(message).encode()) for message in messages]

    assert other.pack_of(cookie) == pack_id
    assert [reply.status for reply in sent] == [200] * len(messages)
    again = other.take(pack_id, "vote", json.dumps(messages[0]).encode())
    assert again.status == 200
    assert len(other._votes.sheet(pack_id).trials) == len(messages)
    assert other.take(pack_id, "leave", b"").status == 404
