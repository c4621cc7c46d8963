"""Laws of the YAML reader: nothing is guessed, and every fault is said with its line."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from poc.errors import InputError, did_you_mean
from poc.records import ClipShape, LoraUse, Record, SchedulerName
from poc.strict_yaml import (
    MAX_BYTES,
    MAX_DEPTH,
    MAX_NODES,
    Problem,
    decode,
    load,
    plain,
    read_text,
    refuse,
)

SHAPE = "num_frames: 16\nheight: 64\nwidth: 64\nfps: 8\n"


class Box(Record):
    """Something with parts, to fill in wrongly."""

    title: str
    scheduler: SchedulerName
    shape: ClipShape
    loras: tuple[LoraUse, ...]
    steps: int | None


BOX = """\
title: t
scheduler: ddim
shape:
  num_frames: 16
  height: 64
  width: 64
  fps: 8
loras:
  - {model: a, scale: 1}
  - model: b
    scale: 0.5
steps: null
"""


def error_of(text: str) -> str:
    with pytest.raises(InputError) as caught:
        load(text, "a.yaml")
    return str(caught.value)


def box_error(old: str, new: str) -> str:
    assert BOX.count(old) == 1
    node = load(BOX.replace(old, new), "a.yaml")
    with pytest.raises(InputError) as caught:
        decode(Box, node, "a.yaml")
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("on", "on"),
        ("yes", "yes"),
        ("12:30:00", "12:30:00"),
        ("2026-11-23", "2026-11-23"),
        ("1_000", "1_000"),
        ("0b11", "0b11"),
        ("<<", "<<"),
        ("010", 10),
        ("0o10", 8),
        ("0x1F", 31),
        ("-7", -7),
        ("1e-4", 0.0001),
        (".5", 0.5),
        ("1.", 1.0),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ('"1"', "1"),
        ("'true'", "true"),
    ],
)
def test_plain_scalars_mean_what_yaml_1_2_says(text: str, value: object) -> None:
    found = plain(load(f"key: {text}\n", "a.yaml"))

    assert found == {"key": value}
    assert isinstance(found, dict)
    assert type(found["key"]) is type(value)


@pytest.mark.parametrize("text", [".inf", "-.Inf", ".nan", "1e999"])
def test_a_number_that_is_not_finite_is_refused_with_its_line(text: str) -> None:
    assert error_of(f"a: 1\nb: {text}\n") == f"a.yaml:2: expected a finite number, got '{text}'."


def test_a_number_longer_than_python_reads_is_refused() -> None:
    assert error_of("a: " + "9" * 5000).startswith("a.yaml:1: expected a number of at most 64")


def test_a_duplicate_key_is_refused_and_both_lines_named() -> None:
    assert error_of("a: 1\nb: 2\na: 3\n") == (
        "a.yaml:3: duplicate key 'a', first given on line 1. Keep one of them."
    )


def test_the_same_key_in_two_mappings_is_no_duplicate() -> None:
    assert plain(load("a: {x: 1}\nb: {x: 2}\n", "a.yaml")) == {"a": {"x": 1}, "b": {"x": 2}}


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("a: &x 1\n", "a.yaml:1: '&x'"),
        ("a: 1\nb: *x\n", "a.yaml:2: '*x'"),
        ("a: !!str 1\n", "a.yaml:1: tag"),
        ("a: !!python/object/apply:os.system [x]\n", "a.yaml:1: tag"),
        ("a: ! 1\n", "a.yaml:1: tag"),
        ("a: 1\n---\nb: 2\n", "a.yaml:2: a second document"),
        ("1: a\n", "a.yaml:1: expected a key that is text, got '1'"),
        ("on: a\ntrue: b\n", "a.yaml:2: expected a key that is text, got 'true'"),
        ("? [a, b]\n: c\n", "a.yaml:1: expected a key that is text, got a list"),
        ("", "a.yaml:1: the file is empty"),
        ("# only a comment\n", "a.yaml:1: the file is empty"),
        ("a: [1\nb: 2\n", "a.yaml:2: not valid YAML"),
        ("a: 1\n\tb: 2\n", "a.yaml:2: not valid YAML"),
        ("a: 1\nb: \x01\n", "not valid YAML"),
        ('a: 1\nb: "\\e[31m"\n', "a.yaml:2: character U+001B is refused"),
        ('a: "\u202e"\n', "a.yaml:1: character U+202E is refused"),
    ],
)
def test_what_could_surprise_is_refused_with_its_line(text: str, part: str) -> None:
    assert part in error_of(text)


def test_an_alias_bomb_is_refused_at_once() -> None:
    lines = ["a0: &a0 [x, x]", *(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 30))]
    start = time.perf_counter()

    assert "anchors and aliases are refused" in error_of("\n".join(lines))
    assert time.perf_counter() - start < 1


def test_depth_is_capped() -> None:
    deepest = "[" * MAX_DEPTH + "]" * MAX_DEPTH

    assert plain(load(deepest, "a.yaml")) is not None
    assert "levels of nesting" in error_of(f"[{deepest}]")


def test_the_number_of_values_is_capped() -> None:
    most = "\n".join("- 1" for _ in range(MAX_NODES - 1))

    assert load(most, "a.yaml").line == 1
    assert f"a.yaml:{MAX_NODES}: expected at most {MAX_NODES} values" in error_of(most + "\n- 1")


def test_size_is_capped() -> None:
    assert "bytes" in error_of("# " + "x" * MAX_BYTES)


def test_a_file_is_read_up_to_its_limit(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(b"x" * 10)

    assert read_text(path, 10) == "x" * 10
    with pytest.raises(InputError, match="at most 9 bytes"):
        read_text(path, 9)


def test_a_file_that_is_not_there_or_not_utf_8_is_said_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    with pytest.raises(InputError, match=r"a\.yaml: cannot be read: No such file"):
        read_text(path)
    path.write_bytes(b"a: 1\nb: \xff\n")
    with pytest.raises(InputError, match=r"a\.yaml:2: expected UTF-8"):
        read_text(path)


def test_a_right_file_becomes_its_record() -> None:
    assert decode(ClipShape, load(SHAPE, "a.yaml"), "a.yaml") == ClipShape(
        num_frames=16, height=64, width=64, fps=8
    )
    assert decode(Box, load(BOX, "a.yaml"), "a.yaml").loras[1] == LoraUse(model="b", scale=0.5)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "num_frames: 16",
            "num_frame: 16",
            "a.yaml:4: unknown key 'num_frame'. Did you mean 'num_frames'?",
        ),
        ("  fps: 8\n", "", "a.yaml:4: missing key 'fps' in 'shape'. Add it."),
        ("title: t\n", "", "a.yaml:1: missing key 'title'. Add it."),
        ("fps: 8", "fps: fast", "a.yaml:7: 'shape.fps': expected a whole number, got 'fast'."),
        (
            "fps: 8",
            'fps: "8"',
            "a.yaml:7: 'shape.fps': expected a whole number, got '8'. Remove the quotes.",
        ),
        ("fps: 8", "fps: 8.5", "a.yaml:7: 'shape.fps': expected a whole number, got 8.5."),
        ("fps: 8", "fps: 0", "a.yaml:7: 'shape.fps': expected a number of at least 1, got 0."),
        ("title: t", "title: 5", "a.yaml:1: 'title': expected text, got 5. Put it in quotes."),
        (
            "title: t",
            "title: true",
            "a.yaml:1: 'title': expected text, got true. Put it in quotes.",
        ),
        ("title: t", "title:", "a.yaml:1: 'title': expected text, got null."),
        ("scale: 0.5", "scale: big", "a.yaml:11: 'loras[1].scale': expected a number, got 'big'."),
        (
            "scheduler: ddim",
            "scheduler: dim",
            (
                "a.yaml:2: 'scheduler': expected one of 'ddim', 'dpmpp_2m', 'euler', 'lcm', "
                "'flow_euler', 'flow_lcm' or 'flow_unipc', "
                "got 'dim'. Did you mean 'ddim'?"
            ),
        ),
        (
            "steps: null",
            "steps: [1]",
            "a.yaml:12: 'steps': expected a whole number, got a list of 1.",
        ),
    ],
)
def test_a_wrong_value_is_said_with_line_expectation_and_what_came(
    old: str, new: str, message: str
) -> None:
    assert box_error(old, new) == message


def test_a_record_where_a_scalar_stands_is_said() -> None:
    assert box_error(BOX[BOX.index("loras") : BOX.index("steps")], "loras: 3\n") == (
        "a.yaml:8: 'loras': expected a list, got 3."
    )


def test_all_faults_are_listed_and_the_topmost_comes_first() -> None:
    text = SHAPE.replace("fps: 8", "fps: x").replace("height: 64", "hight: 64")
    with pytest.raises(InputError) as caught:
        decode(ClipShape, load(text, "a.yaml"), "a.yaml")

    assert str(caught.value).splitlines() == [
        "a.yaml:2: unknown key 'hight'. Did you mean 'height'?",
        "a.yaml:4: 'fps': expected a whole number, got 'x'.",
    ]


def test_an_unknown_key_is_not_mistaken_for_one_that_is_given() -> None:
    with pytest.raises(InputError, match=r"a\.yaml:5: unknown key 'fpss'. There are none."):
        decode(ClipShape, load(SHAPE + "fpss: 8\n", "a.yaml"), "a.yaml")


def test_a_file_that_is_one_scalar_is_said_to_be_no_mapping() -> None:
    with pytest.raises(InputError, match=r"a\.yaml:1: expected a mapping of keys to values, got 3"):
        decode(ClipShape, load("3", "a.yaml"), "a.yaml")


def test_no_problems_are_no_error() -> None:
    refuse("a.yaml", [])
    with pytest.raises(InputError, match=r"^a\.yaml:3: x$"):
        refuse("a.yaml", [Problem(3, "x")])


def test_a_wrong_word_gets_the_nearest_known_one_and_a_strange_one_all_of_them() -> None:
    assert did_you_mean("heigth", ["height", "width"]) == "Did you mean 'height'?"
    assert did_you_mean("qq", ["height", "width"]) == "Known: height, width."
