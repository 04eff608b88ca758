"""Studies: the same question put to many models, seeds or stages, and all answers side by side, to be heard, seen and counted.

A `plan.Plan` says which axes there are and which values each has; every combination is a cell, which a maker turns into a piece or into a
reason why there is none (`bridge`, `models`). `run.run` makes what is missing, writes each cell at once, and can be stopped and taken up
again; nothing that fails is made again until it is asked for. `measures` has figures of a piece, `tables` their statistics, `site` the
pages to listen on.
"""
