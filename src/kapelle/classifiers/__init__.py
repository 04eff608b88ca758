"""What a classifier says of a piece or a sound, and the features that it looks at.

=================  ===================================================================================
module             what it offers
=================  ===================================================================================
`verdict`          `Verdict`: the whole probability vector of one thing, with warnings
`midi_features`    `features`: a score as a row of numbers with names, for trees and for clustering
`midi`             `MidiClassifier`: scores to verdicts, by a bundle that was grown on such rows
`opening`          `opened`: the classifier of a bundle, whatever it takes
=================  ===================================================================================

At use a classifier needs numpy and onnxruntime. Growing one is the business of `kapelle.training`.
"""
