"""What pages keep in memory is of the run, version, language and choices that were asked for."""

from __future__ import annotations

import gc
import os
import sys
import weakref
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import CodeType
from typing import Any

import numpy as np
import pytest
import reports_fixture as fixture
import streamlit as st
from PIL import Image
from streamlit.testing.v1 import AppTest

from reports import app, dashboard, kept
from reports.app import Shown
from reports.load import RunView, load_run
from reports.sheet import viewing_copy
from reports.text import LANGUAGES, Language, load_text

ENTRY = Path(dashboard.__file__)


@pytest.fixture(autouse=True)
def nothing_kept() -> Iterator[None]:
    st.cache_resource.clear()
    yield
    st.cache_resource.clear()


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs of different size; the first of them cannot be shown."""
    folder = tmp_path_factory.mktemp("kept") / "runs"
    (folder / "a-broken").mkdir(parents=True)
    (folder / "a-broken" / "manifest.json").write_text("{", "utf-8")
    fixture.write_run(folder / "few", fixture.plan(count=2))
    fixture.write_run(folder / "many", fixture.plan(count=3))
    return folder


# --- runs ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "manifest.json", "plan.json", "generations.jsonl", "measurements.jsonl", "latency.jsonl",
        "latency_failures.jsonl", "resolved.jsonl", "provenance.jsonl", "closings.jsonl",
        "redactions.jsonl", "estimates.json", "decision.json", "money.json", "rights.json",
        "rating/votes.json",
    ],
)  # fmt: skip
def test_a_file_written_anew_is_a_new_version(tmp_path: Path, name: str) -> None:
    before = kept.stamp(tmp_path)
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("1", "utf-8")
    first = kept.stamp(tmp_path)
    os.utime(tmp_path / name, ns=(1, 1))

    assert len({before, first, kept.stamp(tmp_path)}) == 3


def test_a_clip_that_is_taken_away_makes_a_new_version(tmp_path: Path) -> None:
    clips = tmp_path / "clips"
    clips.mkdir()
    strip(clips / "one.png", 90)
    os.utime(clips, ns=(1, 1))
    before = kept.stamp(tmp_path)
    (clips / "one.png").unlink()

    assert kept.stamp(tmp_path) != before


def test_a_view_is_of_its_run_and_version_and_read_once(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = reading(monkeypatch)
    few, many = str(runs / "few"), str(runs / "many")
    first = kept.view(few, (1,))

    assert kept.view(few, (1,)) is first
    assert kept.view(few, (2,)) is not first
    assert kept.view(many, (1,)).path == runs / "many"
    assert read == ["few", "few", "many"]


def reading(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the runs that are read from now on."""
    read: list[str] = []

    def and_note(path: Path) -> RunView:
        read.append(path.name)
        return load_run(path)

    monkeypatch.setattr(kept, "load_run", and_note)
    return read


def test_the_records_of_a_run_are_spared_by_the_collector_and_freed_all_the_same(
    runs: Path,
) -> None:
    gc.unfreeze()
    found = kept.view(str(runs / "few"), (1,))
    seen = {id(one) for one in gc.get_objects()}  # what a collection goes through
    gone = weakref.ref(found)

    assert id(found.measurements) not in seen
    assert not any(id(one) in seen for one in found.measurements)
    del found
    st.cache_resource.clear()
    assert gone() is None


def test_what_visitors_left_behind_goes_when_the_next_run_is_read(runs: Path) -> None:
    class Session:
        def __init__(self) -> None:
            self.itself = self

    session = Session()
    left = weakref.ref(session)
    kept.view(str(runs / "few"), (1,))
    del session
    kept.view(str(runs / "few"), (2,))

    assert left() is None


def test_content_is_of_its_run_version_and_language(runs: Path) -> None:
    few, many = str(runs / "few"), str(runs / "many")
    first = kept.content(few, (1,), "en")

    assert kept.content(few, (1,), "en") is first
    assert kept.content(few, (2,), "en") is not first
    assert kept.content(few, (1,), "ja").question != first.question
    assert kept.content(many, (1,), "en").title != first.title


