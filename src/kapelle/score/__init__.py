"""The written piece, which in memory is a `symusic.Score` in ticks: there is no class of our own around it.

=============  ==========================================================================================================
module         what it offers
=============  ==========================================================================================================
`read`         `read`, `read_with_report`, `Report`, `Limits`: foreign MIDI bytes in; the only door
`folders`      `files_in`, `MIDI_SUFFIXES`: the MIDI files of a folder, by their names
`write`        `write`, `to_bytes`, `write_bytes`: type-1 files out, whole or not at all, the same bytes each time
`units`        ticks, beats, bars and seconds: `bar_starts`, `n_bars`, `duration_s`, `ticks_to_seconds`, `bpm_at`, ...
`edit`         pure changes: `transpose`, `resolve_overlaps`, `crop_bars`, `clip_to`, `concat`, `resample`, `split_voices`, ...
`keys`         `Key`, `parse_key`, `estimate_key`
`instruments`  General MIDI: `program_of`, `program_name`, `instrument_of`, `INSTRUMENTS`, `DRUMS`
`roll`         `from_score`, `to_score`, `Roll`, `Form`, `FORMS`, `TRACKS`: a band of five as cells, and back
`marks`        `Mark`, `with_marks`, `marks_of`: themes and sections as markers
`melody`       `melody_notes`, `find_melody`, `two_tracks`: the melody as one line of sixteenths, and what plays beside it
`velocity`     `with_velocity`: the bytes of a MIDI file with other velocities, silent notes found
`info`         `info`, `Info`: a score in numbers
=============  ==========================================================================================================

`limits`, `container`, `events` and `parts` are the inside of `read`. Modules are imported by name:
``from kapelle.score.read import read``.
"""
