"""Thousands of runs: a plan, engines that make it, and one dataset of what came out."""

from dia2.inspect.sweeps.plan import Plan, RunOptions, read_plan
from dia2.inspect.sweeps.query import query
from dia2.inspect.sweeps.sweep import Summary, SweepProgress, make

__all__ = ["Plan", "RunOptions", "Summary", "SweepProgress", "make", "query", "read_plan"]
