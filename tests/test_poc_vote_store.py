"""Each acknowledged vote stands exactly once, whatever is clicked, sent again, or killed."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import postgres_server
import pytest
import rated_runs as rated
import served_ratings as served
from sqlalchemy import func, select

from poc import cli
from poc.errors import InputError
from poc.panel import Panel
from poc.rating_folder import answers_path, served_path
from poc.vote_database import PACKS, TABLES, VOTES, Database
from poc.vote_records import AnswerFile, Answers, Choice, Outcome, TrialAnswer, Vote
from poc.vote_store import ClosedError, VoteStore

PACK, OTHER, TRIAL = "a" * 16, "b" * 16, "1" * 16
POSTGRESQL = pytest.param(
    "postgresql",
    marks=pytest.mark.skipif(
        postgres_server.binaries() is None, reason="no PostgreSQL programs on this machine"
    ),
)


def vote(trial: str = TRIAL, *, sequence: int = 1, choice: Choice = Choice.LEFT) -> Vote:
    four = Answers(motion=choice, picture=choice, as_asked=choice, overall=choice)
    return Vote(
        sequence=sequence, rater="sato", language="ja", viewport_width_px=1366,
        viewport_height_px=768,
        trial=TrialAnswer(trial_id=trial, answers=four, duration_s=4.0, plays=2),
    )  # fmt: skip


@pytest.fixture(scope="module", params=["sqlite", POSTGRESQL])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """A place for votes: every law holds of both."""
    if request.param == "sqlite":
        yield str(tmp_path_factory.mktemp("votes") / "served.sqlite")
    else:
        with postgres_server.serving() as url:
            yield url


@pytest.fixture
def where(server: str) -> str:
    """The place, emptied."""
    database = Database.of(server)
    with database.writing() as connection:
        TABLES.drop_all(connection)
    return server


@pytest.fixture
def store(where: str) -> VoteStore:
    made = VoteStore.open(where)
    made.invite([PACK, OTHER])
    return made


def rows(store: VoteStore) -> int:
    with store._database.reading() as connection:
        return connection.execute(select(func.count()).select_from(VOTES)).scalar_one()


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
    trials = [f"{n:016x}" for n in range(8)]

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
    assert rows(store) == 16


# --- links ---------------------------------------------------------------------------------------


def test_a_link_works_once(where: str) -> None:
    store = VoteStore.open(where)
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


def test_servers_that_invite_at_once_hand_out_one_link_for_each_pack(where: str) -> None:
    stores = [VoteStore.open(where) for _ in range(4)]
    packs = [f"{n:016x}" for n in range(10)]
    made: list[dict[str, str]] = []
    threads = [
        threading.Thread(target=lambda one=one: made.append(one.invite(packs))) for one in stores
    ]
    for one in threads:
        one.start()
    for one in threads:
        one.join()

    assert sorted(pack for links in made for pack in links) == packs
    assert all(stores[0].is_open(link) for links in made for link in links.values())


def test_of_requests_that_use_a_link_at_once_one_gets_in(store: VoteStore) -> None:
    link = store.invite([PACK], renew=True)[PACK]
    cookies: list[str | None] = []
    threads = [threading.Thread(target=lambda: cookies.append(store.claim(link))) for _ in range(6)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()

    (cookie,) = [one for one in cookies if one is not None]
    assert store.pack_of(cookie) == PACK


def test_the_database_holds_no_link_and_no_cookie(store: VoteStore) -> None:
    link = store.invite([PACK], renew=True)[PACK]
    cookie = store.claim(link) or ""
    with store._database.reading() as connection:
        held = str(connection.execute(select(PACKS)).all())
    files = [Path(store.name)] if store._database.is_file else []
    held += str(b"".join(one.read_bytes() for path in files for one in path.parent.iterdir()))

    assert cookie
    assert link not in held
    assert cookie not in held


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


# --- a database with a password ------------------------------------------------------------------


URL = "postgresql://owner:hidden-word@127.0.0.1:1/votes"


@pytest.mark.parametrize(
    ("where", "said"),
    [
        (URL, "postgresql://127.0.0.1:1/votes: the votes cannot be read or written"),
        (f"{URL}?password=hidden-word", "unknown option 'password'"),
        (f"{URL}?sslmode=hidden-word-no", "sslmode: expected verify-full"),
        ("mysql://owner:hidden-word@host/votes", "expected a path, or a URL as postgresql://"),
        ("postgresql://owner:hidden-word@host", "expected a path, or a URL as postgresql://"),
        ("postgresql://owner:hidden-word@host:port/votes", "expected a path, or a URL"),
        ("postgresql://127.0.0.1:1/votes", "USER@HOST:5432/NAME, got postgresql:..."),
        ("postgresql:/owner:hidden-word@127.0.0.1/votes", "got postgresql:..."),
        ("postgresql//owner:hidden-word@127.0.0.1/votes", "got postgresql:..."),
        ("postgres:owner:hidden-word@127.0.0.1/votes", "got postgres:..."),
        ("PostgreSQL+pg8000:/owner:hidden-word@127.0.0.1/votes", "got PostgreSQL+pg8000:..."),
    ],
)
def test_a_url_that_leads_nowhere_is_refused_without_its_password(where: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        VoteStore.open(where)

    assert said in str(caught.value)
    assert "owner" not in str(caught.value)
    assert "hidden-word@" not in str(caught.value)


@pytest.fixture
def answering(request: pytest.FixtureRequest) -> Iterator[int]:
    """The port of a server that answers the first question of every client with its bytes."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            while True:
                try:
                    client, _ = listening.accept()
                except OSError:
                    return
                with client:
                    client.recv(1024)
                    client.sendall(request.param)
                    client.settimeout(5)
                    with suppress(OSError):
                        client.recv(1024)

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)
    thread.join()


