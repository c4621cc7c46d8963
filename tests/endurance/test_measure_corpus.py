"""200 good clips and many bad ones in one folder: one false alarm at most. A minute."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_poc_measure_corpus import assert_told_apart


def test_all_bad_clips_are_caught_among_200_good_ones_with_one_false_alarm_at_most(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert_told_apart(tmp_path, capsys, count=200, alarms_at_most=1)
