"""`dia2 trace grid`, to the character."""

from pathlib import Path

import numpy as np
import pytest

from dia2.common.errors import UsageError
from dia2.inspect import Dia2Trace
from dia2.inspect.views.console import grid_facts, print_grid

from ..support.reference import Case, engine
from .test_console_trace import recorded, shown


def test_at_80_columns() -> None:
    assert shown(print_grid, 80) == AT_80


def test_at_160_columns() -> None:
    assert shown(print_grid, 160) == AT_160


def test_codes_at_80_columns() -> None:
    assert shown(lambda trace, console: print_grid(trace, console, 28, 44, codes=True), 80) == CODES_AT_80


def test_more_columns_than_fit_come_in_bands() -> None:
    assert shown(lambda trace, console: print_grid(trace, console, 0, 116), 80) == BANDS_AT_80


def test_prefix_and_overwritten_cells_are_told_by_their_codes() -> None:
    trace = Dia2Trace.load(recorded())
    facts = grid_facts(trace)
    prefix = trace.prefix
    assert prefix is not None
    assert facts["codes"] == trace.raw_grid.tolist()
    frames = trace.run.prefix_frames
    for k, (row, delay) in enumerate(zip(facts["cells"], trace.model.delays, strict=True)):
        assert row[:delay] == "·" * delay
        assert row[delay:frames] == "p" * (frames - delay)
        assert row[frames : frames + delay] == "x" * delay
        assert row[frames + delay :] == "#" * (facts["columns"] - frames - delay)
        assert np.array_equal(trace.raw_grid[k, delay:frames], prefix.codes[k, : frames - delay])


def test_what_the_model_saw_agrees_with_the_signs() -> None:
    trace = Dia2Trace.load(recorded())
    cells = grid_facts(trace)["cells"]
    seen = trace.column("audio")
    for call, step in enumerate(trace.steps.tolist()):
        for k in range(trace.model.codebooks):
            assert (seen[call, k] == trace.model.tokens.audio_bos) == (cells[k][step] in "·_")


def test_without_a_prefix_the_first_column_is_never_generated(tmp_path: Path) -> None:
    path = tmp_path / "run.dia2trace"
    engine("tiny8").generate("[S1] Hi.", Case("tiny8", "plain_cfg1").config(seed=1), trace=path)
    facts = grid_facts(Dia2Trace.load(path))
    for row, delay in zip(facts["cells"], facts["delays"], strict=True):
        assert row == "·" * delay + "#" * (facts["columns"] - delay)
    text = shown(print_grid, 80, path)
    assert "prefix" not in text


def test_columns_that_are_not_there_are_told() -> None:
    trace = Dia2Trace.load(recorded())
    with pytest.raises(UsageError, match="no column 117"):
        grid_facts(trace, 117)
    with pytest.raises(UsageError, match="Columns 9 to 3"):
        grid_facts(trace, 9, 3)
    assert grid_facts(trace, 110, 500)["to"] == 116


def test_codes_are_shown_where_all_of_them_have_room() -> None:
    """Of what was asked for: the whole grid, or the columns from one on, or up to one."""
    lines = shown(lambda trace, console: print_grid(trace, console, 28, 44), 80)
    assert lines == CODES_AT_80
    for first, last, width in ((None, None, 500), (100, None, 80), (0, 16, 80), (100, 400, 80)):
        with_codes, automatic, signs = (
            shown(lambda trace, console, c=c: print_grid(trace, console, first, last, codes=c), width)  # type: ignore[misc]  # noqa: B023
            for c in (True, None, False)
        )
        assert automatic == with_codes != signs
    for first, last, width in ((None, None, 80), (99, None, 80), (0, 17, 80)):
        automatic, signs = (
            shown(lambda trace, console, c=c: print_grid(trace, console, first, last, codes=c), width)  # type: ignore[misc]  # noqa: B023
            for c in (None, False)
        )
        assert automatic == signs


# Expected

AT_80 = """\
column   0         10        20        30        40        50        60
  delay  |'''''''''|'''''''''|'''''''''|'''''''''|'''''''''|'''''''''|'''''''''|
cb0  +4  ····pppppppppppppppppppppppppppppxxxx##################################
cb1  +6  ······pppppppppppppppppppppppppppxxxxxx################################
cb2  +6  ······pppppppppppppppppppppppppppxxxxxx################################
cb3  +6  ······pppppppppppppppppppppppppppxxxxxx################################
cb4  +6  ······pppppppppppppppppppppppppppxxxxxx################################
cb5  +6  ······pppppppppppppppppppppppppppxxxxxx################################
cb6  +6  ······pppppppppppppppppppppppppppxxxxxx################################
cb7  +6  ······pppppppppppppppppppppppppppxxxxxx################################

·  before the codebook's delay: the model sees BOS
p  prefix
x  generated, over a code of the prefix
#  generated
+d: frame t of a codebook stands in column t + d, so 117 columns hold 111 frames
(the largest delay is 6).
The main loop writes all codebooks from column 33 on, over the prefix's delayed
tail.
columns 0 … 70 of 0 … 116; --from 71 shows more
"""