@pytest.mark.parametrize(
    "answering",
    [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"SSH-2.0-OpenSSH_9.2\r\n", b"N" + b"?" * 64, b""],
    indirect=True,
)
@pytest.mark.parametrize("options", ["", "?sslmode=verify-full"])
def test_a_server_that_is_no_postgresql_is_an_error_without_the_password(
    answering: int, options: str
) -> None:
    where = f"postgresql://owner:hidden-word@127.0.0.1:{answering}/votes{options}"
    with pytest.raises(InputError, match="cannot be read or written") as caught:
        VoteStore.open(where)

    assert "hidden-word" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("answering", [b"S" + b"no TLS at all" * 9], indirect=True)
def test_a_broken_encryption_is_an_error_without_the_password(answering: int) -> None:
    where = f"postgresql://owner:hidden-word@127.0.0.1:{answering}/votes?sslmode=verify-full"
    with pytest.raises(InputError, match="cannot be read or written") as caught:
        VoteStore.open(where)

    assert "hidden-word" not in str(caught.value)


@pytest.mark.parametrize("server", [POSTGRESQL], indirect=True)
def test_a_wrong_password_is_said_and_not_shown(server: str) -> None:
    wrong = server.replace(postgres_server.PASSWORD, "hidden-word")
    for _ in range(10):  # whether the server hangs up before the client does, is chance
        with pytest.raises(InputError, match="password authentication failed") as caught:
            VoteStore.open(wrong)
        assert "hidden-word" not in str(caught.value)


@pytest.mark.parametrize("server", [POSTGRESQL], indirect=True)
def test_a_program_serves_and_collects_from_a_url_and_says_no_password(
    server: str,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Votes leave the run: they are in the database, come back into the run, and once."""
    run = rated.folder(tmp_path / "run")
    options = ["--raters", "2", "--candidate", "lcm-2", "--per-rater", "3"]
    assert cli.main(["rate", "pack", str(run), *options]) == 0
    (key,) = run.glob("rating/*/key.json")
    panel = Panel.from_json(key.read_bytes())
    port, pack = served.free_port(), panel.packs[0]
    with served.process(run, port, "--votes", server) as (_, said):
        client = served.Client(port)
        assert client.ask("POST", said["links"][0]["link"].split(str(port))[1])[0] == 303
        sent = served.votes(panel, pack, lambda _: Outcome.TIE)
        assert [client.ask("POST", "/vote", one)[0] for one in sent[:2]] == [200, 200]
    assert not served_path(run).exists()

    monkeypatch.setenv("PGPASSWORD", postgres_server.PASSWORD)
    collect = ["rate", "collect", str(run), "--votes"]
    assert cli.main([*collect, server.replace(f":{postgres_server.PASSWORD}", "")]) == 0
    assert cli.main([*collect, server]) == 0
    printed = "".join(capfd.readouterr())
    assert "2 of" in printed
    assert "nothing to take in from postgresql://" in printed
    assert postgres_server.PASSWORD not in json.dumps(said) + printed
    answered = AnswerFile.from_json(answers_path(run, pack.pack_id).read_bytes())
    assert sum(one.answers is not None for one in answered.trials) == 2
