"""Hook points that follow from a family's columns."""

from dia2.inspect.schema.column import Column, Layout
from dia2.inspect.schema.draw import DrawKind
from dia2.inspect.schema.points import points_of

CODES = Column("codes", "I32", ("n", "K"), "tokens", "codes drawn")
LOGITS = Column("logits", "F32", ("n", "D", "V"), "full", "logits")
DRAWS = (DrawKind("cb.{k}", "codes"),)


def names(*columns: Column) -> list[str]:
    return [point.name for point in points_of(Layout({column.name: column for column in columns}, frozenset()), DRAWS)]


def test_logits_are_points_where_a_column_keeps_them() -> None:
    assert names(CODES) == ["codes", "draw.cb.{k}"]
    assert names(CODES, LOGITS) == ["codes", "logits.cb.{k}", "draw.cb.{k}"]
