"""Sounds from sentences: what is made, what it is called, what it says of itself, and what is kept when the work ends early."""

import json
import re
import weakref
from dataclasses import replace
from functools import partial
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest

pytest.importorskip("torch")
import pieces
import tone_model
from kapelle import api
from kapelle.api.imagining import SoundWay
from kapelle.api.sound_files import Finish, sound_orders, stem_of
from kapelle.audio import files
from kapelle.audio.loudness import loudness
from kapelle.errors import CannotObey, Interrupted, MidiError, Missing, NotEnoughMemory, UnknownName, UnreadableInput, UsageError
from kapelle.score.write import write
from kapelle.text_audio import prompts
from kapelle.text_audio.request import MAX_SEED, SoundRequest


@pytest.fixture
def tones(monkeypatch, tmp_path):
    """Models of tones, and the way to them."""
    monkeypatch.setenv("KAPELLE_HOME", str(tmp_path / "home"))
    held = tone_model.install(monkeypatch, tmp_path / "weights")
    held.way = SoundWay(weights=held.folder)
    return held


def wish(prompt="Lo-fi funk", **settings):
    return SoundRequest(prompt=prompt, **{"duration_s": 1.0, "seed": 7, **settings})


def made(tones, orders, finish=None, model="tone", **more):
    return list(api.imagine_files(orders, model, tones.way, finish, **more))


# what is made


def test_a_text_alone_is_a_prompt(tones):
    (sound,) = api.imagine("Lo-fi funk", "tone", tones.way)
    assert sound.request == SoundRequest(prompt="Lo-fi funk")
    assert (sound.wave.n_frames, sound.wave.sample_rate, sound.licence.name) == (160_000, 16_000, "CC BY-NC 4.0")


def test_every_sound_of_a_request_has_the_next_seed(tones):
    sounds = list(api.imagine(wish(count=3), "tone", way=tones.way))
    assert [sound.seed for sound in sounds] == [7, 8, 9]
    assert [sound.request.count for sound in sounds] == [1, 1, 1]
    alone = next(api.imagine(wish(seed=9), "tone", way=tones.way))
    assert np.array_equal(sounds[2].wave.samples, alone.wave.samples)


def test_what_is_beyond_a_model_is_refused_before_anything_is_loaded(tones):
    for asked, model, kind in (
        (wish(candidates=2), "tone", CannotObey),
        (wish(duration_s=61), "tone", UsageError),
        (wish(), "bell", UnknownName),
        (wish(), "musicgen-small", Missing),
    ):
        with pytest.raises(kind):
            api.imagine(asked, model, way=replace(tones.way, weights=None if model == "musicgen-small" else tones.folder, offline=True))
    assert not tones.loaded


def test_seeds_of_all_sounds_are_in_range():
    assert SoundRequest(prompt="Lo-fi funk", seed=MAX_SEED - 1, count=2).count == 2
    with pytest.raises(UsageError, match=f"seed must be 0 to {MAX_SEED - 1}, not {MAX_SEED}"):
        SoundRequest(prompt="Lo-fi funk", seed=MAX_SEED, count=2)


def test_a_licence_that_forbids_money_is_refused_where_money_is_meant(tones):
    way = replace(tones.way, commercial=True)
    with pytest.raises(UsageError) as caught:
        api.imagine(wish(), "tone", way=way)
    assert "free-tone" in f"{caught.value} {caught.value.hint}"
    assert next(api.imagine(wish(), "free-tone", way=way)).wave.n_channels == 2


def test_the_licence_is_told_before_a_download_and_not_otherwise(tones, monkeypatch):
    from kapelle.text_audio import weights

    told, fetched = [], []

    def fetch(model, *, progress, offline):
        fetched.append((model.name, list(told)))
        return tones.folder

    monkeypatch.setattr(weights, "fetch", fetch)
    monkeypatch.setattr(weights, "find", lambda model, folder=None, *, offline=False: folder)
    list(api.imagine(wish(), "tone", way=SoundWay(notice=told.append)))
    assert fetched[0][0] == "tone"
    assert "CC BY-NC 4.0" in fetched[0][1][0]
    told.clear()
    list(api.imagine(wish(), "tone", way=replace(tones.way, notice=told.append)))
    assert (len(fetched), told) == (1, [])


