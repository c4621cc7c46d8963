"""`poc rate import` and the reading of votes: files are checked whole before any is kept."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from pydantic import ValidationError

from poc import disk
from poc.errors import InputError
from poc.panel import Pack, Panel
from poc.rating_folder import answers_path, imported, owned, read_panels
from poc.rating_votes import require_panels, stored_votes, sum_up, write_votes
from poc.store import RunStore
from poc.vote_records import AnswerFile, VotesOfRun, VoteSummary

MOST_BYTES = 4 * 1024**2
"""Of one file of answers: ten times the largest that a page writes."""


@dataclass(frozen=True, slots=True)
class Imported:
    """One stored file."""

    path: Path
    rater: str
    answered: int
    trials: int


@dataclass(frozen=True, slots=True)
class RunVotes:
    """What the votes of a run say, with what it takes to read them."""

    of_run: VotesOfRun
    arm_names: dict[str, str]
    baseline: str

    @property
    def summary(self) -> VoteSummary:
        """What follows from all answers."""
        return self.of_run.summary

    @property
    def demonstration(self) -> bool:
        """Whether the clips are those of a tiny world."""
        return self.of_run.kind == "demonstration"


def import_answers(run: Path, files: Sequence[Path]) -> tuple[Imported, ...]:
    """Store files of answers, each pack exactly once, and sum up; with one bad file none is stored.

    A pack that is not complete is stored as it is, and cannot be completed later.

    Raises:
        InputError: says of every bad file what is wrong: no such pack, imported already, trials
            added or missing, values that no page writes, too large.
    """
    return _store(run, [(path, partial(_decoded, path)) for path in files])


def import_sheets(run: Path, where: str, sheets: Sequence[AnswerFile]) -> tuple[Imported, ...]:
    """Store answers that were given to a server and lie in `where`; checked as files are.

    Raises:
        InputError: as `import_answers` does.
    """
    return _store(run, [(where, partial(_same, one)) for one in sheets])


def _same(one: AnswerFile) -> AnswerFile:
    return one


Given = tuple[Path | str, Callable[[], AnswerFile]]
"""Where answers come from, and how they are read."""


def _store(run: Path, given: Sequence[Given]) -> tuple[Imported, ...]:
    with RunStore.open_reader(run) as store, owned(run):
        panels = read_panels(run, store.plan.content_digest())
        require_panels(run, panels)
        today = datetime.now(UTC).date()
        checked = tuple(
            one.model_copy(update={"taken_in": today}) for one in _all_checked(run, given, panels)
        )
        if not checked:
            return ()
        folder = answers_path(run, checked[0].pack_id).parent
        disk.make_folder(folder)
        for one in checked:
            disk.publish(answers_path(run, one.pack_id), one.to_json().encode() + b"\n")
        disk.sync_folder(folder)
        write_votes(run, sum_up(run, store.plan))
        return tuple(_imported(run, one) for one in checked)


def read_votes(run: Path) -> RunVotes:
    """Return the analysis of what was imported so far; never writes.

    Raises:
        InputError: no run, no panel yet, or a key or stored answers that cannot be read.
    """
    with RunStore.open_reader(run) as store:
        plan = store.plan
        names = {arm.id: arm.name for arm in plan.arms}
        return RunVotes(sum_up(run, plan), names, names[plan.baseline_id])


def keep_votes(run: Path, votes: RunVotes) -> None:
    """Write the sum into the run unless it is there already, or nobody has answered.

    A run whose answers were imported before sums were kept gets one so.

    Raises:
        InputError: answers came in meanwhile, somebody else writes, or the disk refuses.
    """
    with RunStore.open_reader(run) as store:
        if not votes.of_run.answers or _is_kept(run, store, votes):
            return
    with owned(run):
        if imported(run) != votes.of_run.answers:
            raise InputError(f"{run}: answers came in meanwhile. Type the command again.")
        write_votes(run, votes.of_run)


def _is_kept(run: Path, store: RunStore, votes: RunVotes) -> bool:
    try:
        return stored_votes(run, store.plan) == votes.of_run
    except InputError:  # damaged or of other answers: written anew
        return False


def _imported(run: Path, one: AnswerFile) -> Imported:
    answered = sum(trial.is_answered for trial in one.trials)
    return Imported(answers_path(run, one.pack_id), one.rater, answered, len(one.trials))


# --- checking ------------------------------------------------------------------------------------


def _all_checked(
    run: Path, given: Sequence[Given], panels: Sequence[Panel]
) -> tuple[AnswerFile, ...]:
    packs = {pack.pack_id: (panel, pack) for panel in panels for pack in panel.packs}
    found: dict[str, AnswerFile] = {}
    faults = []
    for path, read in given:
        try:
            one = _checked(run, path, read(), packs)
            _refuse_twice(path, one, found)
            found[one.pack_id] = one
        except InputError as error:
            faults.append(str(error))
    if faults:
        raise InputError("\n".join([*faults, "Nothing was stored."]))
    return tuple(found.values())


def _checked(
    run: Path, path: Path | str, one: AnswerFile, packs: dict[str, tuple[Panel, Pack]]
) -> AnswerFile:
    if one.pack_id not in packs:
        raise InputError(
            f"{path}: expected answers to a pack of {run}, got pack {one.pack_id}, which it has "
            "not. Give the run that the pack was made from."
        )
    panel, pack = packs[one.pack_id]
    if one.panel_id != panel.panel_id:
        raise InputError(
            f"{path}: pack {one.pack_id} is of panel {panel.panel_id}, the file says "
            f"{one.panel_id}: it was edited. Ask the rater to save it again."
        )
    if answers_path(run, one.pack_id).exists():
        raise InputError(
            f"{path}: pack {one.pack_id} is imported already; a pack counts once. Leave it out."
        )
    _refuse_other_trials(path, one, pack)
    return one


def _refuse_twice(path: Path | str, one: AnswerFile, found: dict[str, AnswerFile]) -> None:
    if one.pack_id in found:
        raise InputError(f"{path}: pack {one.pack_id} is given twice. Give each file once.")


def _refuse_other_trials(path: Path | str, one: AnswerFile, pack: Pack) -> None:
    """Raise InputError unless the file holds the trials of its pack, each once, and its form."""
    ids = [trial.trial_id for trial in one.trials]
    expected = {task.trial_id for task in pack.tasks}
    added, missing = sorted(set(ids) - expected), sorted(expected - set(ids))
    wrong = [f"trial {word} is not in the pack" for word in added[:1]]
    wrong += [f"trial {word} is missing" for word in missing[:1]]
    wrong += ["a trial stands there twice"] if len(ids) != len(set(ids)) else []
    other = [trial.trial_id for trial in one.trials if not trial.fits(pack.form)]
    wrong += [f"trial {word} answers another question" for word in other[:1]]
    if wrong:
        raise InputError(
            f"{path}: expected the {len(expected)} trials of pack {one.pack_id}, got {len(ids)}: "
            f"{'; '.join(wrong)}. The file was edited: ask the rater to save it again."
        )


def _decoded(path: Path) -> AnswerFile:
    data = _read(path)
    try:
        return AnswerFile.from_json(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "file"
        raise InputError(
            f"{path}: {where}: {first['msg']}. Expected a file that a rating page has saved "
            "(answers-*.json); ask the rater for it unchanged."
        ) from error


def _read(path: Path) -> bytes:
    """Return a plain file's bytes; a pipe or a device could hold the program for ever."""
    with disk.explained(path):
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        with open(descriptor, "rb") as file:  # noqa: PTH123  # the file that was looked at, no other
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise InputError(f"{path}: expected a file of answers, found something else.")
            data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise InputError(f"{path}: expected at most {MOST_BYTES} bytes, the file is larger.")
    return data
