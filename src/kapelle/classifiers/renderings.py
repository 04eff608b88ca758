"""Written music as many recordings of it: the training material of a classifier of audio that is free to be used.

Takes a score; gives half a minute of sound from somewhere in it, played by a synthesizer, on instruments, at a speed, in a key, at a
level and with such noise and muffling as chance says: a classifier is to hear the music and not who plays it. The same bytes, rules and
number give the same sound as long as the same players are installed.

What is left out: drums and voices, which the training music does not have, rooms, microphones, other SoundFonts than the one that is
installed with Kapelle.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from kapelle import config
from kapelle.audio import spectra
from kapelle.audio.effects import normalise_peak, resample
from kapelle.audio.waveform import Waveform, amplitude
from kapelle.classifiers import midi_features
from kapelle.classifiers.audio_features import EXCERPT_S, NAMES, features
from kapelle.errors import UsageError
from kapelle.render import sine, soundfont
from kapelle.score import edit, units

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from symusic import Score

    from kapelle.data.render_rules import RenderRules

EDITION = 1
"""Raise it when the same score is rendered otherwise, or heard otherwise: older cache entries are then not used."""

RATES_HZ = (22_050, 22_050, 22_050, 44_100)
LEAD_S = 0.5  # of music before the excerpt, so that it does not begin in silence
TRIES = 4


@dataclass(frozen=True)
class RenderMeasure:
    """Rows for a feature table, one for each rendering of a piece; see `kapelle.data.feature_collect.Measure`."""

    rules: RenderRules

    @property
    def names(self) -> tuple[str, ...]:
        """See `Measure`."""
        return NAMES

    def settings(self) -> list[Any]:
        """See `Measure`."""
        editions = [EDITION, midi_features.EDITION]
        return ["renderings", editions, list(NAMES), config.plain(self.rules), soundfont.fluidsynth_available()]

    def rows(self, score: Score, digest: str) -> NDArray[np.float32]:
        """See `Measure`.

        Raises:
            KapelleError: The piece is too short, has too few notes or cannot be rendered.
        """
        if units.duration_s(score) < self.rules.min_s:
            raise UsageError("too short")
        numbers = range(int(digest, 16), int(digest, 16) + self.rules.views)
        return np.stack([features(rendering(score, self.rules, number)[0]).values for number in numbers])


def rendering(score: Score, rules: RenderRules, number: int) -> tuple[Waveform, str]:
    """Up to half a minute of `score` in one channel at 22,050 Hz, rendered as chance and `rules` say, and by which player.

    Args:
        score: What is played.
        rules: Within which bounds it is changed.
        number: Which of the renderings; with the rules' seed it decides all chance.

    Raises:
        KapelleError: No excerpt has notes enough, or it cannot be rendered.
    """
    chance = np.random.default_rng([rules.seed, number])
    excerpt = _excerpt(_varied(score, rules, chance), rules, chance)
    player = _there(rules.players[int(chance.integers(len(rules.players)))])
    wave = _played(excerpt, player, int(chance.choice(RATES_HZ)))
    samples = resample(Waveform(wave.samples.mean(axis=1), wave.sample_rate), spectra.RATE_HZ).samples[:, 0]
    first = round(LEAD_S * spectra.RATE_HZ)
    samples = samples[first : first + round(EXCERPT_S * spectra.RATE_HZ)]
    if chance.random() < rules.muffled:
        samples = muffled(samples, float(np.exp(chance.uniform(np.log(2_500), np.log(9_000)))), int(chance.integers(1, 4)))
    wave = normalise_peak(Waveform(samples, spectra.RATE_HZ), float(chance.uniform(rules.quietest_db, 0.0)))
    if chance.random() < rules.noise:
        hiss = chance.standard_normal(wave.n_frames).astype(np.float32) * np.float32(amplitude(float(chance.uniform(-70, -40))))
        wave = Waveform(wave.samples[:, 0] + hiss, wave.sample_rate)
    return wave, player


def muffled(samples: NDArray[np.float32], cutoff_hz: float, order: int) -> NDArray[np.float32]:
    """`samples` at 22,050 Hz, shape (N,), with what lies above `cutoff_hz` falling off by 6 dB times `order` an octave."""
    n_padded = 1 << (len(samples) - 1).bit_length()
    spectrum = np.fft.rfft(samples, n_padded)
    hz = np.fft.rfftfreq(n_padded, 1.0 / spectra.RATE_HZ)
    spectrum /= np.sqrt(1.0 + (hz / cutoff_hz) ** (2 * order))
    return np.fft.irfft(spectrum, n_padded)[: len(samples)].astype(np.float32)


def _varied(score: Score, rules: RenderRules, chance: np.random.Generator) -> Score:
    """`score` in another key, at another speed, on other instruments."""
    varied = edit.transpose(score, int(chance.integers(-rules.semitones_down, rules.semitones_up + 1)))
    factor = 1.0 + chance.uniform(-rules.tempo, rules.tempo)
    if not len(varied.tempos) or varied.tempos[0].time > 0:
        varied.tempos.insert(0, _tempo())
    for tempo in varied.tempos:
        tempo.mspq = round(tempo.mspq / factor)
    if chance.random() >= rules.own_program:
        varied = edit.set_programs(varied, [None if track.is_drum else int(chance.choice(rules.programs)) for track in varied.tracks])
    return varied


def _tempo() -> Any:
    from symusic import Tempo

    return Tempo(0, 120.0)


def _excerpt(score: Score, rules: RenderRules, chance: np.random.Generator) -> Score:
    """Half a minute and a bit of `score` from anywhere in it, with notes enough."""
    room_s = max(units.duration_s(score) - EXCERPT_S - LEAD_S, 0.0)
    for _ in range(TRIES):
        start_s = float(chance.uniform(0.0, room_s)) if room_s else 0.0
        start, end = (int(units.seconds_to_ticks(score, at)) for at in (start_s, start_s + EXCERPT_S + LEAD_S))
        part = edit.clip(score, start, end)
        n_notes = sum(len(track.notes) for track in part.tracks)
        if n_notes >= rules.min_notes:
            return part
    raise UsageError("too few notes")


def _there(player: str) -> str:
    return "sampler" if player == "fluidsynth" and not soundfont.fluidsynth_available() else player


def _played(score: Score, player: str, sample_rate: int) -> Waveform:
    if player == "sine":
        return sine.render(score, sample_rate=sample_rate)
    return soundfont.render(score, sample_rate=sample_rate, player=cast("soundfont.Player", player))