def test_what_would_not_fit_is_not_fetched(tones, monkeypatch):
    from kapelle.text_audio import memory, weights

    monkeypatch.setattr(memory, "free", lambda device: 1_000_000_000)
    monkeypatch.setattr(weights, "find", lambda model, folder=None, *, offline=False: None)
    monkeypatch.setattr(weights, "fetch", lambda *model, **way: pytest.fail("it was fetched"))
    told = []
    with pytest.raises(NotEnoughMemory, match="musicgen-large needs about"):
        list(api.imagine(wish(), "musicgen-large", way=SoundWay(notice=told.append, device="cpu")))
    assert not told


def test_a_folder_that_holds_folders_of_models_gives_the_one_of_the_model(tones, tmp_path):
    inner = tmp_path / "all" / "tone"
    inner.mkdir(parents=True)
    (inner / "model.safetensors").write_bytes(b"others")
    here = next(api.imagine(wish(), "tone", SoundWay(weights=tmp_path / "all")))
    assert here.weights != next(api.imagine(wish(), "tone", way=tones.way)).weights
    with pytest.raises(Missing, match="holds no weights of free-tone") as caught:
        api.imagine(wish(), "free-tone", SoundWay(weights=tmp_path / "all"))
    assert str(caught.value.hint).endswith(": tone")


def test_the_table_of_models_needs_no_weights(tones):
    rows = {row["name"]: row for row in api.sound_models()}
    assert rows["tone"]["licence"] == "CC BY-NC 4.0"
    assert rows["tone"]["fetched"] is None
    assert rows["stable-audio-open"]["gated"]
    json.dumps(list(rows.values()))


# names


@pytest.mark.parametrize(
    ("prompt", "stem"),
    [
        ("80s pop track with bassy drums and synth", "80s_pop_track_with_bassy_drums_and_synth"),
        (
            "Techno music with a strong, upbeat tempo and high melodic riffs",
            "Techno_music_with_a_strong,_upbeat_tempo_and_high_melodic_riffs",
        ),
        ("Lo-fi funk", "Lo-fi_funk"),
        ("a/b: c?\tand  more\n", "a-b-_c-_and_more"),
        ("con", "_con"),
        ("грустный вальс", "грустный_вальс"),
        ("../../etc/passwd", "-..-etc-passwd"),
    ],
)
def test_a_sound_is_named_after_its_prompt(prompt, stem):
    assert stem_of(prompt) == stem


def test_a_long_prompt_makes_a_name_that_systems_can_hold():
    assert len(stem_of("я" * 1000).encode()) <= 120


def test_seeds_stand_in_the_names_of_several_sounds(tmp_path):
    orders = sound_orders([wish(count=2), wish("LO-FI FUNK", count=2)], tmp_path)
    assert [order.path.name for order in orders] == ["Lo-fi_funk-7.wav", "Lo-fi_funk-8.wav", "LO-FI_FUNK-2-7.wav", "LO-FI_FUNK-2-8.wav"]
    assert [order.request.seed for order in orders] == [7, 8, 7, 8]


def test_a_folder_that_is_there_may_have_a_suffix(tmp_path):
    (tmp_path / "v1.0").mkdir()
    assert sound_orders([wish()], tmp_path / "v1.0")[0].path == tmp_path / "v1.0" / "Lo-fi_funk.wav"


def test_one_file_is_no_place_for_two_sounds(tmp_path):
    with pytest.raises(UsageError, match="2 sounds need a folder"):
        sound_orders([wish(count=2)], tmp_path / "out.wav")
    with pytest.raises(UnknownName, match="sound format"):
        sound_orders([wish()], tmp_path / "out.aiff")


def test_no_prompt_at_all_is_said(tones, tmp_path):
    with pytest.raises(UsageError, match="no sound is asked for"):
        made(tones, sound_orders([], tmp_path))
    with pytest.raises(UsageError, match="0 sounds need a folder"):
        sound_orders([], tmp_path / "out.wav")


def test_a_copy_may_not_take_the_place_of_another_sound(tones, tmp_path):
    orders = sound_orders([wish("funk"), wish("funk-wiener")], tmp_path / "out")
    with pytest.raises(UsageError, match="two sounds would both be"):
        made(tones, orders, Finish(denoise=("wiener",)))


# files


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg", ".opus", ".mp3"])
def test_a_file_says_what_made_it(tones, tmp_path, suffix):
    (one,) = made(tones, sound_orders([wish("Lo-fi фанк")], tmp_path / f"out{suffix}"))
    said = files.tags(tmp_path / f"out{suffix}")
    assert said["title"] == "Lo-fi фанк"
    assert said["artist"] == "nobody/tone"
    assert said["software"] == "kapelle"
    assert said["license"] == "CC BY-NC 4.0, https://creativecommons.org/licenses/by-nc/4.0/"
    assert said["copyright"].startswith("CC BY-NC 4.0: not for money")
    assert said["comment"].startswith("model=tone; seed=7; duration_s=1.0; weights=")
    assert one.facts["weights"].startswith(said["comment"].rpartition("=")[2])


