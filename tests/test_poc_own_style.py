"""What may be trained: a fifth held out by content, and refusals before any time is spent."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from own_style_fixture import NAME, own_models, request, write_captions, write_look, write_rights
from PIL import Image
from planning_fixture import plan_of, write_spec

from poc import cli
from poc.errors import InputError
from poc.governance_records import PartKind
from poc.models import MODELS, Model, ModelTable, UnreadTableWarning, read_models
from poc.own_stills import Still, read_stills
from poc.own_style import StyleTask, begin, check_style, publish, style_name
from poc.rights_file import Words
from poc.rights_parts import subject_of

TODAY = date(2026, 11, 29)


def files_of(stills: tuple[Still, ...]) -> dict[str, str]:
    return {still.name(NAME): still.sha256 for still in stills}


def read(look: Path) -> tuple[Still, ...]:
    return read_stills(look, smallest=64, captions=None, trigger=None)


@pytest.fixture
def look(tmp_path: Path) -> Path:
    """Ten stills with captions."""
    return write_look(tmp_path / "company")


@pytest.fixture
def models(tmp_path: Path) -> ModelTable:
    """Our models, in a place where styles can be left."""
    return own_models(tmp_path)


def checked(look: Path, models: ModelTable, folder: Path, **rights: str) -> StyleTask:
    """Check the training of these stills under a rights file with these changes."""
    file = write_rights(folder / "rights", files_of(read(look)), **rights)
    return check_style(request(look, file), models, on=TODAY)


# --- what is held out ----------------------------------------------------------------------------


def test_the_fifth_with_the_smallest_digests_is_held_out_whatever_the_files_are_called(
    look: Path, tmp_path: Path
) -> None:
    expected = sorted(hashlib.sha256(p.read_bytes()).hexdigest() for p in look.glob("*.png"))[:2]
    found = read(look)
    assert sorted(still.sha256 for still in found if still.heldout) == expected

    renamed = tmp_path / "renamed"
    renamed.mkdir()
    for place, path in enumerate(sorted(look.glob("*.png"), reverse=True)):
        shutil.copy(path, renamed / f"あ{place}.png")
    again = read_stills(renamed, smallest=64, captions=None, trigger="a red circle")
    assert sorted(still.sha256 for still in again if still.heldout) == expected


def test_stills_that_may_be_trained_on_pass_and_nothing_is_written(
    look: Path, models: ModelTable, tmp_path: Path
) -> None:
    task = checked(look, models, tmp_path)

    assert (len(task.training_stills), len(task.heldout), task.size) == (8, 2, 64)
    assert task.rights["consents"][0]["id"] == "look"
    assert not task.home.exists()
    assert not task.work.exists()


def test_a_name_is_made_of_the_folder(tmp_path: Path) -> None:
    assert style_name(tmp_path / "Autumn 2026") == "autumn-2026"


# --- stills --------------------------------------------------------------------------------------


def damage(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-200])


def shrink(path: Path) -> None:
    with Image.open(path) as picture:
        small = picture.resize((63, 100))
    small.save(path)


def turn_grey(path: Path) -> None:
    with Image.open(path) as picture:
        grey = picture.convert("L")
    grey.save(path)


def make_transparent(path: Path) -> None:
    with Image.open(path) as picture:
        clear = picture.convert("RGBA")
    clear.save(path)


def make_deep(path: Path) -> None:
    Image.fromarray(np.full((64, 64), 40000, np.uint16)).save(path)


def turn_by_note(path: Path) -> None:
    with Image.open(path) as picture:
        loaded, note = picture.copy(), Image.Exif()
    note[0x0112] = 6
    loaded.save(path, exif=note)


def make_webp(path: Path) -> None:
    with Image.open(path) as picture:
        loaded = picture.copy()
    loaded.save(path, format="WEBP")


def write_text(path: Path) -> None:
    path.write_text("no picture")


def copy_neighbour(path: Path) -> None:
    path.write_bytes(path.with_name("005.png").read_bytes())


def make_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def animate(path: Path) -> None:
    frames = [Image.new("RGB", (64, 64), colour) for colour in ("red", "blue")]
    frames[0].save(path, save_all=True, append_images=frames[1:])


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (damage, "004.png: cannot be decoded"),
        (shrink, "004.png: expected 64 pixels or more .* got 63 x 100"),
        (turn_grey, "004.png: is grey, 9 others are in colour"),
        (make_transparent, "004.png: expected 8-bit colour or grey without alpha, got mode RGBA"),
        (make_deep, "004.png: expected 8-bit colour or grey without alpha, got mode I;16"),
        (turn_by_note, "004.png: is stored turned"),
        (make_webp, "004.png: expected a PNG or JPEG picture, got another file"),
        (write_text, "004.png: expected a PNG or JPEG picture"),
        (copy_neighbour, "00[45].png: is a copy of 00[45].png"),
        (make_folder, "004.png: expected PNG and JPEG files only"),
        (animate, "004.png: expected one picture, got 2 frames"),
    ],
)
def test_a_still_that_cannot_be_learnt_from_is_named(
    look: Path, spoil: Callable[[Path], None], said: str
) -> None:
    spoil(look / "004.png")
    with pytest.raises(InputError, match=rf"1 of the stills cannot be trained on\n  {said}"):
        read(look)


def test_nine_stills_are_too_few(look: Path) -> None:
    (look / "004.png").unlink()
    with pytest.raises(InputError, match="expected 10 stills or more, got 9"):
        read_stills(look, smallest=64, captions=None, trigger="a red circle")


# --- captions ------------------------------------------------------------------------------------


def captions_of(look: Path) -> dict[str, str]:
    return {still.path.name: still.caption for still in read(look)}


def test_a_table_that_misses_a_still_names_it(look: Path) -> None:
    captions = captions_of(look)
    del captions["007.png"]
    write_captions(look / "captions.csv", captions)

    with pytest.raises(InputError, match=r"captions.csv: no caption of '007.png'"):
        read(look)


def test_a_row_of_no_still_and_one_without_words_are_named_with_their_lines(look: Path) -> None:
    captions = captions_of(look) | {"000.png": " ", "nowhere.png": "a red circle"}
    write_captions(look / "captions.csv", dict(sorted(captions.items())))

    with pytest.raises(InputError) as caught:
        read(look)
    assert "captions.csv:2: expected a caption of '000.png'" in str(caught.value)
    assert "captions.csv:12: no still is called 'nowhere.png'" in str(caught.value)


def test_without_captions_and_trigger_the_three_ways_are_named(look: Path) -> None:
    (look / "captions.csv").unlink()
    with pytest.raises(InputError, match=r"captions.csv .* --captions CSV, or --trigger WORD"):
        read(look)


def test_captions_in_a_language_that_the_text_encoder_lacks_are_refused(
    look: Path, models: ModelTable, tmp_path: Path
) -> None:
    base = models.resolve("tiny-base")
    free = replace(base, entry=base.entry.model_copy(update={"vocabulary": None}))
    table = ModelTable(models.path, {**models.models, "tiny-base": free})
    write_captions(look / "captions.csv", captions_of(look) | {"003.png": "赤い円"})

    with pytest.raises(InputError, match=r"1 of 10 are in Japanese, as that of '003.png'"):
        checked(look, table, tmp_path)


def test_a_word_that_the_tiny_base_does_not_know_is_refused(
    look: Path, models: ModelTable, tmp_path: Path
) -> None:
    write_captions(look / "captions.csv", captions_of(look) | {"003.png": "a zebra"})
    with pytest.raises(InputError, match="zebra"):
        checked(look, models, tmp_path)


# --- rights --------------------------------------------------------------------------------------


def test_without_a_consent_the_error_says_what_one_has_to_name(
    look: Path, models: ModelTable, tmp_path: Path
) -> None:
    other = {name: sha for name, sha in files_of(read(look)).items() if "/train/" in name}
    file = write_rights(tmp_path / "rights", other)
    text = file.read_text("utf-8").replace(f"files: {NAME}/*", f"files: {NAME}/train/*")
    file.write_text(text, "utf-8")
    with pytest.raises(InputError, match="covers 2 of 10 stills") as caught:
        check_style(request(look, file), models, on=TODAY)
    assert f"model '{NAME}-stills', files '{NAME}/*' and digest " in str(caught.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("valid_until: 2027-06-30", "valid_until: 2026-11-28"), "no rights to learn from"),
        (("uses: [evaluation]", "uses: [in_house]"), "no rights to learn from"),
        (("territory: [JP]\n    given", "territory: [FR]\n    given"), "no rights to learn from"),
        (("status: not_needed", "status: no"), "no rights to learn from"),
        (("digest: ", "digest: 00"), "digest"),
        (("example: false", "example: true"), "it is an example"),
        (("until: 2027-12-31", "until: 2026-11-28"), "the use ended on 2026-11-28"),
    ],
)
def test_rights_that_do_not_hold_stop_the_training(
    look: Path, models: ModelTable, tmp_path: Path, change: tuple[str, str], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        checked(look, models, tmp_path, **dict([change]))


def with_licence(models: ModelTable, licence: str) -> ModelTable:
    base = models.resolve("tiny-base")
    entry = base.entry.model_copy(update={"licence": licence})
    return ModelTable(models.path, {**models.models, "tiny-base": replace(base, entry=entry)})


def test_a_base_whose_licence_forbids_the_use_is_refused_and_an_unclear_one_is_told(
    look: Path, models: ModelTable, tmp_path: Path
) -> None:
    advertising = {
        "use: evaluation": "use: advertising",
        "uses: [evaluation]": "uses: [advertising]",
    }
    with pytest.raises(InputError, match=r"licence CC-BY-NC-4\.0 forbids 'advertising'"):
        checked(look, with_licence(models, "CC-BY-NC-4.0"), tmp_path / "a", **advertising)

    (warning,) = checked(look, with_licence(models, "unknown"), tmp_path / "b").warnings
    assert "rights of base 'tiny-base' are unclear" in warning


# --- base and place ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"base": "tiny-bose"}, "Did you mean 'tiny-base'"),
        ({"base": "tiny-lcm-lora"}, "to be of kind base"),
        ({"base": "sd15"}, "poc fetch SPEC"),
        ({"base": "realistic-vision-5.1"}, "comes without a VAE"),
        ({"name": "pastel"}, "has such a model or style"),
        ({"name": "tiny-base"}, "has such a model or style"),
        ({"name": "../x"}, "expected small letters"),
    ],
)
def test_a_base_or_name_that_cannot_be_is_refused(
    look: Path, models: ModelTable, changes: dict[str, str], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        check_style(request(look, look / "none.yaml", **changes), models, on=TODAY)


def test_a_place_where_another_training_has_begun_is_refused(
    look: Path, models: ModelTable, tmp_path: Path
) -> None:
    task = checked(look, models, tmp_path / "a")
    begin(task)
    checked(look, models, tmp_path / "b")  # the same goes on

    other = request(look, task.request.rights, training={"steps": 5})
    with pytest.raises(InputError, match="another training under this name is not finished"):
        check_style(other, models, on=TODAY)


# --- the entry -----------------------------------------------------------------------------------


def finished(task: StyleTask, folder: Path) -> Path:
    """Publish a file in a LoRA's place: what follows does not look into it."""
    begin(task)
    lora = folder / "lora.safetensors"
    lora.write_bytes(b"\x02\x00\x00\x00\x00\x00\x00\x00{}")
    return publish(task, lora, {"parameters": 1})


