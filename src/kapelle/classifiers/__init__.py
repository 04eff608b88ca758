"""What a classifier says of a piece or a sound, and the features that it looks at.

=================  ================================================================================================
module             what it offers
=================  ================================================================================================
`verdict`          `Verdict`: the whole probability vector of one thing, with warnings
`midi_features`    `features`: a score as a row of numbers with names, for trees and for clustering
`midi_rows`        the rows of a piece: excerpts measured, the one path in training and in use
`note_grid`        notes as features look at them, in twelfths of a quarter; `harmony_features`: their chords
`midi`             `MidiClassifier`: scores to verdicts, by a bundle that was grown on such rows
`judge`            `GenreJudge`: scores to verdicts and points, for evaluation alone
`audio_features`   `features`: a sound as `AudioFeatures`, which alone a classifier of sound can be asked
`audio_patterns`   those of pulse, harmony and texture among them; `heard_notes`: those of notes that can be heard
`audio`            `AudioClassifier`: sounds and sound files to verdicts
`renderings`       written music as many recordings of it, which a classifier of sound learns from
`opening`          `opened`: the classifier of a bundle, whatever it takes
=================  ================================================================================================

At use a classifier needs numpy and onnxruntime. Growing one is the business of `kapelle.training`.
"""
