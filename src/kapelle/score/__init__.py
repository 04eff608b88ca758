"""The written piece, which in memory is a `symusic.Score` in ticks."""