def test_a_finished_style_is_a_model_whose_rights_are_those_of_its_stills(
    look: Path, models: ModelTable, tmp_path: Path
) -> None:
    task = checked(look, models, tmp_path)
    finished(task, tmp_path)
    table = own_models(tmp_path)

    lora: Model = table.resolve(NAME)
    assert (lora.entry.licence, lora.entry.combines_with) == ("Apache-2.0", ("tiny-base",))
    assert dict(table.resolve(f"{NAME}-stills").files) == files_of(task.stills)
    table.verify(NAME)
    table.verify(f"{NAME}-stills")
    assert checked(look, table, tmp_path / "again").is_finished()


def left_with_a_damaged_neighbour(look: Path, models: ModelTable, folder: Path) -> Path:
    """Leave a finished style, and the damaged table of another one; returns that."""
    finished(checked(look, models, folder), folder)
    damaged = models.path.parents[1] / "weights" / "own" / "autumn" / "models.yaml"
    damaged.parent.mkdir()
    damaged.write_text("version: 1\nmodels:\n  - id: autumn\n", "utf-8")
    return damaged


def test_a_damaged_own_table_stops_only_who_asks_for_what_may_be_in_it(
    look: Path, models: ModelTable, tmp_path: Path
) -> None:
    damaged = left_with_a_damaged_neighbour(look, models, tmp_path)

    with pytest.warns(UnreadTableWarning, match=rf"{damaged}:3: .*\n.*\n.*Mend it, or remove"):
        table = own_models(tmp_path)

    assert table.resolve(NAME).entry.id == NAME
    assert table.resolve("tiny-base").entry.id == "tiny-base"
    with pytest.raises(InputError, match=rf"unknown model 'autumn'.*\n{damaged}:3: "):
        table.resolve("autumn")


