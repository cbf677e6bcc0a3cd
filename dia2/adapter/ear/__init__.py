"""The model's own ear: whether a prefix's words stand where they sound, by how likely that makes the sound.

`curves` (what was heard, as data) and `shifts` (what follows from it) bring no model; `hypotheses`, `listen` and `hear`
compute it with one, `of` for a trace that was recorded without.
"""
