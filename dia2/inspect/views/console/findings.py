"""`dia2 trace findings`: what is wrong with a run, where, and what to do, worst first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console

from dia2.inspect.schema.finding import Finding, verdict
from dia2.inspect.schema.report import Block, Line, Paragraph
from dia2.inspect.trace.header import SIGNS
from dia2.inspect.trace.trace import Trace
from dia2.inspect.views.console.blocks import print_blocks
from dia2.inspect.views.console.page import NARROWEST, Page


def findings_facts(found: Sequence[Finding]) -> list[dict[str, Any]]:
    """All of them, worst first."""
    return [one.to_json() for one in found]


def print_findings(trace: Trace[Any], found: Sequence[Finding], console: Console) -> None:
    """Print each with its place and what to do."""
    blocks: list[Block] = [Paragraph([(str(trace.path), "head")])]
    if not found:
        sign, style = SIGNS["good"]
        blocks.append(Paragraph([(f"{sign} ", style), verdict(found).text]))
    for one in found:
        sign, style = SIGNS[one.severity]
        where = f"call {one.call}" if one.call == one.until else f"calls {one.call} … {one.until}"
        whose = "" if one.speaker is None else f", speaker {one.speaker}"
        blocks += [
            Line(),
            Line([(f"{sign} {one.kind}", style), (f"  {where}{whose}", "dim")]),
            Paragraph(one.text, indent=2),
            Paragraph((f"→ {one.fix}", "dim"), indent=2),
        ]
    print_blocks(blocks, Page(console, NARROWEST))
