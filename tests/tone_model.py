"""A text-to-audio model that is real and needs no weights: tones, one for each seed, told step by step. For tests of what is around it."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np

from kapelle.audio.waveform import Waveform
from kapelle.errors import Interrupted
from kapelle.progress import never, quiet
from kapelle.text_audio import catalogue
from kapelle.text_audio.catalogue import APACHE, CC_BY_NC, STABILITY, SoundModel

STEPS = 4
RATE = 16_000


def facts(name="tone", licence=CC_BY_NC, channels=1):
    """A row of the catalogue."""
    return SoundModel(
        name=name, family="tone", repo=f"nobody/{name}", licence=licence, sample_rate=RATE, channels=channels,
        window_s=30.0, longest_s=60.0,
        takes=frozenset({"negative_prompt", "steps", "melody", "continuation", "initial", "sampling"}), guidance=3.0, steps=STEPS,
        n_parameters=1_000, about="a tone",
    )  # fmt: skip


class Tones:
    """A loaded model. What it made, and how often it was asked to stop, can be looked at."""

    def __init__(self, model):
        self.model = model
        self.requests = []
        self.stop_after = None  # sounds, before Ctrl-C is pressed
        self.level = 0.1

    def imagine(self, request, *, progress=quiet, cancelled=never):
        """Each sound in `STEPS` steps."""
        for number in range(request.count):
            for step in range(STEPS):
                if cancelled():
                    raise Interrupted("stopped")
                if self.stop_after is not None and len(self.requests) >= self.stop_after:
                    raise KeyboardInterrupt
                progress(number * STEPS + step + 1, request.count * STEPS)
            self.requests.append(request)
            yield self.wave(request, request.seed + number)

    def wave(self, request, seed):
        """A tone with a little noise, both by the seed."""
        n = request.n_frames(RATE)
        noise = np.random.default_rng(seed).normal(0, 0.05, (n, self.model.channels))
        tone = np.sin(2 * np.pi * (220 + 20 * (seed % 10)) * np.arange(n) / RATE)[:, None]
        return Waveform((self.level * (tone + noise)).astype(np.float32), RATE)


def install(monkeypatch, folder):
    """Put models of tones into the catalogue, of three licences; gives the folder of their weights, and a list of those that are loaded."""
    rows = [facts(), facts("free-tone", APACHE, channels=2), facts("asking-tone", STABILITY)]
    loaded = []

    def load(folder, model, place):
        loaded.append(Tones(model))
        if load.prepare:
            load.prepare(loaded[-1])
        return loaded[-1]

    load.prepare = None
    monkeypatch.setattr(catalogue, "MODELS", (*catalogue.MODELS, *rows))
    monkeypatch.setitem(sys.modules, "kapelle.text_audio.tone", SimpleNamespace(load=load))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.safetensors").write_bytes(b"no weights")
    return SimpleNamespace(folder=folder, loaded=loaded, load=load)