def test_the_same_sound_is_the_same_bytes(tones, tmp_path):
    for name in ("a.wav", "b.wav"):
        made(tones, sound_orders([wish()], tmp_path / name))
    assert (tmp_path / "a.wav").read_bytes() == (tmp_path / "b.wav").read_bytes()


def test_a_sound_is_as_loud_as_streaming_services_play_it(tones, tmp_path):
    (one,) = made(tones, sound_orders([wish(duration_s=3)], tmp_path / "out.wav"))
    wave = files.read(tmp_path / "out.wav")
    assert loudness(wave) == pytest.approx(-14, abs=0.2)
    assert one.facts["lufs"] == pytest.approx(-14, abs=0.2)
    assert one.facts["true_peak_db"] < -0.99


def test_a_raw_sound_is_as_the_model_made_it(tones, tmp_path):
    (one,) = made(tones, sound_orders([wish()], tmp_path / "out.wav"), Finish(raw=True))
    wave = next(api.imagine(wish(), "tone", way=tones.way)).wave
    assert np.abs(files.read(tmp_path / "out.wav").samples - wave.samples).max() <= 2**-15
    assert one.facts["clipped"] == 0
    assert "raw=yes" in files.tags(tmp_path / "out.wav")["comment"]


def test_samples_that_a_raw_file_cannot_hold_are_counted(tones, tmp_path):
    tones.load.prepare = lambda backend: setattr(backend, "level", 2.0)
    (one,) = made(tones, sound_orders([wish()], tmp_path / "out.wav"), Finish(raw=True))
    assert one.facts["clipped"] > 1000


def test_silence_and_a_sound_too_short_for_loudness_are_written(tones, tmp_path):
    tones.load.prepare = lambda backend: setattr(backend, "level", 0.0)
    (silent,) = made(tones, sound_orders([wish()], tmp_path / "silent.wav"))
    assert silent.facts["lufs"] == float("-inf")
    tones.load.prepare = None
    made(tones, sound_orders([wish(duration_s=0.5)], tmp_path / "short.wav"))
    assert files.read(tmp_path / "short.wav").n_frames == 8_000


def test_cleaned_copies_lie_beside_the_sound(tones, tmp_path):
    (one,) = made(tones, sound_orders([wish(duration_s=2)], tmp_path / "out.wav"), Finish(denoise=("wiener",)))
    assert one.copies == {"wiener": tmp_path / "out-wiener.wav"}
    copy = files.read(tmp_path / "out-wiener.wav")
    assert copy.n_frames == 32_000
    assert loudness(copy) == pytest.approx(-14, abs=0.2)
    assert files.tags(tmp_path / "out-wiener.wav")["comment"].endswith("denoised=wiener")


def test_an_unknown_denoiser_is_refused_before_anything_is_loaded(tones, tmp_path):
    with pytest.raises(UnknownName, match="way to denoise"):
        made(tones, sound_orders([wish()], tmp_path / "out.wav"), Finish(denoise=("soap",)))
    assert not tones.loaded


def test_a_recipe_says_all_that_was_asked(tones, tmp_path):
    sound = next(api.imagine(wish(), "tone", way=tones.way)).wave
    made(tones, sound_orders([wish(melody=sound, steps=3)], tmp_path / "out.wav"), Finish(recipe=True))
    held = json.loads((tmp_path / "out.json").read_text())
    assert (held["prompt"], held["seed"], held["steps"], held["model"]) == ("Lo-fi funk", 7, 3, "tone")
    assert len(held["melody"]) == 16
    assert held["licence_url"].startswith("https://")
    assert held["guidance"] is None


# going on


def test_ctrl_c_keeps_what_is_finished_and_tells_how_to_go_on(tones, tmp_path):
    tones.load.prepare = lambda backend: setattr(backend, "stop_after", 2)
    orders = sound_orders([wish(count=4)], tmp_path)
    with pytest.raises(Interrupted, match="2 of 4 sounds are written") as caught:
        made(tones, orders)
    assert caught.value.hint == "the same command with --seed 7 --resume goes on"
    tones.load.prepare = None
    rest = made(tones, orders, Finish(resume=True))
    assert [one.kept for one in rest] == [True, True, False, False]
    assert [request.seed for request in tones.loaded[-1].requests] == [9, 10]
    assert not list(tmp_path.glob(".*"))


