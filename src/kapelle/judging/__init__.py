"""Judging: loads classifiers, embeddings and indexes, applies metrics, and says what they found."""
