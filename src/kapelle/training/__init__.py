"""From token shards to weights.

One visible loop (`fit`), what it optimises (`objectives`), what it keeps (`checkpoint`), what it tells (`trackers`). Imports torch,
numpy, transformers and lightning, nothing of music: a run needs only shards and a recipe.
"""
