"""Runs of Dia, the first generation: what differs from Dia2 in recording, storing and looking at them."""