def test_the_first_page_finds_its_run_in_memory(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept.warm(runs)
    read = reading(monkeypatch)
    for language in LANGUAGES:
        drawn(runs, language)

    assert set(read) == {"a-broken"}


@pytest.mark.parametrize("there", [True, False])
def test_a_folder_without_a_run_that_can_be_shown_stops_no_server(
    tmp_path: Path, *, there: bool
) -> None:
    if there:
        (tmp_path / "broken").mkdir()
        (tmp_path / "broken" / "manifest.json").write_text("{", "utf-8")

    kept.warm(tmp_path / ("." if there else "nowhere"))


# --- parts of pages ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shown(runs: Path) -> Shown:
    path, text = runs / "few", load_text("en")
    return Shown(load_run(path), text, kept.content(str(path), (1,), "en"), (1,))


def told(shown: Shown, *choices: str) -> tuple[object, ...]:
    return ("told", shown.view.path, shown.stamp, shown.text.language, *choices)


def said(shown: Shown, *choices: str) -> tuple[object, ...]:
    return ("said", *told(shown, *choices)[1:])


def test_a_part_is_made_once(shown: Shown) -> None:
    assert app.once(shown, told, "a") is app.once(shown, told, "a")


def test_a_part_is_of_its_run_version_language_and_choices(shown: Shown) -> None:
    variants = [
        shown,
        replace(shown, view=replace(shown.view, path=Path("elsewhere"))),
        replace(shown, stamp=(2,)),
        replace(shown, text=load_text("ja")),
    ]
    for _ in range(2):
        for one in variants:
            for choices in ((), ("a",), ("b",), ("a", "b")):
                assert app.once(one, told, *choices) == told(one, *choices)


def test_a_part_is_of_the_function_that_makes_it_and_of_its_page(shown: Shown) -> None:
    assert app.once(shown, told) == told(shown)
    assert app.once(shown, said) == said(shown)
    there = namesake(told.__code__)

    assert app.once(shown, there) == ("told elsewhere",)


def namesake(code: CodeType) -> Callable[..., object]:
    """Return a function of the same name in another file, as two pages may have."""
    source = "def told(shown, *choices): return ('told elsewhere',)"
    names: dict[str, Any] = {}
    exec(compile(source, "elsewhere.py", "exec"), names)  # noqa: S102 - written two lines above
    assert code.co_qualname == "told"
    there: Callable[..., object] = names["told"]
    return there


# --- whole pages ---------------------------------------------------------------------------------


def drawn(runs: Path, language: Language, page: str = "decision", run: str = "") -> AppTest:
    before, sys.argv = sys.argv, [str(ENTRY), str(runs)]
    try:
        opened = AppTest.from_file(ENTRY, default_timeout=60)
        opened.query_params["lang"] = language
        opened.run()
        if page != "decision":
            opened.switch_page(f"app_pages/{page}.py").run()
        if run:
            opened.selectbox(key="run").set_value(runs / run).run()
        chosen = {"trade_off": "metric"}.get(page)
        if chosen:
            opened.selectbox(key=chosen).select_index(1).run()
        if page == "latency":
            arms = opened.multiselect(key=f"arms-{language}-{run or 'few'}")
            arms.set_value(arms.value[:2]).run()
        assert not opened.exception
        return opened
    finally:
        sys.argv = before


def pieces(page: AppTest) -> list[bytes]:
    """All that was sent to the visitor's main column, piece by piece."""
    protos = (getattr(one, "proto", None) for one in page.main)
    return [proto.SerializeToString(deterministic=True) for proto in protos if proto is not None]


@pytest.mark.parametrize("page", [one for one in dashboard.PAGES if one != "rating"])
def test_what_is_drawn_from_memory_is_what_is_drawn_anew(runs: Path, page: str) -> None:
    wanted = [(run, language) for run in ("few", "many") for language in LANGUAGES]
    anew = []
    for run, language in wanted:
        st.cache_resource.clear()
        anew.append(pieces(drawn(runs, language, page, run)))
    from_memory = [
        pieces(drawn(runs, language, page, run)) for _ in range(2) for run, language in wanted
    ]

    assert len({b"".join(one) for one in anew}) == 4
    assert from_memory == anew * 2


# --- viewing copies ------------------------------------------------------------------------------


def strip(path: Path, grey: int) -> Path:
    Image.fromarray(np.full((32, 16, 3), grey, np.uint8)).save(path)
    return path


def test_a_viewing_copy_is_of_its_file_number_of_frames_and_origin(tmp_path: Path) -> None:
    tall = tmp_path / "tall.png"
    noise = np.random.default_rng(0).integers(0, 256, (640, 100, 3), np.uint8)
    Image.fromarray(noise).save(tall)
    first = viewing_copy(tall, 2)

    assert first is not None
    assert viewing_copy(tall, 2) is first
    assert viewing_copy(strip(tmp_path / "other.png", 90), 2) != first
    assert viewing_copy(tall, 4) != first
    assert viewing_copy(tall, 2, b"<x:xmpmeta/>") != first


def test_a_strip_that_is_written_anew_is_copied_anew(tmp_path: Path) -> None:
    path = strip(tmp_path / "clip.png", 10)
    os.utime(path, ns=(1, 1))
    first = viewing_copy(path, 2)
    strip(path, 240)
    os.utime(path, ns=(2, 2))

    assert viewing_copy(path, 2) != first
    path.write_bytes(b"damaged")
    assert viewing_copy(path, 2) is None
    path.unlink()
    assert viewing_copy(path, 2) is None