def test_cancelling_before_the_first_sound_writes_nothing(tones, tmp_path):
    with pytest.raises(Interrupted, match="before the first sound"):
        made(tones, sound_orders([wish()], tmp_path / "out.wav"), cancelled=lambda: True)
    assert not (tmp_path / "out.wav").exists()


def test_an_interrupted_download_says_itself_what_it_keeps(tones, tmp_path, monkeypatch):
    from kapelle.text_audio import weights

    def fetch(model, *, progress, offline):
        raise Interrupted("half of it is kept", hint="the same command goes on")

    monkeypatch.setattr(weights, "fetch", fetch)
    monkeypatch.setattr(weights, "find", lambda model, folder=None, *, offline=False: None)
    with pytest.raises(Interrupted, match="half of it is kept"):
        made(tones, sound_orders([wish()], tmp_path / "out.wav"))


def test_nothing_is_loaded_where_all_is_there(tones, tmp_path):
    orders = sound_orders([wish(count=2)], tmp_path)
    made(tones, orders)
    tones.loaded.clear()
    assert all(one.kept for one in made(tones, orders, Finish(resume=True)))
    assert not tones.loaded


@pytest.mark.parametrize("other", [{"steps": 3}, {"duration_s": 2.0}, {"negative_prompt": "noise"}])
def test_what_was_asked_otherwise_is_not_taken_for_the_sound(tones, tmp_path, other):
    made(tones, sound_orders([wish()], tmp_path / "out.wav"))
    with pytest.raises(UsageError, match="is another sound"):
        made(tones, sound_orders([wish(**other)], tmp_path / "out.wav"), Finish(resume=True))


def test_a_number_is_the_same_number_from_numpy_and_without_a_point(tones, tmp_path):
    made(tones, sound_orders([wish(duration_s=1.0, guidance=2.0)], tmp_path / "out.wav"), Finish(recipe=True))
    again = wish(duration_s=1, guidance=np.float32(2), seed=np.int64(7), count=np.int64(1))
    (one,) = made(tones, sound_orders([again], tmp_path / "out.wav"), Finish(resume=True, recipe=True))
    assert one.kept
    (one,) = made(tones, sound_orders([again], tmp_path / "new.wav"), Finish(recipe=True))
    assert (tmp_path / "new.wav").read_bytes() == (tmp_path / "out.wav").read_bytes()
    assert json.loads(json.dumps(one.facts))["seed"] == 7
    with pytest.raises(UsageError, match="seed must be"):
        wish(seed=np.int64(-1))


def test_a_copy_that_is_missing_is_made(tones, tmp_path):
    orders = sound_orders([wish()], tmp_path / "out.wav")
    made(tones, orders)
    (one,) = made(tones, orders, Finish(resume=True, denoise=("wiener",)))
    assert not one.kept
    assert (tmp_path / "out-wiener.wav").exists()


def test_a_file_that_is_there_is_left_alone_unless_forced(tones, tmp_path):
    (tmp_path / "out.wav").write_bytes(b"mine")
    with pytest.raises(UsageError, match="exists already"):
        made(tones, sound_orders([wish()], tmp_path / "out.wav"))
    made(tones, sound_orders([wish()], tmp_path / "out.wav"), Finish(force=True))
    assert files.read(tmp_path / "out.wav").n_frames == 16_000


def test_progress_goes_over_all_sounds(tones, tmp_path):
    seen = []
    made(tones, sound_orders([wish(count=2), wish("other", count=2)], tmp_path), progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (16, 16)
    assert [done for done, _ in seen] == list(range(1, 17))


@pytest.mark.parametrize("steps", [(2, 8, 4), (8, 2, 3)])
def test_progress_never_goes_back_where_one_sound_takes_more_steps_than_another(tones, tmp_path, steps):
    tones.load.prepare = lambda backend: setattr(backend, "imagine", partial(steps_of_its_own, backend))
    orders = sound_orders([wish(f"{n}", steps=n) for n in steps], tmp_path)
    seen = []
    made(tones, orders, progress=lambda done, total: seen.append((done, total)))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert len({total for _, total in seen}) == 1
    assert seen[-1][0] == seen[-1][1]


def steps_of_its_own(backend, request, *, progress, cancelled):
    for step in range(request.steps):
        progress(step + 1, request.steps)
    yield backend.wave(request, request.seed)


# prompts


def test_a_file_of_prompts_has_comments_and_empty_lines(tmp_path):
    path = tmp_path / "prompts.txt"
    path.write_bytes("\ufeffLo-fi funk\r\n\n  # loud ones\n  Rock  \nLo-fi funk\n".encode())
    assert prompts.read(path) == (["Lo-fi funk", "Rock"], 1)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", UsageError), (b"# nothing\n\n", UsageError), (b"\xff\xfe\x00\x01", UnreadableInput),
        (b"a\n" * 600_000, UnreadableInput), (b"\n".join(b"%d" % i for i in range(1_001)), UnreadableInput),
    ],
)  # fmt: skip
def test_a_file_that_holds_no_prompts_is_refused(tmp_path, data, kind):
    (tmp_path / "prompts.txt").write_bytes(data)
    with pytest.raises(kind):
        prompts.read(tmp_path / "prompts.txt")


