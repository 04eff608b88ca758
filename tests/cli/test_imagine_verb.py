"""`kapelle imagine`: what can be asked, what is refused and how, and what is said. The model makes tones; real ones have their own file."""

import re
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("torch")
import tone_model
from kapelle.audio import files
from kapelle.audio.waveform import Waveform
from kapelle.text_audio import opening


@pytest.fixture
def tones(monkeypatch, tmp_path):
    return tone_model.install(monkeypatch, tmp_path / "weights")


@pytest.fixture
def imagine(run, tones):
    """The verb with a model of tones, which lies where its weights would."""

    def call(*words, model="tone"):
        return run("imagine", *words, "--model", model, "--weights", tones.folder)

    return call


def test_a_sentence_becomes_a_file_named_after_it(imagine, empty_home):
    answer = imagine("An uplifting jazz song that makes your head shake", "-d", 1, "--seed", 7)
    assert answer.code == 0, answer.err
    assert answer.out.splitlines()[0] == "An_uplifting_jazz_song_that_makes_your_head_shake.wav"
    assert "CC BY-NC 4.0, https://creativecommons.org/licenses/by-nc/4.0/" in answer.out
    assert "-14.0 LUFS" in answer.out
    wave = files.read(empty_home / "An_uplifting_jazz_song_that_makes_your_head_shake.wav")
    assert (wave.n_frames, wave.sample_rate) == (16_000, 16_000)


@pytest.mark.parametrize("flag", ["-d", "--duration", "--duration-seconds", "--durability_seconds"])
def test_the_length_has_the_name_that_it_once_had(imagine, empty_home, flag):
    assert imagine("funk", "-o", "out.wav", flag, "0.75").code == 0
    assert files.read(empty_home / "out.wav").duration_s == 0.75


def test_a_seed_that_is_drawn_is_told(imagine, empty_home):
    answer = imagine("funk", "-d", 0.5, "-o", "a.wav")
    seed = answer.err.split()[-1]
    assert answer.err == f"seed {seed}\n"
    assert imagine("funk", "-d", 0.5, "-o", "b.wav", "--seed", seed).err == ""
    assert (empty_home / "a.wav").read_bytes() == (empty_home / "b.wav").read_bytes()


def test_several_sounds_make_a_table_in_a_folder(imagine, empty_home):
    answer = imagine("funk", "-d", 0.5, "-n", 2, "-s", 4, "-o", "out", "--format", "flac")
    assert answer.code == 0
    assert sorted(path.name for path in (empty_home / "out").iterdir()) == ["funk-4.flac", "funk-5.flac"]
    assert "funk-5.flac" in answer.out


def test_prompts_may_stand_in_a_file(imagine, empty_home):
    (empty_home / "prompts.txt").write_text("# two\nfunk\n\nrock\nfunk\n")
    answer = imagine("--prompts", "prompts.txt", "-d", 0.5, "-o", "out", "--json", "--seed", 1)
    assert [one["file"] for one in answer.data["sounds"]] == ["out/funk.wav", "out/rock.wav"]
    assert "made once: 1" in answer.err


def test_machines_are_told_all(imagine):
    told = imagine("funk", "-d", 1, "-s", 7, "-o", "x.ogg", "--json").data["sounds"][0]
    assert (told["file"], told["prompt"], told["model"], told["seed"], told["seconds"]) == ("x.ogg", "funk", "tone", 7, 1.0)
    assert (told["sample_rate"], told["channels"], told["licence"]) == (16_000, 1, "CC BY-NC 4.0")
    assert len(told["weights"]) == 64


def test_silence_is_told(imagine, tones):
    tones.load.prepare = lambda backend: setattr(backend, "level", 0.0)
    answer = imagine("funk", "-d", 1, "-s", 7, "-o", "x.wav")
    assert answer.code == 0
    assert "x.wav is silent" in answer.err


