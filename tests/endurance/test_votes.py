"""A thousand votes by twenty raters at once while their server is killed five times."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import postgres_server
import pytest
import rated_runs as rated
import served_ratings as served
from served_ratings import Client
from sqlalchemy import select

from poc import cli
from poc.panel import Panel, Trial
from poc.rating_folder import answers_path
from poc.vote_database import VOTES as TABLE
from poc.vote_database import Database
from poc.vote_records import AnswerFile, Outcome, Vote

RATERS, COMPARISONS, KILLS, VOTES = 20, 44, 5, 1000


def opinion(trial: Trial) -> Outcome:
    """An answer that differs from trial to trial, so that a mixed-up vote is noticed."""
    return (Outcome.WIN, Outcome.TIE, Outcome.LOSS)[int(trial.trial_id, 16) % 3]


POSTGRESQL = pytest.param(
    "postgresql",
    marks=pytest.mark.skipif(
        postgres_server.binaries() is None, reason="no PostgreSQL programs on this machine"
    ),
)


@pytest.fixture(params=["sqlite", POSTGRESQL])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Where the server keeps votes."""
    if request.param == "sqlite":
        yield str(tmp_path / "votes.sqlite")
    else:
        with postgres_server.serving() as url:
            yield url


def test_every_acknowledged_vote_stands_exactly_once(tmp_path: Path, where: str) -> None:
    run = rated.folder(tmp_path / "run", prompts=COMPARISONS)
    options = ["--raters", str(RATERS), "--candidate", "lcm-2", "--per-rater", str(COMPARISONS)]
    assert cli.main(["rate", "pack", str(run), *options]) == 0
    (key,) = run.glob("rating/*/key.json")
    panel = Panel.from_json(key.read_bytes())
    sent = [served.votes(panel, pack, opinion) for pack in panel.packs]
    assert sum(map(len, sent)) >= VOTES

    acknowledged: list[dict[str, str]] = [{} for _ in panel.packs]
    port = served.free_port()
    clients = [Client(port) for _ in panel.packs]
    with served.process(run, port, "--votes", where) as (_, said):
        for client, link in zip(clients, said["links"], strict=True):
            assert client.ask("POST", link["link"].split(str(port))[1])[0] == 303

    def rate(number: int) -> None:
        for message in sent[number]:
            vote = Vote.model_validate(message, strict=False)
            assert clients[number].insist("/vote", message)[0] == 200
            acknowledged[number][vote.trial.trial_id] = vote.trial.to_json()

    threads = [threading.Thread(target=rate, args=(n,)) for n in range(RATERS)]
    for one in threads:
        one.start()
    pauses, kills = np.random.default_rng(0), 0
    while any(one.is_alive() for one in threads):
        with served.process(run, port, "--votes", where):
            due = sum(map(len, sent)) * (kills + 1) // (KILLS + 1)
            while any(one.is_alive() for one in threads):
                if kills < KILLS and sum(map(len, acknowledged)) >= due:
                    time.sleep(pauses.uniform(0, 0.05))  # in the middle of a request
                    kills += 1
                    break
                time.sleep(0.01)
    for one in threads:
        one.join()

    assert kills == KILLS
    with Database.of(where).reading() as connection:
        rows = connection.execute(select(TABLE)).all()
    stored = {(row.pack_id, row.trial_id): row.answer for row in rows}
    expected = {
        (pack.pack_id, trial_id): answer
        for pack, said in zip(panel.packs, acknowledged, strict=True)
        for trial_id, answer in said.items()
    }
    assert len(rows) == len(expected) == sum(map(len, sent))
    assert stored == expected

    assert cli.main(["rate", "collect", str(run), "--votes", where]) == 0
    for pack, said in zip(panel.packs, acknowledged, strict=True):
        found = AnswerFile.from_json(answers_path(run, pack.pack_id).read_bytes())
        assert {one.trial_id: one.to_json() for one in found.trials} == said
