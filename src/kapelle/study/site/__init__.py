"""Static pages to listen on: files that a browser opens from the disk, with nothing from elsewhere.

`study.pages` writes those of a study, `gallery.page` that of a folder of pieces, `blind.page` that of a blind test; all of them
through the frame of `kapelle.pages.markup`, which escapes whatever it is given.
"""

from kapelle.study.site.study import pages

__all__ = ["pages"]
