"""The melody of a piece: its notes on the grid of sixteenths.

A melody is an array of `MELODY_NOTE`, sorted by start, no two notes of which sound at once.
"""

from __future__ import annotations

import numpy as np

MELODY_NOTE = np.dtype([("start", "<i4"), ("duration", "<i4"), ("pitch", "<i4"), ("velocity", "<i4")])
"""A note: start in sixteenths from bar 0, duration in sixteenths (at least 1), MIDI pitch, velocity 1 to 127."""
