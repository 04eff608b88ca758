"""MIDI ports: where notes leave for synthesizers and DAWs while they sound.

`port` says what a port is, and has one in memory; `system` opens those of the machine; `messages` are the bytes; `channels` gives
instruments their channels; `sender` sends on time, measures how late it was, and leaves silence behind. Nothing here knows a score or a
model.
"""