def test_every_option_reaches_the_model(imagine, empty_home, tones):
    sound(empty_home / "in.wav", 1.0)
    answer = imagine(
        "funk", "-o", "x.wav", "-d", 2, "-s", 3, "--negative", "noise", "--steps", 5, "--guidance", 2, "--temperature", 0.5, "--top-k", 9,
        "--top-p", 0.5, "--continue", "in.wav", "--melody", "in.wav", "--initial", "in.wav", "--strength", 0.3,
    )  # fmt: skip
    assert answer.code == 0, answer.err
    request = tones.loaded[0].requests[0]
    assert (request.prompt, request.negative_prompt, request.duration_s, request.seed) == ("funk", "noise", 2.0, 3)
    assert (request.steps, request.guidance, request.temperature, request.top_k, request.top_p) == (5, 2.0, 0.5, 9, 0.5)
    assert [round(one.duration_s, 2) for one in (request.continuation, request.melody, request.initial)] == [1.0, 1.0, 1.0]
    assert request.strength == 0.3


def test_a_midi_file_is_a_melody(imagine, song, tones):
    assert imagine("funk", "-o", "x.wav", "-d", 2, "--melody", song).code == 0
    melody = tones.loaded[0].requests[0].melody
    assert melody.duration_s == 2.0
    assert melody.peak > 0.1


def test_a_piece_gives_the_prompt(imagine, song, tones, empty_home):
    answer = imagine("--from", song, "-d", 0.5, "-s", 1)
    said = "An upbeat piece in C major at 120 BPM, played by piano alone"
    assert answer.err == f"prompt: {said}\n"
    assert (empty_home / "An_upbeat_piece_in_C_major_at_120_BPM,_played_by_piano_alone.wav").exists()
    imagine("with vinyl crackle", "--from", song, "-d", 0.5, "-s", 1)
    assert tones.loaded[-1].requests[0].prompt == f"{said}. with vinyl crackle"


def test_what_was_interrupted_goes_on(imagine, empty_home, tones):
    tones.load.prepare = lambda backend: setattr(backend, "stop_after", 1)
    words = ("funk", "-d", 0.5, "-n", 3, "-s", 4, "-o", "out")
    answer = imagine(*words)
    assert answer.code == 130
    assert answer.err == "error: interrupted: 1 of 3 sounds are written\n  the same command with --seed 4 --resume goes on\n"
    tones.load.prepare = None
    answer = imagine(*words, "--resume")
    assert answer.code == 0
    assert "1 of 3 sounds are there already" in answer.err
    told = imagine(*words, "--resume", "--json").data["sounds"][1]
    assert (told["file"], told["prompt"], told["seed"], told["model"], told["kept"]) == ("out/funk-5.wav", "funk", 5, "tone", True)
    assert len(list((empty_home / "out").iterdir())) == 3


def test_what_an_error_leaves_is_counted(imagine, empty_home, tones):
    from kapelle.errors import NotEnoughMemory

    def prepare(backend):
        def wave(request, seed):
            if seed == 5:
                raise NotEnoughMemory("too much")
            return tone_model.Tones.wave(backend, request, seed)

        backend.wave = wave

    tones.load.prepare = prepare
    answer = imagine("funk", "-d", 0.5, "-n", 3, "-s", 4, "-o", "out")
    assert answer.code == 7
    assert answer.err == "1 of 3 sounds are written\nerror: too much\n"


def sound(path, seconds, level=0.3):
    rng = np.random.default_rng(0)
    files.write(path, Waveform((level * rng.uniform(-1, 1, round(16_000 * seconds))).astype(np.float32), 16_000))
    return path


