"""Hook points that follow from a family's columns."""

from dia2.common.hooks import EVERY_CALL, MAIN_CALL, HookPoint
from dia2.inspect.schema.column import Column, Layout
from dia2.inspect.schema.draw import DrawKind
from dia2.inspect.schema.points import points_of

CODES = Column("codes", "I32", ("n", "K"), "tokens", "codes drawn")
LOGITS = Column("logits", "F32", ("n", "D", "V"), "full", "logits")
DRAWS = (DrawKind("cb.{k}", "codes"),)


def points(*columns: Column) -> list[HookPoint]:
    return points_of(Layout({column.name: column for column in columns}, frozenset()), DRAWS)


def names(*columns: Column) -> list[str]:
    return [point.name for point in points(*columns)]


def test_logits_are_points_where_a_column_keeps_them() -> None:
    assert names(CODES) == ["codes", "draw.cb.{k}"]
    assert names(CODES, LOGITS) == ["codes", "logits.cb.{k}", "draw.cb.{k}"]


def test_a_column_says_when_it_comes_and_of_what_kind_it_is() -> None:
    """What is drawn, and when, only calls that draw can tell; the rest comes with every call."""
    filled = Column("filled", "I32", ("n",), "tokens", "slots filled")
    read = Column("read", "I32", ("n", "2", "K"), "tokens", "tokens read")
    took = Column("took", "F32", ("n",), "tokens", "seconds of a call")
    assert points(CODES, filled, read, took, LOGITS) == [
        HookPoint("codes", "value", MAIN_CALL, "[K] codes drawn"),
        HookPoint("filled", "value", EVERY_CALL, "slots filled"),
        HookPoint("read", "value", EVERY_CALL, "[2, K] tokens read"),
        HookPoint("took", "time", MAIN_CALL, "seconds of a call"),
        HookPoint("logits.cb.{k}", "value", MAIN_CALL, "[V] float32 of the draw", "full"),
        HookPoint("draw.cb.{k}", "value", MAIN_CALL, "Draw: what it chose among", "topk"),
    ]


def test_which_call_and_its_phase_are_no_points() -> None:
    call, phase = (Column(name, "I32", ("n",), "tokens", name) for name in ("call", "phase"))
    assert names(call, phase, CODES) == names(CODES)
