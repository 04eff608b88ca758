"""A score for the eye: the piano roll as a picture."""