def test_a_whole_neighbour_gives_no_warning_and_a_damaged_main_table_stops_everybody(
    look: Path, models: ModelTable, tmp_path: Path
) -> None:
    finished(checked(look, models, tmp_path), tmp_path)
    assert own_models(tmp_path).unread == ()  # a warning would be an error here

    models.path.write_text("version: 1\n", "utf-8")
    with pytest.raises(InputError, match="missing key 'models'"):
        own_models(tmp_path)


@pytest.mark.filterwarnings("default::poc.models.UnreadTableWarning")
def test_a_command_that_needs_other_models_goes_on_and_names_the_damaged_table(
    look: Path,
    models: ModelTable,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    damaged = left_with_a_damaged_neighbour(look, models, tmp_path)
    monkeypatch.setattr("poc.run.read_models", lambda: read_models(models.path))

    assert cli.main(["plan", str(MODELS.with_name("quick.yaml"))]) == 0
    assert capsys.readouterr().err.startswith(f"poc: warning: {damaged}:3: ")


def test_another_training_does_not_take_the_place_of_a_finished_one(
    look: Path, models: ModelTable, tmp_path: Path
) -> None:
    task = checked(look, models, tmp_path)
    home = finished(task, tmp_path)
    other = request(look, task.request.rights, training={"seed": 4})

    with pytest.raises(InputError, match="holds a style made from other"):
        check_style(other, own_models(tmp_path), on=TODAY)
    assert home.is_dir()


def test_an_arm_of_another_style_needs_no_consent_for_own_stills(
    look: Path, models: ModelTable, tmp_path: Path
) -> None:
    finished(checked(look, models, tmp_path), tmp_path)
    table = own_models(tmp_path)
    plan = plan_of(write_spec(tmp_path), table)

    def stills(style: str) -> set[str]:
        arms = tuple(arm.model_copy(update={"style": style}) for arm in plan.arms)
        styled = plan.model_copy(update={"arms": arms})
        subject = subject_of(styled, table, Words(names=(), brands=()), prompt_licence=None)
        parts = subject.arms[0].parts
        return {name for part in parts if part.kind is PartKind.STILLS for name in part.files}

    assert {name.partition("/")[0] for name in stills("pastel")} == {"pastel"}
    assert stills(NAME) == files_of(read(look)).keys()
