"""Whatever is wrong, the answer is one clear line, a hint and the exit code of its kind."""

from pathlib import Path

import pytest

from kapelle import api
from kapelle.cli import main


def fails(answer, code, *words):
    """The answer is an error of the exit code: one line that holds the words, and a line of hint."""
    assert answer.code == code, answer
    assert answer.out == ""
    lines = answer.err.splitlines()
    assert len(lines) == 2, answer.err
    assert lines[0].startswith("error: ")
    assert lines[1].startswith("  ")
    for word in words:
        assert word in answer.err


def test_an_unknown_genre_lists_the_known(compose):
    fails(compose("compose", "--genre", "jaz"), 2, "'jaz'", "did you mean jazz?", "pop, jazz, edm, classical")


@pytest.mark.parametrize("bars", ["0", "100000", "-3"])
def test_bars_out_of_range(compose, bars):
    answer = compose("compose", f"--bars={bars}")
    assert answer.code == 2
    assert answer.err == f"error: bars must be 1 to 512, not {bars}\n"


@pytest.mark.parametrize("text", ["x", "1.5", ""])
def test_bars_that_are_no_whole_number(compose, text):
    answer = compose("compose", f"--bars={text}")
    assert answer.code == 2
    assert "--bars needs a whole number" in answer.err


@pytest.mark.parametrize("text", ["nan", "inf", "fast"])
def test_a_temperature_that_is_no_number(compose, text):
    answer = compose("compose", "--temperature", text)
    assert answer.code == 2
    assert "--temperature needs a number" in answer.err


def test_two_lengths_contradict_each_other(compose):
    fails(compose("compose", "--bars", 8, "--seconds", 20), 2, "bars", "seconds", "give one length")


def test_an_option_out_of_range(compose):
    answer = compose("compose", "--temperature", 9)
    assert answer.code == 2
    assert "temperature must be 0.01 to 5.0, not 9.0" in answer.err


def test_an_option_that_does_not_exist_offers_the_nearest(compose):
    fails(compose("compose", "--temprature", 1), 2, "--temprature", "--temperature")


def test_an_option_without_its_value(compose):
    fails(compose("compose", "--genre"), 2, "--genre", "needs a value")


def test_a_word_that_was_not_expected(compose):
    fails(compose("compose", "jazz"), 2, "'jazz'", "kapelle compose --help")


def test_an_unknown_verb_offers_the_nearest(run):
    fails(run("compsoe"), 2, "'compsoe'", "did you mean compose?")


def test_an_unknown_language(run):
    fails(run("info", "--lang", "klingon"), 2, "klingon", "en, ru")


@pytest.mark.parametrize("verb", ["info", "render", "plot", "extend"])
def test_a_text_file_named_mid(compose, verb, tmp_path):
    text = tmp_path / "text.mid"
    text.write_text("this is a shopping list: milk, bread, violins", encoding="utf-8")
    fails(compose(verb, text), 3, "text.mid" if verb != "extend" else "", "MThd")


@pytest.mark.parametrize("verb", ["info", "render", "plot", "extend"])
def test_a_file_that_is_not_there(compose, verb):
    fails(compose(verb, "nothing.mid"), 4, "nothing.mid")


def test_a_folder_named_as_a_midi_file(run, tmp_path):
    fails(run("info", tmp_path), 3, "is a folder")


def test_no_input_at_all(run):
    fails(run("info"), 2, "FILE.mid is missing")


def test_a_missing_bundle(run):
    fails(run("compose", "--model", "symphony"), 4, "'symphony'", "kapelle export")


