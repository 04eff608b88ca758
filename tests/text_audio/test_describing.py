"""A piece in the words of a prompt: what is clear is told, what is not is left out."""

import pytest
import symusic

import pieces
from kapelle.bundles import load
from kapelle.errors import MidiError
from kapelle.text_audio.describing import Facts, facts_of, sentence

SCALE = [(480 * i, 480, 60 + pitch, 80) for i, pitch in enumerate((0, 2, 4, 5, 7, 9, 11, 12))]
BEAT = [(480 * i, 100, 36, 100) for i in range(8)]


def of(*tracks, bpm=120.0, genre=""):
    return sentence(facts_of(pieces.score(*tracks, bpm=bpm), genre))


FACTS = {
    "A fast jazz piece in B-flat major at 152 BPM, played by piano, bass and drums": Facts(
        genre="jazz", key="Bb major", bpm=152.0, instruments=("piano", "bass", "drums")
    ),
    "A very slow classical piece in 3/4 time and F-sharp minor at 58 BPM, played by strings alone": Facts(
        genre="classical", key="F# minor", bpm=58.4, metre="3/4", instruments=("strings",)
    ),
    "An upbeat EDM piece at 125 BPM, played by lead synth and drums": Facts(genre="edm", bpm=125.0, instruments=("lead synth", "drums")),
    "An EDM piece, played by drums alone": Facts(genre="edm", instruments=("drums",)),
    "A piece in C major with a free tempo, played by piano alone": Facts(free=True, key="C major", instruments=("piano",)),
    "A piece in 7/8 time, played by oboe alone": Facts(metre="7/8", instruments=("oboe",)),
    "A piece, played by piano, bass, violin, flute, drums and other instruments": Facts(
        instruments=("piano", "bass", "violin", "flute", "drums"), more=True
    ),
}


@pytest.mark.parametrize(("expected", "facts"), FACTS.items())
def test_facts_become_a_sentence(expected, facts):
    assert sentence(facts) == expected


SPEEDS = {
    40: "A very slow", 60: "A slow", 80: "A mid-tempo", 110: "An upbeat", 135: "A fast", 170: "A very fast", 250: "A very fast",
}  # fmt: skip


@pytest.mark.parametrize(("bpm", "word"), SPEEDS.items())
def test_a_tempo_has_a_word(bpm, word):
    assert of(pieces.track(*SCALE), bpm=bpm).startswith(f"{word} piece in C major at {bpm} BPM")


def test_the_words_for_instruments_are_those_that_people_use():
    words = {0: "piano", 33: "bass", 48: "strings", 61: "brass", 25: "acoustic guitar", 40: "violin", 127: "sound effects"}
    for program, name in words.items():
        assert of(pieces.track(*SCALE, program=program)).endswith(f"played by {name} alone")


def test_every_program_has_a_name_in_small_letters_but_for_names_of_nations():
    for program in range(128):
        name = facts_of(pieces.score(pieces.track(*SCALE, program=program))).instruments[0]
        assert name.removeprefix("French ").removeprefix("English ").islower(), name


def test_two_tracks_of_one_instrument_are_one_player_and_drums_come_last():
    low = [(time, length, pitch - 24, 80) for time, length, pitch, _ in SCALE]
    tracks = (pieces.track(*BEAT, drums=True), pieces.track(*low, program=32), pieces.track(*SCALE), pieces.track(*SCALE, program=1))
    assert facts_of(pieces.score(*tracks)).instruments == ("piano", "double bass", "drums")


def test_who_plays_a_note_or_two_is_not_told():
    many = [(120 * i, 120, 60 + i % 7, 80) for i in range(200)]
    facts = facts_of(pieces.score(pieces.track(*many), pieces.track((0, 60, 72, 80), program=73)))
    assert (facts.instruments, facts.more) == (("piano",), False)


def test_of_an_orchestra_five_are_told_and_drums_are_among_them():
    tracks = [pieces.track(*SCALE, program=program) for program in (40, 42, 60, 68, 70, 73)]
    facts = facts_of(pieces.score(*tracks, pieces.track(*BEAT, drums=True)))
    assert (len(facts.instruments), facts.instruments[-1], facts.more) == (5, "drums", True)


