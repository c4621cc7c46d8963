"""What leaves a run says where it comes from, to machines, and is not changed otherwise."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import av
import numpy as np
import pytest
import reports_fixture as fixture
from PIL import Image

from poc.records import Arm, Plan
from poc.video import encode_webm
from reports.export import clips, pptx
from reports.load import load_run
from reports.origin import GENERATED, marked_film, origin, xmp
from reports.sheet import viewing_copy
from reports.text import load_text

GOLDEN = Path("poc/golden")


def decoded(data: bytes) -> tuple[dict[str, str], np.ndarray]:
    with av.open(io.BytesIO(data), mode="r") as film:
        said = {key.lower(): value for key, value in film.metadata.items()}
        return said, np.stack([one.to_ndarray(format="rgb24") for one in film.decode(video=0)])


@pytest.mark.parametrize("name", ["clip.webm", "clip.mp4"])
def test_a_marked_film_says_its_origin_and_has_the_same_pixels(name: str) -> None:
    said = {"digital_source_type": GENERATED, "clip": "0" * 16}
    found, frames = decoded(marked_film(GOLDEN / name, said))
    before, unmarked = decoded((GOLDEN / name).read_bytes())

    assert json.loads(found["comment"]) == said
    assert "comment" not in before
    assert np.array_equal(frames, unmarked)
    assert marked_film(GOLDEN / name, said) == marked_film(GOLDEN / name, said)


def test_what_is_no_film_is_not_marked(tmp_path: Path) -> None:
    bad = tmp_path / "clip.webm"
    bad.write_bytes(b"a film")

    with pytest.raises(OSError, match="cannot be read as a film"):
        marked_film(bad, {})


@pytest.fixture(scope="module")
def plan() -> Plan:
    return fixture.plan(count=2)


def test_the_origin_of_a_clip_names_plan_arm_and_models(plan: Plan) -> None:
    arm = plan.arms[0]
    said = origin(plan, arm, "0123456789abcdef", plan_digest=plan.content_digest())

    assert said["digital_source_type"] == GENERATED
    assert (said["clip"], said["arm"]) == ("0123456789abcdef", arm.id)
    assert said["plan"] == plan.content_digest()
    assert said["models"].split() == sorted(arm.model_digests)


def test_of_a_clip_made_elsewhere_nothing_is_claimed(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Arm, "is_imported", True)

    said = origin(plan, plan.arms[0], "0" * 16, plan_digest="a" * 64)

    assert "digital_source_type" not in said
    assert GENERATED.encode() not in xmp(said)


def test_film_strips_of_a_report_carry_it_for_readers_of_xmp(plan: Plan, tmp_path: Path) -> None:
    run = fixture.write_run(tmp_path / "run", plan)
    view = load_run(run)
    clip = next(one for one in view.clips if one.strip is not None)
    arm = next(one for one in plan.arms if one.id == clip.arm_id)
    assert clip.strip is not None
    plain = viewing_copy(clip.strip, 16)
    marked = viewing_copy(
        clip.strip, 16, xmp(origin(plan, arm, clip.clip_id, plan_digest="a" * 64))
    )
    assert plain is not None
    assert marked is not None

    with Image.open(io.BytesIO(marked)) as picture, Image.open(io.BytesIO(plain)) as before:
        packet = picture.info["xmp"].decode()
        assert np.array_equal(np.asarray(picture), np.asarray(before))

    assert f'Iptc4xmpExt:DigitalSourceType="{GENERATED}"' in packet
    assert clip.clip_id in packet
    assert "xmp" not in before.info
    sheet, pictures = clips.fitting_sheet(view)
    assert set(pictures) <= {one.clip_id for one in view.clips}
    assert pictures
    assert sheet.columns


def test_films_on_slides_carry_it(plan: Plan, tmp_path: Path) -> None:
    run = fixture.write_run(tmp_path / "run", plan)
    for strip in (run / "clips").glob("*.png"):
        strip.with_suffix(".webm").write_bytes(encode_webm(np.zeros((4, 16, 16, 3), np.uint8), 8))

    deck = pptx.render(load_run(run), load_text("en"))

    with zipfile.ZipFile(io.BytesIO(deck)) as parts:
        films = [parts.read(name) for name in parts.namelist() if name.endswith(".webm")]
    assert films
    for film in films:
        said = json.loads(decoded(film)[0]["comment"])
        assert said["digital_source_type"] == GENERATED
        assert (run / "clips" / f"{said['clip']}.webm").is_file()
