"""Changing runs: sweeps, and controls for a notebook."""
