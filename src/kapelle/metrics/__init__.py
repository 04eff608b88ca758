"""Pure functions from a score, a band's cells, or figures of many scores, to numbers and verdicts.

============  ========================================================================================
module        what it offers
============  ========================================================================================
`degenerate`  `degeneracy`: empty spans, loops, one pitch class, no ending; `Degeneracy`
`obedience`   `key`, `tempo`, `metre`, `instruments`, `bars`: asked against found; `Answer`
`musegan`     `measure`, `deviations`, `distance`, `shuffle_bars`: EB, UPC, QN, DP and TD of a band's cells; `Tally`
`theme`       `measure`, `melody_distance`: how far a piece keeps to its theme; all of it our definitions
`bootstrap`   `ratio`, `share`, `saving`: a figure over pieces with its interval; `Estimate`
============  ========================================================================================

What a metric takes, its unit, its range and what it gives where there is nothing to measure stand at the head of its module and in
docs/reference/metrics.md. A metric reads no file, draws no picture and knows no model; what needs a model takes its output.
"""
