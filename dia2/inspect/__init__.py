"""Everything that looks at a run."""