BAD = {
    "no prompt": ([], 2, "PROMPT is missing"),
    "an empty prompt": ([""], 2, "the prompt is empty"),
    "a prompt of spaces": (["  "], 2, "the prompt is empty"),
    "a long prompt": (["x" * 10_000], 2, "the prompt has 10000 characters; at most 1000 are read"),
    "a prompt that commands the terminal": (["red \x9b31m"], 2, "the prompt holds control characters"),
    "a prompt that is no text": (["caf\udce9"], 2, "the prompt holds bytes that are no letters"),
    "a negative prompt that is no text": (["x", "--negative", "caf\udce9"], 2, "the negative prompt holds bytes"),
    "a name that is no text": (["x", "-o", "caf\udce9.wav"], 2, "holds bytes that are no letters"),
    "a folder that is no text": (["x", "-o", "caf\udce9"], 2, "holds bytes that are no letters"),
    "a negative prompt without guidance": (["x", "--negative", "y", "--guidance", "1"], 2, "without guidance a negative prompt changes"),
    "no length": (["x", "-d", "0"], 2, "duration must be 0.5 to 600, not 0.0"),
    "an hour": (["x", "-d", "3600"], 2, "duration must be 0.5 to 600, not 3600.0"),
    "beyond the model": (["x", "-d", "61"], 2, "tone makes at most 60 s, not 61 s"),
    "no number": (["x", "-d", "long"], 2, "--duration needs a number"),
    "an unknown format": (["x", "-o", "x.aiff"], 2, "unknown sound format '.aiff'"),
    "an unknown denoiser": (["x", "--denoise", "wiener,soap"], 2, "unknown way to denoise 'soap'"),
    "what a model cannot": (["x", "--candidates", "2"], 2, "tone takes no candidates"),
    "strength of nothing": (["x", "--strength", "0.5"], 2, "--strength says how much of a sound is changed"),
    "a silent melody": (["x", "--melody", "silent.wav"], 2, "the melody is silent"),
    "a melody that is no sound": (["x", "--melody", "noise.wav"], 3, "noise.wav is not a sound file"),
    "a melody of drums": (["x", "--melody", "drums.mid"], 2, "drums.mid has no pitched notes"),
    "a short melody": (["x", "--melody", "short.wav"], 2, "the melody lasts 0.10 s"),
    "no melody": (["x", "--melody", "none.wav"], 4, "no sound file at none.wav"),
    "more given than asked": (["x", "-d", "1", "--continue", "long.wav"], 2, "the sound to go on from lasts 2.0 s already"),
    "several for one file": (["x", "-n", "2", "-o", "x.wav"], 2, "2 sounds need a folder, not x.wav"),
    "a file for a folder": (["x", "-n", "2", "-o", "taken"], 6, "cannot write taken"),
    "a file that is there": (["x", "-o", "long.wav"], 2, "long.wav exists already"),
    "two kinds of prompts": (["x", "--prompts", "empty.txt"], 2, "PROMPT and --prompts contradict each other"),
    "prompts that are none": (["--prompts", "empty.txt"], 2, "there are no prompts in empty.txt"),
    "prompts of bytes": (["--prompts", "long.wav"], 3, "long.wav is no text in UTF-8"),
    "a prompt too long in a file": (["--prompts", "endless.txt"], 2, "the prompt has 1200 characters"),
    "no prompts": (["--prompts", "none.txt"], 4, "no file of prompts at none.txt"),
    "a piece without notes": (["--from", "long.wav"], 3, "long.wav"),
    "two models": (["x", "-m", "free-tone"], 2, "one model makes the sounds"),
    "two things at once": (["--models", "--gallery"], 2, "--models and --gallery contradict each other"),
    "resuming without a seed": (["x", "--resume"], 2, "--resume needs --seed"),
    "money": (["x", "--commercial"], 2, "tone"),
    "an unknown device": (["x", "--device", "abacus"], 2, "--device must be one of"),
    "a gallery without a folder": (["--gallery"], 2, "-o is missing"),
    "a gallery in a file": (["--gallery", "-o", "site.wav"], 2, "a gallery is a folder, not site.wav"),
    "a gallery of one prompt": (["x", "--gallery", "-o", "site"], 2, "a gallery has prompts of its own"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_line_and_nothing_is_loaded(imagine, empty_home, tones, name):
    import pieces
    from kapelle.score.write import write

    sound(empty_home / "silent.wav", 1.0, level=0.0)
    sound(empty_home / "short.wav", 0.1)
    sound(empty_home / "long.wav", 2.0)
    write(pieces.score(pieces.track((0, 480, 36, 90), drums=True)), empty_home / "drums.mid")
    for file, data in (("noise.wav", b"no sound"), ("empty.txt", b"# none\n"), ("endless.txt", b"x" * 1200), ("taken", b"")):
        (empty_home / file).write_bytes(data)
    before = sorted(path.name for path in empty_home.iterdir())
    words, code, message = BAD[name]
    answer = imagine(*words)
    assert (answer.code, message in answer.err) == (code, True), answer.err
    assert answer.err.startswith("error: ")
    assert len(answer.err.splitlines()) <= 2
    assert not tones.loaded
    assert sorted(path.name for path in empty_home.iterdir()) == before


def test_an_unknown_model_lists_the_known_ones(run):
    answer = run("imagine", "x", "--model", "musicgen-smal")
    assert answer.code == 2
    assert "did you mean musicgen-small?" in answer.err


def test_weights_that_are_not_there_are_told_with_their_size_where_no_network_may_be_used(run):
    answer = run("imagine", "x", "--offline")
    assert answer.code == 4
    assert re.search(r"facebook/musicgen-small, about [1-3]\.\d GB", answer.err)


def test_a_melody_for_a_model_without_one_names_those_that_have(run, song):
    answer = run("imagine", "x", "--melody", song, "--offline")
    assert answer.code == 2
    assert "musicgen-melody" in answer.err


def test_a_licence_that_forbids_money_names_models_that_allow_it(imagine):
    answer = imagine("x", "--commercial")
    assert answer.code == 2
    assert "free-tone" in answer.err
    assert imagine("x", "--commercial", "-d", 0.5, "-s", 1, model="free-tone").err == ""


def test_what_a_licence_asks_of_those_who_earn_money_is_told(imagine):
    answer = imagine("x", "--commercial", "-d", 0.5, "-s", 1, model="asking-tone")
    assert answer.code == 0
    assert "only below one million US dollars" in answer.err


def test_the_table_of_models_tells_licence_and_limits(run):
    answer = run("imagine", "--models")
    assert answer.code == 0
    line = next(line for line in answer.out.splitlines() if line.startswith("stable-audio-open"))
    assert all(word in line for word in ("44.1 kHz", "47.55 s", "Stability AI Community License", "initial"))
    rows = run("imagine", "--models", "--json").data["models"]
    assert {row["name"]: row["licence_url"] for row in rows}["musicgen-small"] == "https://creativecommons.org/licenses/by-nc/4.0/"


def test_without_the_extra_it_is_said_how_to_install_it(run, monkeypatch):
    monkeypatch.setattr(opening, "find_spec", lambda name: None if name in ("diffusers", "torchsde") else object())
    answer = run("imagine", "x")
    assert answer.code == 4
    assert "diffusers, torchsde" in answer.err
    assert "pip install 'kapelle[audio]'" in answer.err
    assert run("imagine", "--models").code == 0


def test_the_base_install_tells_models_and_refuses_and_loads_nothing_heavy(environment, tmp_path):
    """One process: starting it is what takes time."""
    heavy = ("torch", "transformers", "diffusers", "torchsde", "huggingface_hub", "safetensors", "scipy", "pyloudnorm", "onnxruntime")
    code = f"""if True:
        import sys
        from kapelle.cli import main
        for words in (["--help"], ["--models"], ["--models", "--json"], ["x", "--duration", "0"], ["x", "--offline"]):
            print(main(["imagine", *words]), file=sys.stderr)
        assert not [name for name in {heavy} if name in sys.modules]
        sys.modules.update(dict.fromkeys({heavy}))  # as if they were not installed
        print(main(["imagine", "x"]), main(["imagine", "--models"]), main(["imagine", "--self-test"]), file=sys.stderr)
    """
    answer = subprocess.run([sys.executable, "-c", code], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert answer.returncode == 0, answer.stderr
    told = answer.stderr.splitlines()
    assert [line for line in told if re.fullmatch(r"[\d ]+", line)] == ["0", "0", "0", "2", "4", "4 0 4"]
    assert not [line for line in told if line.startswith("licence")]
    assert "  pip install 'kapelle[audio]'" in told


def test_a_gallery_tells_its_page(run, tones, empty_home):
    words = ("imagine", "--gallery", "-o", "site", "-m", "tone", "-m", "free-tone", "--weights", tones.folder, "-d", 0.5)
    answer = run(*words)
    assert answer.code == 0, answer.err
    assert answer.out.splitlines()[0] == "site/index.html"
    assert (empty_home / "site" / "tone" / "Lo-fi_funk.wav").exists()
    assert (empty_home / "site" / "index.html").read_text().count("<audio") == 12
    told = run(*words, "--json").data
    assert len(told["sounds"]) == 12
    assert told["failed"] == {}