def test_a_file_of_prompts_that_is_not_there_is_missing(tmp_path):
    with pytest.raises(Missing):
        prompts.read(tmp_path / "none.txt")


# from notes to sound


def midi(path, *tracks, **settings):
    return write(pieces.score(*tracks, **settings), path)


SCALE = [(480 * i, 480, 60 + pitch, 80) for i, pitch in enumerate((0, 2, 4, 5, 7, 9, 11, 12))]
BEAT = [(480 * i, 100, 36, 100) for i in range(8)]


def test_a_melody_is_played_without_drums(tmp_path):
    with_drums = midi(tmp_path / "a.mid", pieces.track(*SCALE, name="Melody"), pieces.track(*BEAT, drums=True))
    alone = midi(tmp_path / "b.mid", pieces.track(*SCALE, name="Melody"))
    one, other = (api.sound_of(path, melody=True) for path in (with_drums, alone))
    assert np.array_equal(one.samples, other.samples)
    assert not np.array_equal(api.sound_of(with_drums).samples[: other.n_frames], other.samples)


def test_a_melody_needs_pitched_notes(tmp_path):
    with pytest.raises(UsageError, match="no pitched notes"):
        api.sound_of(midi(tmp_path / "a.mid", pieces.track(*BEAT, drums=True)), melody=True)
    with pytest.raises(UsageError, match="no notes to play"):
        api.sound_of(midi(tmp_path / "b.mid", pieces.track()))


def test_no_more_is_played_than_is_needed(tmp_path):
    long = [(480 * i, 480, 60, 80) for i in range(4_000)]
    assert api.sound_of(midi(tmp_path / "a.mid", pieces.track(*long)), melody=True, longest_s=2.0).duration_s == 2.0


def test_what_is_no_sound_is_told_so(tmp_path):
    (tmp_path / "a.wav").write_bytes(b"no sound")
    with pytest.raises(UnreadableInput):
        api.sound_of(tmp_path / "a.wav")
    with pytest.raises(Missing):
        api.sound_of(tmp_path / "none.wav")
    (tmp_path / "a.mid").write_bytes(b"no midi")
    with pytest.raises(MidiError):
        api.sound_of(tmp_path / "a.mid", melody=True)


def test_the_prompt_of_a_piece_leaves_out_a_genre_that_nobody_is_sure_of(tmp_path, monkeypatch):
    monkeypatch.setenv("KAPELLE_HOME", str(tmp_path / "home"))
    path = midi(tmp_path / "a.mid", pieces.track(*SCALE), bpm=152)
    for label, confidence, warnings, expected in (
        ("jazz", 0.9, (), "A fast jazz piece in C major at 152 BPM, played by piano alone"),
        ("jazz", 0.3, (), "A fast piece in C major at 152 BPM, played by piano alone"),
        ("jazz", 0.9, ("unlike what it learned from",), "A fast piece in C major at 152 BPM, played by piano alone"),
    ):
        use_classifier(monkeypatch, label, confidence, warnings)
        assert api.prompt_of(path) == expected


def use_classifier(monkeypatch, label, confidence, warnings):
    from kapelle.classifiers import opening
    from kapelle.classifiers.verdict import Verdict

    class Sure:
        def classify(self, score):
            return Verdict("sure", "0", {label: confidence, "other": 0.1}, warnings)

    monkeypatch.setattr(opening, "opened", lambda name: Sure())


# a gallery


