"""``kapelle compose`` and ``kapelle extend``: files, names, seeds, and what is said about them."""

import json
import os
import signal
import time
from pathlib import Path

import pytest

from kapelle.score.read import read


def test_a_piece_is_written_and_described(compose):
    answer = compose("compose", "--genre", "jazz", "--bars", 2, "--seed", 7, "--metre", "4/4")
    assert (answer.code, answer.err) == (0, "")
    first, *facts = answer.out.splitlines()
    assert first == "kapelle-jazz-7.mid"
    told = dict(line.split(maxsplit=1) for line in facts)
    assert told["bars"] == "2"
    assert told["seed"] == "7"
    assert told["metre"] == "4/4"
    assert Path("kapelle-jazz-7.mid").stat().st_size > 100


def test_the_result_for_machines_is_one_json_object(compose):
    answer = compose("compose", "--bars", 2, "--seed", 3, "-o", "a.mid", "--json")
    (piece,) = answer.data["pieces"]
    assert piece["file"] == "a.mid"
    assert piece["bars"] == 2
    assert piece["seed"] == 3
    assert piece["problems"] == []
    assert len(piece["bundle"]) == 64


def test_a_seed_that_was_drawn_is_told_and_makes_the_same_piece_again(compose):
    (drawn,) = compose("compose", "--bars", 1, "-o", "a.mid", "--json").data["pieces"]
    assert compose("compose", "--bars", 1, "--seed", drawn["seed"], "-o", "b.mid").code == 0
    assert Path("a.mid").read_bytes() == Path("b.mid").read_bytes()


def test_several_pieces_go_into_a_folder_each_with_the_next_seed(compose):
    answer = compose("compose", "--bars", 1, "--seed", 5, "--count", 3, "-o", "many", "--genre", "pop")
    assert answer.code == 0
    names = [f"kapelle-pop-{seed}.mid" for seed in (5, 6, 7)]
    assert sorted(path.name for path in Path("many").iterdir()) == names
    assert len(answer.out.splitlines()) == 4
    alone = compose("compose", "--bars", 1, "--seed", 6, "--genre", "pop", "-o", "alone.mid")
    assert alone.code == 0
    assert Path("alone.mid").read_bytes() == Path("many", names[1]).read_bytes()


def test_sound_and_picture_lie_beside_the_piece_or_where_they_are_named(compose):
    answer = compose("compose", "--bars", 1, "--seed", 1, "-o", "a.mid", "--wav", "--plot", "roll.svg", "--synth", "sine")
    assert answer.code == 0
    assert Path("a.wav").read_bytes().startswith(b"RIFF")
    assert "<svg" in Path("roll.svg").read_text(encoding="utf-8")


def test_a_recipe_makes_the_same_bytes_again(compose):
    assert compose("compose", "--bars", 2, "--seed", 9, "--key", "D minor", "-o", "a.mid", "--save-recipe", "a.json").code == 0
    assert compose("compose", "--from", "a.json", "-o", "b.mid").code == 0
    assert Path("a.mid").read_bytes() == Path("b.mid").read_bytes()


def test_a_recipe_and_a_wish_contradict_each_other(compose):
    compose("compose", "--bars", 1, "--seed", 9, "-o", "a.mid", "--save-recipe", "a.json")
    answer = compose("compose", "--from", "a.json", "--bars", 4, "--genre", "pop")
    assert answer.code == 2
    assert "--genre" in answer.err
    assert "--bars" in answer.err
    answer = compose("compose", "--from", "a.json", "--seed", 0)
    assert answer.code == 2
    assert "--seed" in answer.err


def test_an_extension_keeps_the_piece_and_adds_the_bars(compose, song):
    answer = compose("extend", song, "--bars", 2, "--seed", 4, "-o", "longer.mid", "--json")
    assert answer.code == 0
    assert answer.data["pieces"][0]["bars"] == 4
    kept = [(note.time, note.pitch) for note in read(song).tracks[0].notes]
    notes = [(note.time * 480 // read("longer.mid").tpq, note.pitch) for track in read("longer.mid").tracks for note in track.notes]
    assert set(kept) <= set(notes)


@pytest.mark.parametrize("processes", [1, 2])
def test_ctrl_c_keeps_what_is_written_and_says_so(start, tmp_path, processes):
    process = start("compose", "--bars", 1, "--count", 5000, "-o", "many", "--processes", processes)
    for _ in range(1200):
        if len(list(tmp_path.glob("many/*.mid"))) > 1 or process.poll() is not None:
            break
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: every process of the command gets it
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert out == ""
    assert err.startswith("error: interrupted: ")
    told, hint = err.splitlines()
    assert hint.strip().startswith("the same command with --seed ")
    assert hint.endswith(" --resume goes on")
    assert len(list(tmp_path.glob("many/*.mid"))) == int(told.split()[2])


def test_a_reader_that_has_seen_enough_is_no_error(start):
    process = start("models")
    process.stdout.close()
    process.wait(timeout=120)
    assert process.returncode == 0
    assert "Traceback" not in process.stderr.read()


@pytest.mark.parametrize("lang", ["en", "ru"])
def test_json_speaks_the_language_asked_for(compose, lang):
    answer = compose("compose", "--genre", "polka", "--json", "--lang", lang)
    assert answer.code == 2
    told = json.loads(answer.out)
    assert set(told) == {"error", "hint", "exit_code"}
    assert ("жанр" in told["error"]) == (lang == "ru")
