"""A trace on disk: its files, and the bounds on everything that is read."""