def test_a_gallery_is_prompts_by_models_on_one_page(tones, tmp_path):
    wishes = api.gallery_requests(["Lo-fi funk", "<b>& loud"], duration_s=1.0)
    found = api.sound_gallery(tmp_path / "site", wishes, ("tone", "free-tone"), way=tones.way, finish=Finish(denoise=("wiener",)))
    page = found.page.read_text()
    assert len(found.sounds) == 4
    assert sorted(path.name for path in (tmp_path / "site" / "tone").iterdir()) == [
        "-b-&_loud-wiener.wav", "-b-&_loud.wav", "Lo-fi_funk-wiener.wav", "Lo-fi_funk.wav",
    ]  # fmt: skip
    assert page.count("<audio") == 8
    assert "&lt;b&gt;&amp; loud" in page
    assert not [link for link in re.findall(r'src="([^"]*)"', page) if not (tmp_path / "site" / unquote(link)).is_file()]
    assert "1.0 s, seed 0" in page
    assert not found.failed


def test_a_gallery_goes_on_where_it_was(tones, tmp_path):
    wishes = api.gallery_requests(["a", "b"], duration_s=0.5)
    tones.load.prepare = lambda backend: setattr(backend, "stop_after", 1)
    with pytest.raises(Interrupted):
        api.sound_gallery(tmp_path / "site", wishes, ("tone",), way=tones.way)
    assert (tmp_path / "site" / "index.html").read_text().count("<audio") == 1
    tones.load.prepare = None
    found = api.sound_gallery(tmp_path / "site", wishes, ("tone",), way=tones.way)
    assert [one.kept for one in found.sounds] == [True, False]


def test_another_sound_in_the_place_of_one_is_told_before_any_model_is_loaded(tones, tmp_path):
    api.sound_gallery(tmp_path / "site", api.gallery_requests(["a"], duration_s=0.5), ("free-tone",), way=tones.way)
    tones.loaded.clear()
    with pytest.raises(UsageError, match=r"free-tone.a\.wav is another sound"):
        api.sound_gallery(tmp_path / "site", api.gallery_requests(["a"], duration_s=0.6), ("tone", "free-tone"), way=tones.way)
    assert not tones.loaded


def test_a_model_that_cannot_be_had_leaves_the_others_be(tones, tmp_path):
    (tmp_path / "all" / "tone").mkdir(parents=True)
    (tmp_path / "all" / "tone" / "model.safetensors").write_bytes(b"x")
    (tmp_path / "all" / "free-tone").mkdir()
    (tmp_path / "all" / "free-tone" / "model.safetensors").write_bytes(b"x")

    def prepare(backend):
        if backend.model.name == "tone":
            raise Missing("no more of {name}", name="tone")

    tones.load.prepare = prepare
    wishes = api.gallery_requests(["a"], duration_s=0.5)
    models = ("tone", "free-tone", "musicgen-small")
    found = api.sound_gallery(tmp_path / "site", wishes, models, way=SoundWay(weights=tmp_path / "all", offline=True))
    assert sorted(found.failed) == ["musicgen-small", "tone"]
    assert "no more of tone" in found.page.read_text()
    with pytest.raises(Missing):
        api.sound_gallery(tmp_path / "other", wishes, ("tone",), way=tones.way)


def test_a_model_that_does_not_fit_makes_room_for_the_next(tones, tmp_path):
    class Network:
        pass

    held, still_there = [], []

    def draw(request, seed):
        network = Network()
        held.append(weakref.ref(network))
        try:
            raise MemoryError
        except MemoryError as error:
            raise NotEnoughMemory("no room") from error

    def prepare(backend):
        still_there.extend(one() is not None for one in held)
        if backend.model.name == "tone":
            backend.wave = draw

    tones.load.prepare = prepare
    found = api.sound_gallery(tmp_path / "site", api.gallery_requests(["a"], duration_s=0.5), ("tone", "free-tone"), way=tones.way)
    assert sorted(found.failed) == ["tone"]
    assert still_there == [False]


def test_the_six_prompts_and_three_models_are_those_of_the_study():
    assert prompts.GALLERY == (
        "80s pop track with bassy drums and synth", "90s rock song with loud guitars and heavy drums",
        "Techno music with a strong, upbeat tempo and high melodic riffs", "Lo-fi funk", "Country instrumental",
        "An uplifting jazz song that makes your head shake",
    )  # fmt: skip
    assert prompts.GALLERY_MODELS == ("musicgen-large", "audioldm2-music", "stable-audio-open")
    names = [Path(order.path).name for order in sound_orders(api.gallery_requests(), "x")]
    assert names[-1] == "An_uplifting_jazz_song_that_makes_your_head_shake.wav"
