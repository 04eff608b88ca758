"""Pure functions from a score, a band's cells, or figures of many scores, to numbers and verdicts.

================  ========================================================================================
module            what it offers
================  ========================================================================================
`piece`           `measure`, `METRICS`: all metrics of a piece by name; `Metric`
`excerpt`         `excerpt`: the part of a score that is measured, as columns; `Excerpt`
`pitch`           entropy of pitch classes, scale consistency, range, pitches used
`rhythm`          groove consistency, above chance too; groove similarity
`polyphony`       polyphony and its rate, empty beats and bars, notes and hits a bar
`harmony`         chord progression irregularity, `progression`
`structure`       `self_similarity`, structureness, compression ratio
`band`            `by_track`, `means`: the metrics of `musegan` for a score
`fingerprints`    `lines`, `fingerprints`, `winnowed`: stretches of lines, the same in any key and at any speed
`degenerate`      `degeneracy`: empty spans, loops, one pitch class, no ending; `Degeneracy`
`obedience`       `key`, `tempo`, `metre`, `instruments`, `bars`: asked against found; `Answer`
`musegan`         `measure`, `deviations`, `distance`, `shuffle_bars`: EB, UPC, QN, DP and TD of a band's cells; `Tally`
`theme`           `measure`, `melody_distance`: how far a piece keeps to its theme; all of it our definitions
`distance`        `overlap`, `kld`, `frechet`, `compared`: how far two sets of pieces lie apart
`neighbours`      precision, recall, density and coverage of one set of vectors against another
`two_sample`      `two_sample`: whether a simple classifier tells two sets apart
`classification`  `classification`: right answers, calibration and confusions of a classifier
`bootstrap`       `ratio`, `share`, `mean`, `saving`: a figure over pieces with its interval; `Estimate`
================  ========================================================================================

What a metric takes, its unit, its range and what it gives where there is nothing to measure stand at the head of its module and in
docs/reference/metrics.md. A metric reads no file, draws no picture and knows no model; what needs a model takes its output.
"""
