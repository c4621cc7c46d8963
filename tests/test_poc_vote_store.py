"""Each acknowledged vote stands exactly once, whatever is clicked, sent again, or killed."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest

from poc.errors import InputError
from poc.vote_records import Answers, Choice, TrialAnswer, Vote
from poc.vote_store import ClosedError, VoteStore

PACK, OTHER, TRIAL = "a" * 16, "b" * 16, "1" * 16


def vote(trial: str = TRIAL, *, sequence: int = 1, choice: Choice = Choice.LEFT) -> Vote:
    four = Answers(motion=choice, picture=choice, as_asked=choice, overall=choice)
    return Vote(
        sequence=sequence, rater="sato", language="ja", viewport_width_px=1366,
        viewport_height_px=768,
        trial=TrialAnswer(trial_id=trial, answers=four, duration_s=4.0, plays=2),
    )  # fmt: skip


@pytest.fixture
def store(tmp_path: Path) -> VoteStore:
    made = VoteStore.open(tmp_path / "served.sqlite")
    made.invite([PACK, OTHER])
    return made


def rows(store: VoteStore) -> int:
    with sqlite3.connect(store._path) as connection:
        (found,) = connection.execute("SELECT count(*) FROM votes").fetchone()
    return int(found)


# --- votes ---------------------------------------------------------------------------------------


def test_a_vote_sent_twice_stands_once_and_is_acknowledged_twice(store: VoteStore) -> None:
    assert store.cast(PACK, vote()).is_stored
    assert store.cast(PACK, vote()).is_stored
    assert rows(store) == 1


def test_a_changed_answer_replaces_the_former_one(store: VoteStore) -> None:
    store.cast(PACK, vote())
    store.cast(PACK, vote(sequence=2, choice=Choice.SAME))

    said = store.sheet(PACK).trials[TRIAL].answers
    assert said is not None
    assert said.overall is Choice.SAME
    assert rows(store) == 1


@pytest.mark.parametrize("late", [1, 2])
def test_a_request_that_comes_late_replaces_no_later_answer(store: VoteStore, late: int) -> None:
    store.cast(PACK, vote(sequence=2, choice=Choice.SAME))
    receipt = store.cast(PACK, vote(sequence=late, choice=Choice.LEFT))

    assert (receipt.is_stored, receipt.sequence) == (False, 2)
    said = store.sheet(PACK).trials[TRIAL].answers
    assert said is not None
    assert said.overall is Choice.SAME


def test_packs_do_not_touch_each_other(store: VoteStore) -> None:
    store.cast(PACK, vote())
    store.cast(OTHER, vote(sequence=9, choice=Choice.RIGHT))

    assert store.sheet(PACK).sequence == 1
    assert store.sheet(OTHER).sequence == 9
    assert rows(store) == 2


def test_a_finished_pack_takes_nothing_and_keeps_what_it_has(store: VoteStore) -> None:
    store.cast(PACK, vote())
    store.close(PACK)
    store.close(PACK)
    with pytest.raises(ClosedError):
        store.cast(PACK, vote(sequence=2))

    assert store.sheet(PACK).is_closed
    assert list(store.sheet(PACK).trials) == [TRIAL]


def test_an_unknown_pack_takes_nothing(store: VoteStore) -> None:
    with pytest.raises(ClosedError):
        store.cast("c" * 16, vote())
    assert rows(store) == 0


def test_raters_who_vote_at_once_lose_nothing(store: VoteStore) -> None:
    trials = [f"{n:016x}" for n in range(20)]

    def rate(pack: str) -> None:
        for n, trial in enumerate(trials):
            assert store.cast(pack, vote(trial, sequence=n + 1)).is_stored

    threads = [threading.Thread(target=rate, args=(pack,)) for pack in (PACK, OTHER) * 2]
    for one in threads:
        one.start()
    for one in threads:
        one.join()

    assert {pack: sorted(store.sheet(pack).trials) for pack in (PACK, OTHER)} == {
        PACK: trials, OTHER: trials,
    }  # fmt: skip
    assert rows(store) == 40


# --- links ---------------------------------------------------------------------------------------


def test_a_link_works_once(tmp_path: Path) -> None:
    store = VoteStore.open(tmp_path / "served.sqlite")
    (link,) = store.invite([PACK]).values()
    assert store.is_open(link)
    cookie = store.claim(link)

    assert cookie is not None
    assert store.pack_of(cookie) == PACK
    assert not store.is_open(link)
    assert store.claim(link) is None
    assert store.claim("another") is None
    assert store.pack_of("another") is None


def test_a_second_invitation_is_made_only_on_request_and_ends_the_first(store: VoteStore) -> None:
    assert store.invite([PACK, OTHER]) == {}
    store.cast(PACK, vote())
    store.close(OTHER)
    first = store.invite([PACK, OTHER], renew=True)
    cookie = store.claim(first[PACK])
    second = store.invite([PACK], renew=True)

    assert set(first) == {PACK}  # the finished one gets none
    assert cookie is not None
    assert store.pack_of(cookie) is None
    assert store.claim(second[PACK]) is not None
    assert list(store.sheet(PACK).trials) == [TRIAL]


def test_the_file_holds_no_link_and_no_cookie(store: VoteStore) -> None:
    link = store.invite([PACK], renew=True)[PACK]
    cookie = store.claim(link) or ""
    held = b"".join(file.read_bytes() for file in store._path.parent.iterdir())

    assert link.encode() not in held
    assert cookie.encode() not in held


# --- damage --------------------------------------------------------------------------------------


def test_a_file_that_is_no_store_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "served.sqlite"
    path.write_bytes(b"no database at all, but long enough to look at" * 40)
    before = path.read_bytes()
    with pytest.raises(InputError, match=r"served\.sqlite: the votes cannot be read or written"):
        VoteStore.open(path)

    assert path.read_bytes() == before


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read or written"):
        VoteStore.open(tmp_path / "missing" / "served.sqlite")
