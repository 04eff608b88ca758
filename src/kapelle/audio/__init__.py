"""Sound as numbers: the waveform, its files and the few effects that rendering needs."""

from kapelle.audio.waveform import Waveform

__all__ = ["Waveform"]
