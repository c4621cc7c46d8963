"""Laws of the cost inputs: what each number must bring along, and what is refused and how."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from poc.cost_file import EXAMPLE, CostInputs, GpuMode, faults, quantities, read_cost, stated
from poc.errors import InputError

TEXT = EXAMPLE.read_text("utf-8")
PRICE = "price_per_hour: {value: 3.5, low: 2.5, high: 4.5"
ACCEPTANCE = "acceptance_rate: {value: 0.25, low: 0.1, high: 0.5"
UTILISATION = "utilisation: {value: 0.7, low: 0.5, high: 0.85"


def written(folder: Path, old: str, new: str) -> Path:
    """The example with its first `old` replaced; there must be one."""
    assert old in TEXT
    path = folder / "cost.yaml"
    path.write_text(TEXT.replace(old, new, 1), encoding="utf-8")
    return path


# --- what passes ---------------------------------------------------------------------------------


def test_the_example_is_read_and_calls_every_number_an_example() -> None:
    inputs = read_cost(EXAMPLE)
    numbers = quantities(inputs)

    assert len(numbers) > 60
    assert all(one.example for one in numbers.values())
    assert list(faults(inputs)) == []


def test_every_number_has_unit_date_source_and_a_range_that_holds_it() -> None:
    for one in quantities(read_cost(EXAMPLE)).values():
        assert one.unit
        assert re.fullmatch(r"\d{4}-\d\d-\d\d", one.date)
        assert one.source
        assert one.low <= one.value <= one.high


def test_every_number_is_called_something_of_its_own_in_both_languages() -> None:
    labels = [one.label for one in stated(read_cost(EXAMPLE)) if not one.name.startswith("limits.")]

    assert len({label.en for label in labels}) == len(labels)
    assert len({label.ja for label in labels}) == len(labels)


def test_a_file_survives_its_json() -> None:
    inputs = read_cost(EXAMPLE)

    assert CostInputs.from_json(inputs.to_json()) == inputs


def test_a_price_of_nothing_a_full_gpu_and_a_sure_clip_are_allowed(tmp_path: Path) -> None:
    for old, new in (
        (PRICE, "price_per_hour: {value: 0, low: 0, high: 4.5"),
        (UTILISATION, "utilisation: {value: 1, low: 0.5, high: 1"),
        (ACCEPTANCE, "acceptance_rate: {value: 1, low: 0.1, high: 1"),
        ('price_per_hour: {value: 5000, low: 4000, high: 7000, unit: "JPY/h"',
         'price_per_hour: {value: 30, low: 20, high: 50, unit: "USD/h"'),
        ("mode: rented", "mode: bought"),
        ("acceptance_basis: assumed", "acceptance_basis: votes"),
    ):  # fmt: skip
        assert read_cost(written(tmp_path, old, new)).version == 1


def test_no_limit_at_all_may_be_set(tmp_path: Path) -> None:
    path = tmp_path / "cost.yaml"
    head = TEXT.partition("limits:")[0]
    nothing = "limits: {price_per_deliverable: null, payback_months: null, working_days: null}\n"
    path.write_text(head + nothing, encoding="utf-8")

    assert read_cost(path).limits.payback_months is None


def test_a_roll_out_and_a_last_day_may_be_left_out(tmp_path: Path) -> None:
    path = tmp_path / "cost.yaml"
    path.write_text(TEXT.partition("# Both may be left out")[0], encoding="utf-8")

    inputs = read_cost(path)

    assert (inputs.rollout, inputs.valid_until) == (None, None)
    assert "rollout" not in inputs.to_json()
    assert [*(read_cost(EXAMPLE).rollout or inputs.rollout).stages()] == [  # type: ignore[union-attr]
        "poc",
        "shadow",
        "limited",
        "scale",
    ]


# --- what is refused -----------------------------------------------------------------------------


def _refused() -> Iterator[tuple[str, str, str]]:
    yield "share: 0.25", "share: 0.01", "'rollout.shadow.share': 0.01 is less than 0.05 in stage"
    yield "share: 1.0", "share: 1.5", "expected a number of at most 1.0, got 1.5."
    yield 'budget: {value: 1500000, unit: "JPY"', 'budget: {value: -1, unit: "JPY"', "got -1."
    yield (
        'budget: {value: 1500000, unit: "JPY"',
        'budget: {value: 1500000, unit: "USD"',
        "'rollout.poc.budget': expected unit 'JPY', got 'USD'",
    )
    yield "valid_until: null", 'valid_until: "2027-02-30"', "expected a day of the calendar"
    yield (
        PRICE,
        "price_per_hour: {value: -3.5, low: -4, high: 4.5",
        (
            "'gpu.rented.price_per_hour.value': "
            "expected a number of at least 0 and at most 1e+15, "
            "got -3.5."
        ),
    )
    yield (
        PRICE,
        "price_per_hour: {value: 3.5, low: -1, high: 4.5",
        (
            "'gpu.rented.price_per_hour.low': "
            "expected a number of at least 0 and at most 1e+15, got -1."
        ),
    )
    yield (
        UTILISATION,
        "utilisation: {value: 0, low: 0, high: 0.85",
        (
            "'gpu.rented.utilisation.value': "
            "expected a number of at least 1e-06 and at most 1, got 0."
        ),
    )
    yield UTILISATION, "utilisation: {value: 70, low: 50, high: 85", "got 70. 70 % is 0.7."
    yield (
        UTILISATION,
        "utilisation: {value: 0.7, low: 0.5, high: 1.01",
        (
            "'gpu.rented.utilisation.high': "
            "expected a number of at least 1e-06 and at most 1, got 1.01."
        ),
    )
    yield (
        ACCEPTANCE,
        "acceptance_rate: {value: 0, low: 0, high: 0.5",
        (
            "'material.acceptance_rate.value': "
            "expected a number of at least 1e-06 and at most 1, got 0."
        ),
    )
    yield (
        ACCEPTANCE,
        "acceptance_rate: {value: 1.5, low: 0.1, high: 1.5",
        "got 1.5. 1.5 % is 0.015.",
    )
    yield (
        ACCEPTANCE,
        "acceptance_rate: {value: 0.6, low: 0.1, high: 0.5",
        ("'material.acceptance_rate': its range 0.1 to 0.5 does not hold its value 0.6. Widen"),
    )
    yield (
        ACCEPTANCE,
        "acceptance_rate: {value: 0.25, low: 0.5, high: 0.1",
        "does not hold its value",
    )
    yield (
        "failure_rate: {value: 0.04, low: 0.01, high: 0.1",
        "failure_rate: {value: 1, low: 1, high: 1",
        ("expected a number of at least 0 and at most 0.99, got 1."),
    )
    yield (
        'source: "example of a rate; ',
        'sauce: "example of a rate; ',
        ("unknown key 'sauce'. Did you mean 'source'?"),
    )
    yield (
        ', source: "example of a rate; the high end is a yen that is 15 % weaker"',
        "",
        ("missing key 'source' in 'rates[0].rate'. Add it."),
    )
    yield 'date: "2026-11-25", ', "", "missing key 'date' in 'rates[0].rate'. Add it."
    yield 'source: "example, no offer', 'source: " example, no offer', "expected text that fits"
    yield (
        'date: "2026-11-25"',
        'date: "2026-02-30"',
        "expected a day of the calendar, got '2026-02-30'",
    )
    yield 'date: "2026-11-25"', 'date: "25.11.2026"', "expected text that fits"
    yield ", example: true", "", "missing key 'example' in 'rates[0].rate'. Add it."
    yield "low: 130, ", "", "missing key 'low' in 'rates[0].rate'. Add it."
    yield (
        "clips_per_deliverable:",
        "clip_per_deliverable:",
        ("unknown key 'clip_per_deliverable'. Did you mean 'clips_per_deliverable'?"),
    )
    yield "  rented:", "  rent:", "unknown key 'rent'"
    yield (
        'unit: "USD/h"',
        'unit: "EUR/h"',
        (
            "'gpu.rented.price_per_hour': the price is in EUR, the file in JPY, and no rate is "
            "stated. "
            "Add EUR under 'rates', or convert the price."
        ),
    )
    yield 'unit: "USD/h"', 'unit: "USD/day"', "expected unit 'JPY/h', got 'USD/day'. Convert"
    yield 'unit: "JPY/USD"', 'unit: "USD/JPY"', "expected unit 'JPY/USD', got 'USD/JPY'."
    yield 'unit: "s/clip"', 'unit: "min/clip"', "expected unit 's/clip', got 'min/clip'."
    yield (
        "currency: USD",
        "currency: JPY",
        "a rate for JPY is there already, or it is the file's own",
    )
    yield "currency: JPY\n", "currency: yen\n", "expected text that fits ^[A-Z]{3}$, got 'yen'."
    yield "compared_with: outsourcing", "compared_with: outsorcing", "Did you mean 'outsourcing'?"
    yield "mode: rented", "mode: leased", "'gpu.mode': expected one of"
    yield 'aspect: "16:9"', 'aspect: "9:16"', "aspect 9:16 is not that of 1920 x 1080. Mend one"
    yield "acceptance_basis: assumed", "acceptance_basis: guessed", "expected one of"
    yield (
        '{value: 500000, unit: "JPY/deliverable"',
        '{value: 500000, unit: "USD/deliverable"',
        (
            "'limits.price_per_deliverable': expected unit 'JPY/deliverable', got "
            "'USD/deliverable'. "
            "A limit is in the file's own currency."
        ),
    )
    yield (
        '{value: 24, unit: "month"',
        '{value: 0, unit: "month"',
        "expected a number of at least 1e-06 and at most 1e+15, got 0.",
    )
    yield "{value: 3.5, low", "{value: .nan, low", "expected a finite number, got '.nan'."
    yield "{value: 3.5, low", "{value: '3.5', low", "Remove the quotes."


@pytest.mark.parametrize(("old", "new", "says"), list(_refused()))
def test_a_fault_is_refused_with_its_line_and_what_to_do(
    tmp_path: Path, old: str, new: str, says: str
) -> None:
    with pytest.raises(InputError, match=r"cost\.yaml:\d+: ") as error:
        read_cost(written(tmp_path, old, new))

    assert says in str(error.value)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("{value: 36, low: 24, high: 36", "{value: 36, low: 1e-308, high: 36"),
        (PRICE, "price_per_hour: {value: 3.5, low: 2.5, high: 1e308"),
        (ACCEPTANCE, "acceptance_rate: {value: 0.25, low: 1e-320, high: 0.5"),
    ],
)
def test_what_no_float_could_compute_with_is_refused(tmp_path: Path, old: str, new: str) -> None:
    with pytest.raises(InputError, match=r"expected a number of at least .* and at most"):
        read_cost(written(tmp_path, old, new))


@pytest.mark.parametrize("sign", ["\x9b", "\u202e", "\x1b"])
def test_signs_that_steer_a_terminal_are_no_text(sign: str) -> None:
    inputs = json.loads(read_cost(EXAMPLE).to_json())

    for name in ("a name", "動画（例）", "naïve é"):
        assert CostInputs.from_json(json.dumps(inputs | {"name": name})).name == name
    with pytest.raises(ValueError, match="pattern"):
        CostInputs.from_json(json.dumps(inputs | {"name": f"a{sign}31m"}))


def test_a_fault_names_the_line_on_which_it_stands(tmp_path: Path) -> None:
    path = written(tmp_path, PRICE, PRICE.replace("3.5, low: 2.5", "-3.5, low: -3.5"))
    line = next(n for n, text in enumerate(path.read_text().splitlines(), 1) if "-3.5" in text)

    with pytest.raises(InputError) as error:
        read_cost(path)

    assert all(f"cost.yaml:{line}: " in text for text in str(error.value).splitlines())


def test_a_bought_gpu_must_last_as_long_as_the_period(tmp_path: Path) -> None:
    life = "life_months: {value: 48, low: 36, high: 60"
    text = TEXT.replace(life, "life_months: {value: 48, low: 35, high: 60")
    path = tmp_path / "cost.yaml"

    path.write_text(text, encoding="utf-8")
    assert read_cost(path).gpu.mode is GpuMode.RENTED

    path.write_text(text.replace("mode: rented", "mode: bought"), encoding="utf-8")
    with pytest.raises(InputError, match="a period of up to 36 months, but a bought GPU may last"):
        read_cost(path)


def test_faults_of_one_kind_are_all_named_at_once(tmp_path: Path) -> None:
    path = tmp_path / "cost.yaml"
    worse = TEXT.replace('unit: "JPY/kWh"', 'unit: "JPY/MWh"').replace('unit: "kW"', 'unit: "W"')
    path.write_text(worse, encoding="utf-8")

    with pytest.raises(InputError) as error:
        read_cost(path)

    assert len(str(error.value).splitlines()) == 2


def test_json_of_a_file_is_plain() -> None:
    assert json.loads(read_cost(EXAMPLE).to_json())["currency"] == "JPY"
