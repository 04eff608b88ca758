"""Studies: the same question put to many models, seeds or stages, and all answers side by side, to be heard, seen and counted.

`experiment` reads what a plan's file says, `plan` has its axes and cells, `bridge` and `models` make them; `composers` fills a cell with a
piece or with a reason why there is none. `run` carries a plan out, over processes, `cell` by cell: what is there is kept, what fails stays
in its cell. `figures`, `measures` and `opinions` say what a piece is like, `tables` and `effects` what all of them are, `site` has the pages
to listen on. `blind` makes a listening test of a study, `answers` counts what people said, `agreement` how far they agree.
"""
