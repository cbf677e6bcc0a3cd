"""Mimi's network in plain torch: every layer computes a stream piece by piece, and the whole as one piece."""