AT_160 = """\
column   0         10        20        30        40        50        60        70        80        90        100       110
  delay  |'''''''''|'''''''''|'''''''''|'''''''''|'''''''''|'''''''''|'''''''''|'''''''''|'''''''''|'''''''''|'''''''''|''''''
cb0  +4  ····pppppppppppppppppppppppppppppxxxx################################################################################
cb1  +6  ······pppppppppppppppppppppppppppxxxxxx##############################################################################
cb2  +6  ······pppppppppppppppppppppppppppxxxxxx##############################################################################
cb3  +6  ······pppppppppppppppppppppppppppxxxxxx##############################################################################
cb4  +6  ······pppppppppppppppppppppppppppxxxxxx##############################################################################
cb5  +6  ······pppppppppppppppppppppppppppxxxxxx##############################################################################
cb6  +6  ······pppppppppppppppppppppppppppxxxxxx##############################################################################
cb7  +6  ······pppppppppppppppppppppppppppxxxxxx##############################################################################

·  before the codebook's delay: the model sees BOS
p  prefix
x  generated, over a code of the prefix
#  generated
+d: frame t of a codebook stands in column t + d, so 117 columns hold 111 frames (the largest delay is 6).
The main loop writes all codebooks from column 33 on, over the prefix's delayed tail.
columns 0 … 116 of 0 … 116
"""  # noqa: E501

CODES_AT_80 = """\
column    28      30                  35                  40
  delay    '   '   |   '   '   '   '   '   '   '   '   '   |   '   '   '   '
cb0  +4   16p 16p 44p 27p  9p 36x 54x 29x 39x 46  18  17  39  58  13  38  54
cb1  +6    4p 53p 17p 53p  4p 31x 37x 10x 40x 55x 48x 10  42  31   2  20  51
cb2  +6   59p 22p 52p 56p 56p 20x 19x 33x 11x 43x 25x 31  47  33   2  50  18
cb3  +6   52p 17p 47p 42p 33p 30x 35x 12x 12x 59x 52x 11  59  22  15   8  25
cb4  +6   31p 31p 12p 38p 10p 38x 33x 31x 63x 31x 11x 49  27  33  41  26  49
cb5  +6   57p 15p 36p 45p 50p 59x 10x 10x 62x 12x 61x 21  29  10  18  18  36
cb6  +6   35p 21p 26p 42p 35p 36x 21x 52x 54x 17x 56x  2   2  40   0  13  33
cb7  +6   62p 32p 46p 55p 62p  8x 52x  2x 50x 25x 24x 34   0  11  45  23  62

p  prefix
x  generated, over a code of the prefix
   generated (no sign)
+d: frame t of a codebook stands in column t + d, so 117 columns hold 111 frames
(the largest delay is 6).
The main loop writes all codebooks from column 33 on, over the prefix's delayed
tail.
columns 28 … 44 of 0 … 116; --from 45 shows more
"""

BANDS_AT_80 = """\
column   0         10        20        30        40        50        60
  delay  |'''''''''|'''''''''|'''''''''|'''''''''|'''''''''|'''''''''|'''''''''|
cb0  +4  ····pppppppppppppppppppppppppppppxxxx##################################
cb1  +6  ······pppppppppppppppppppppppppppxxxxxx################################
cb2  +6  ······pppppppppppppppppppppppppppxxxxxx################################
cb3  +6  ······pppppppppppppppppppppppppppxxxxxx################################
cb4  +6  ······pppppppppppppppppppppppppppxxxxxx################################
cb5  +6  ······pppppppppppppppppppppppppppxxxxxx################################
cb6  +6  ······pppppppppppppppppppppppppppxxxxxx################################
cb7  +6  ······pppppppppppppppppppppppppppxxxxxx################################

column   71       80        90        100       110
  delay  '''''''''|'''''''''|'''''''''|'''''''''|''''''
cb0  +4  ##############################################
cb1  +6  ##############################################
cb2  +6  ##############################################
cb3  +6  ##############################################
cb4  +6  ##############################################
cb5  +6  ##############################################
cb6  +6  ##############################################
cb7  +6  ##############################################

·  before the codebook's delay: the model sees BOS
p  prefix
x  generated, over a code of the prefix
#  generated
+d: frame t of a codebook stands in column t + d, so 117 columns hold 111 frames
(the largest delay is 6).
The main loop writes all codebooks from column 33 on, over the prefix's delayed
tail.
columns 0 … 116 of 0 … 116
"""
