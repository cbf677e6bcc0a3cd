"""Tensors only: the transformer, the depformer and what they are made of. No I/O and no host sync."""
