"""The prompts that come with Kapelle: six by which text-to-audio models were once put side by side, and still can be.

They are data: `kapelle imagine --gallery` makes each with each model. A sound is named after its prompt, with underscores for spaces.
"""

from __future__ import annotations

GALLERY = (
    "80s pop track with bassy drums and synth",
    "90s rock song with loud guitars and heavy drums",
    "Techno music with a strong, upbeat tempo and high melodic riffs",
    "Lo-fi funk",
    "Country instrumental",
    "An uplifting jazz song that makes your head shake",
)

GALLERY_MODELS = ("musicgen-large", "audioldm2-music", "stable-audio-open")
"""The models that the gallery compares unless others are named."""
