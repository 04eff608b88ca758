"""Scores as token ids and back.

`vocabulary` names the ids, `remi` turns a Score into ids and ids into notes, `controls` writes the conditions that stand before
a block, `grammar` says which token may follow which.
"""
