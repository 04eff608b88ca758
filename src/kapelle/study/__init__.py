"""Studies: the same question put to many models, seeds or stages, and all answers side by side, to be heard, seen and counted.

=============  ======================================================================================
module         what it offers
=============  ======================================================================================
`experiment`   what a plan's file says: `Experiment`
`plan`         the axes and cells of a study; `bridge` and `models` make them
`composers`    a cell filled with a piece, or with a reason why there is none
`run`          a plan carried out, over processes, `cell` by `cell`: what is there is kept
`sound`        what is heard of a cell; `pictures`: what is seen
`measures`     what a piece is like, in numbers; `opinions`: what classifiers say of it; `figures`: both
`tables`       what all pieces are like; `effects`: what goes with the choices of a plan
`blind`        a listening test of a study; `answers` counts it, `agreement` says how far people agree
`site`         the pages to listen on
=============  ======================================================================================
"""
