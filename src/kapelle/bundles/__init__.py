"""A trained model as a folder: written by `export`, checked by `load`, run by `session`. See docs/reference/bundle.md."""