def test_of_a_host_that_plays_alike_five_are_told_though_none_stands_out():
    named_alone = (*range(8, 14), 20, 21, 22, 40, 41, 42, 47, *range(56, 60), 68, *range(70, 80), *range(104, 118))
    facts = facts_of(pieces.score(*(pieces.track(*SCALE, program=program) for program in named_alone)))
    assert (len(facts.instruments), facts.more) == (5, True)


def test_drums_alone_have_no_key():
    assert of(pieces.track(*BEAT, drums=True)) == "An upbeat piece at 120 BPM, played by drums alone"


def test_a_piece_without_notes_is_refused():
    for score in (pieces.score(), pieces.score(pieces.track()), symusic.Score(480)):
        with pytest.raises(MidiError, match="no notes to describe"):
            facts_of(score)


def test_a_key_that_no_scale_bears_out_is_left_out():
    chromatic = [(480 * i, 480, 60 + i, 80) for i in range(12)]
    assert facts_of(pieces.score(pieces.track(*chromatic))).key is None


def test_a_tempo_that_the_file_does_not_state_is_not_made_up():
    score = pieces.score(pieces.track(*SCALE))
    score.tempos.clear()
    facts = facts_of(score)
    assert (facts.bpm, facts.free) == (None, False)


def test_a_tempo_that_breathes_is_one_and_one_that_wanders_is_none():
    score = pieces.score(pieces.track(*SCALE))
    for i in range(1, 8):
        score.tempos.append(symusic.Tempo(480 * i, qpm=120 + (-1) ** i))
    assert facts_of(score).bpm == pytest.approx(120, abs=1.1)
    for i in range(1, 8):
        score.tempos.append(symusic.Tempo(480 * i + 240, qpm=60 + 20 * i))
    facts = facts_of(score)
    assert (facts.bpm, facts.free) == (None, True)


def test_a_ritardando_at_the_end_does_not_free_the_tempo():
    score = pieces.score(pieces.track(*SCALE, *((480 * i, 480, 60, 80) for i in range(8, 40))))
    score.tempos.append(symusic.Tempo(480 * 38, qpm=60))
    assert facts_of(score).bpm == pytest.approx(120)


@pytest.mark.parametrize(("metre", "bpm"), [((4, 4), 120), ((6, 8), 80), ((2, 2), 60), ((3, 4), 120), ((7, 8), 120)])
def test_beats_are_counted_as_they_are_felt(metre, bpm):
    score = pieces.score(pieces.track(*SCALE))
    score.time_signatures.append(symusic.TimeSignature(0, *metre))
    facts = facts_of(score)
    assert facts.bpm == pytest.approx(bpm)
    assert facts.metre == f"{metre[0]}/{metre[1]}"


def test_the_metre_is_the_one_that_lasts():
    score = pieces.score(pieces.track(*SCALE, *((480 * i, 480, 60, 80) for i in range(8, 40))))
    score.time_signatures.append(symusic.TimeSignature(0, 4, 4))
    score.time_signatures.append(symusic.TimeSignature(1920, 3, 4))
    assert facts_of(score).metre == "3/4"


@pytest.mark.skipif(not load.installed(), reason="no bundle is installed")
@pytest.mark.parametrize(
    ("seed", "asked"), [(2, {"key": "Bb major", "tempo": 152, "instruments": "piano,bass"}), (3, {"metre": "3/4", "tempo": 70})]
)
def test_a_piece_composed_as_asked_is_told_so(seed, asked):
    from kapelle import api

    piece = api.compose(model="genre-small", seed=seed, bars=8, **asked)
    facts = facts_of(piece.score)
    assert facts.bpm == pytest.approx(asked["tempo"], rel=0.02)
    assert facts.metre == asked.get("metre", "4/4")
    if "key" in asked:
        assert facts.key == asked["key"]
        assert set(facts.instruments) <= {"piano", "bass"}
