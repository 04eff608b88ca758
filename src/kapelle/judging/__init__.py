"""Judging: loads classifiers, embeddings and indexes, applies metrics, and says what they found.

=====================  ===================================================================================================
module                 what it offers
=====================  ===================================================================================================
`rank`                 many candidates, the best first: a score from parts, each with a reason
`panel`                who judges candidates, and what they say of each alone
`choosing`             which candidates are taken; `clusters`: one of each kind, `outliers`: how far from real music
`reference`            the real music that candidates are compared with
`likelihood`           bits per note of a piece under a bundle
`originality`          the longest run of notes, and the share, that a piece has in common with a model's training music
`originality_index`    fingerprints of that music; `originality_figures`: an index made, with the figures of held-out music
`training_music`       the music in a folder of shards, as its model sees it
`evaluate`             a folder of pieces against real music, beside baselines (`baselines`)
`excerpts`             the work on one piece of an evaluation; `kept`: what was measured so far
`comparing`            the rows of an evaluation against half of the reference
`evaluation`           what an evaluation found, as tables that go to JSON
`report`               it as tables of texts; `report_page`: as a page, with `report_pictures`
`asked`                what a recipe beside a file asked for, and whether the file has it
=====================  ===================================================================================================
"""
