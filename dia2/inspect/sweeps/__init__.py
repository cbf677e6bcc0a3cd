"""Thousands of runs: a plan, engines that make it, and one dataset of what came out."""
