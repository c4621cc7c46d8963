"""Laws of the prompt sets: distinct prompts, from the front, their truth beside them."""

from __future__ import annotations

from pathlib import Path

import pytest

from poc.datasets import (
    DATASETS,
    check_vocabulary,
    read_csv,
    read_prompts,
    rendered_shape,
    rendered_styles,
    wording_ja,
)
from poc.errors import InputError
from poc.records import Prompt
from poc.tiny import world

LIST = """\
version: 1
datasets:
  - id: two
    kind: list
    title: Two prompts
    source: tests
    licence: Apache-2.0
    prompts:
      - {text: a dog, language: en, text_ja: 犬, attributes: {subject: dog}}
      - {text: a cat, language: en, text_ja: 猫, attributes: {}}
"""


def prompt(text: str) -> Prompt:
    return Prompt(id="p", text=text, language="en", text_ja="x", attributes={})


def read_changed(folder: Path, old: str, new: str) -> str:
    assert old in LIST
    path = folder / "datasets.yaml"
    path.write_text(LIST.replace(old, new, 1), "utf-8")
    with pytest.raises(InputError) as caught:
        read_prompts("two", 2, path=path)
    return str(caught.value).splitlines()[0].removeprefix(f"{folder}/")


def test_a_list_keeps_its_order_and_all_that_is_known(tmp_path: Path) -> None:
    path = tmp_path / "datasets.yaml"
    path.write_text(LIST, "utf-8")
    dog, cat = read_prompts("two", 2, path=path)

    assert (dog.text, dog.text_ja, dog.attributes) == ("a dog", "犬", {"subject": "dog"})
    assert cat.text == "a cat"


def test_fewer_prompts_are_the_first_of_more() -> None:
    assert read_prompts("tiny-world-unseen", 16) == read_prompts("tiny-world-unseen", 64)[:16]


def test_prompt_ids_follow_from_the_text_alone(tmp_path: Path) -> None:
    path = tmp_path / "datasets.yaml"
    path.write_text(LIST.replace("犬", "いぬ"), "utf-8")
    other = tmp_path / "other.yaml"
    other.write_text(LIST, "utf-8")

    assert read_prompts("two", 1, path=path)[0].id == read_prompts("two", 1, path=other)[0].id
    assert len({item.id for item in read_prompts("two", 2, path=path)}) == 2


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("a cat", "a dog", "datasets.yaml:10: duplicate prompt 'a dog', first given on line 9."),
        ("a cat", "a  dog", "datasets.yaml:10: duplicate prompt 'a  dog', first given on line 9."),
        ("kind: list", "kind: tiny-world", "datasets.yaml:9: 'prompts': expected a list for kind"),
        ("text: a dog", "txt: a dog", "datasets.yaml:9: unknown key 'txt'. Did you mean 'text'?"),
        ("text: a dog", "text: no", ""),
        (
            "text: a dog",
            "text: 12",
            "datasets.yaml:9: 'datasets[0].prompts[0].text': expected text",
        ),
        ("id: two", "id: ../two", "datasets.yaml:3: 'datasets[0].id': expected text that fits"),
    ],
)
def test_a_faulty_list_is_refused_with_its_line(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    if message:
        assert read_changed(tmp_path, old, new).startswith(message)
    else:
        (tmp_path / "datasets.yaml").write_text(LIST.replace(old, new), "utf-8")
        assert read_prompts("two", 2, path=tmp_path / "datasets.yaml")[0].text == "no"


def test_a_dataset_given_twice_in_a_file_is_refused(tmp_path: Path) -> None:
    found = read_changed(tmp_path, LIST, LIST + LIST[LIST.index("  - id: two") :])

    assert found.startswith("datasets.yaml:11: duplicate dataset id 'two'")


def test_an_unknown_dataset_gets_the_nearest_name() -> None:
    with pytest.raises(
        InputError, match=r"unknown dataset 'tiny-world'.* Did you mean 'tiny-world-u"
    ):
        read_prompts("tiny-world", 2)


@pytest.mark.parametrize(
    ("dataset", "available"), [("tiny-world-unseen", 384), ("everyday-scenes", 12)]
)
def test_too_few_prompts_are_an_error_that_counts_them(dataset: str, available: int) -> None:
    assert len(read_prompts(dataset, available)) == available
    with pytest.raises(
        InputError, match=f"has {available} prompts, the spec asks for {available + 1}"
    ):
        read_prompts(dataset, available + 1)


def test_a_file_beside_the_spec_adds_datasets(tmp_path: Path) -> None:
    (tmp_path / "datasets.yaml").write_text(LIST, "utf-8")
    spec = tmp_path / "spec.yaml"

    assert read_prompts("two", 2, beside=spec)[0].text == "a dog"
    assert len(read_prompts("tiny-world-unseen", 2, beside=spec)) == 2
    with pytest.raises(InputError, match="unknown dataset 'two'"):
        read_prompts("two", 2)


def test_a_name_in_both_files_is_refused_and_both_places_named(tmp_path: Path) -> None:
    text = LIST.replace("id: two", "id: everyday-scenes")
    (tmp_path / "datasets.yaml").write_text(text, "utf-8")
    with pytest.raises(InputError, match=r"datasets\.yaml:\d+ and .*datasets\.yaml:3: two"):
        read_prompts("everyday-scenes", 2, beside=tmp_path / "spec.yaml")


def test_the_datasets_that_come_along_are_read_once_from_beside_the_repository() -> None:
    beside = DATASETS.parent / "spec.yaml"

    assert len(read_prompts("everyday-scenes", 12, beside=beside)) == 12


def test_tiny_prompts_carry_the_truth_that_their_text_says() -> None:
    for item in read_prompts("tiny-world-unseen", 24):
        scene = world.parse(item.text)

        assert item.attributes["shape"] == scene.shape
        assert item.attributes["motion"] == scene.motion
        assert world.is_unseen(scene)


def test_every_scene_has_a_japanese_wording_of_its_own() -> None:
    prompts = read_prompts("tiny-world-unseen", 384)

    assert len({item.text_ja for item in prompts}) == 384


def test_the_japanese_wording_names_every_part() -> None:
    attributes = {
        "shape": "circle",
        "colour": "red",
        "background": "navy",
        "motion": "moving left",
        "camera": "close up",
        "light": "lit from the right",
    }

    assert wording_ja(attributes) == "紺色の背景で左へ動く赤い円（近景、右からの光）"


def test_a_word_that_a_tiny_model_does_not_know_is_refused_and_named() -> None:
    check_vocabulary([prompt("a red circle on a navy background")], model="m", dataset="d")
    with pytest.raises(InputError, match=r"dataset 'd', which model 'm' cannot read: .*'purple'"):
        check_vocabulary([prompt("a purple circle on a navy background")], model="m", dataset="d")


def test_rendered_references_look_as_the_world_renders_them() -> None:
    shape = rendered_shape()

    assert (shape.num_frames, shape.height, shape.width, shape.fps) == (16, 64, 64, 8)
    assert rendered_styles() == ("pastel", "neon")


def test_an_attribute_stands_in_tables_and_so_on_one_line(tmp_path: Path) -> None:
    table = tmp_path / "prompts.csv"
    table.write_text('text,language,text_ja,light\na car,en,車,"dark\nanimatelcm-9  GO"\n')

    with pytest.raises(InputError, match="attributes"):
        read_csv(table)
    table.write_text("text,language,text_ja,light\na car,en,車,dark\n")
    assert read_csv(table)[0].attributes == {"light": "dark"}