def test_a_corrupt_bundle(run, home, tmp_path):
    copy = tmp_path / "broken"
    copy.mkdir()
    for path in (home / "bundles" / "genre").iterdir():
        copy.joinpath(path.name).write_bytes(path.read_bytes())
    graph = copy / "step.onnx"
    data = bytearray(graph.read_bytes())
    data[len(data) // 2] ^= 0xFF
    graph.write_bytes(data)
    fails(run("compose", "--model", copy), 3, "step.onnx", "fetch the bundle again")
    (copy / "bundle.json").write_text("{", encoding="utf-8")
    answer = run("compose", "--model", copy)
    assert answer.code == 3
    assert "bundle.json is not valid JSON" in answer.err


def test_an_output_that_is_there_already(compose):
    Path("a.mid").write_bytes(b"precious")
    fails(compose("compose", "--bars", 1, "-o", "a.mid"), 2, "a.mid exists already", "--force")
    assert Path("a.mid").read_bytes() == b"precious"
    assert compose("compose", "--bars", 1, "-o", "a.mid", "--force").code == 0
    assert Path("a.mid").read_bytes().startswith(b"MThd")


@pytest.mark.parametrize("extra", ["--wav", "--plot", "--save-recipe=a.json"])
def test_another_output_that_is_there_already_is_found_before_composing(compose, extra):
    for name in ("a.wav", "a.png", "a.json"):
        Path(name).write_bytes(b"precious")
    fails(compose("compose", "--bars", 1, "-o", "a.mid", extra), 2, "exists already")
    assert not Path("a.mid").exists()


@pytest.mark.parametrize("verb", ["compose", "render", "plot"])
def test_an_output_that_cannot_be_written(compose, verb, song):
    Path("file").write_bytes(b"")
    out = {"compose": "file/a.mid", "render": "file/a.wav", "plot": "file/a.png"}[verb]
    words = [verb, *([] if verb == "compose" else [song]), "-o", out]
    fails(compose(*words), 6, out, "a folder that you may write to")


def test_one_file_for_several_pieces(compose):
    fails(compose("compose", "--count", 2, "-o", "a.mid"), 2, "need a folder")
    fails(compose("compose", "--count", 2, "--wav", "a.wav"), 2, "cannot share one file")


@pytest.mark.parametrize("name", ["a.wav", "a.txt"])
def test_an_output_that_is_no_midi_file(compose, name):
    fails(compose("compose", "-o", name), 2, "must end in .mid")


def test_unknown_formats_list_the_known(run, song):
    fails(run("render", song, "-o", "a.aiff"), 2, "'.aiff'", ".flac")
    fails(run("plot", song, "-o", "a.bmp"), 2, "'.bmp'", ".svg")
    answer = run("render", song, "-o", "a.wav", "--synth", "organ")
    assert answer.code == 2
    assert "--synth must be one of soundfont, sine, not 'organ'" in answer.err


@pytest.mark.parametrize(
    ("words", "code", "word"),
    [
        (["--wav=a.aiff"], 2, "'.aiff'"),
        (["--plot=a.bmp"], 2, "'.bmp'"),
        (["--wav", "--soundfont", "nothing.sf2"], 4, "nothing.sf2"),
        (["--wav", "--soundfont", "text.sf2"], 3, "text.sf2"),
        (["--wav", "--synth", "sine", "--soundfont", "text.sf2"], 2, "plays no SoundFont"),
    ],
)
def test_what_cannot_be_written_afterwards_is_found_before_composing(compose, words, code, word):
    Path("text.sf2").write_text("no sound", encoding="utf-8")
    answer = compose("compose", "--bars", 1, "-o", "a.mid", *words)
    assert answer.code == code
    assert word in answer.err
    assert not Path("a.mid").exists()


def test_a_folder_without_midi(run, tmp_path):
    fails(run("data", "prepare", tmp_path, "--recipe", "genre-small", "-o", "shards"), 4, "no MIDI files", "adl_piano_midi")


def test_a_recipe_that_is_not_there_or_wrong(run, tmp_path):
    fails(run("data", "prepare", tmp_path, "--recipe", "waltz", "-o", "shards"), 4, "'waltz'", "genre-small")
    bad = tmp_path / "bad.toml"
    bad.write_text("name = [", encoding="utf-8")
    answer = run("data", "prepare", tmp_path, "--recipe", bad, "-o", "shards")
    assert answer.code == 2
    assert "is not valid TOML" in answer.err


def test_options_that_are_needed(run, tmp_path):
    fails(run("data", "prepare", tmp_path, "-o", "shards"), 2, "--recipe is missing")
    fails(run("export", tmp_path), 2, "--output is missing")


def test_ctrl_c_gives_130(run, monkeypatch):
    def interrupted():
        raise KeyboardInterrupt

    monkeypatch.setattr(api, "models", interrupted)
    answer = run("models")
    assert answer.code == 130
    assert answer.err == "error: interrupted; files that were finished are kept\n"


def test_a_bug_is_one_line_and_debug_shows_where(run, monkeypatch):
    def broken():
        raise RuntimeError("the strings\nsnapped")

    monkeypatch.setattr(api, "models", broken)
    fails(run("models"), 1, "bug in Kapelle: RuntimeError: the strings snapped", "--debug")
    answer = run("models", "--debug")
    assert answer.code == 1
    assert "Traceback" in answer.err
    assert run("models", "--json").data["exit_code"] == 1


@pytest.mark.parametrize(
    ("error", "code", "word"),
    [
        (MemoryError(), 7, "memory"),
        (ModuleNotFoundError("No module named 'torch'", name="torch"), 4, "kapelle[train]"),
        (PermissionError(13, "Permission denied", "/there"), 6, "/there"),
        (OSError(28, "No space left on device", "/there"), 6, "No space left"),
    ],
)
def test_what_the_system_refuses_has_its_own_code(run, monkeypatch, error, code, word):
    def refused():
        raise error

    monkeypatch.setattr(api, "models", refused)
    fails(run("models"), code, word)


def test_names_with_line_breaks_and_escapes_stay_on_one_line(run):
    answer = run("info", "a\nb\x1b[31m.mid")
    assert answer.code == 4
    assert "\x1b" not in answer.err
    assert len(answer.err.splitlines()) == 2


def test_main_gives_codes_and_never_exits(empty_home):
    assert main(["--help"]) == 0
    assert main(["--version"]) == 0
