"""A trace to look at: terminal, plots, explorer."""
