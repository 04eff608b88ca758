from kapelle.score.folders import files_in


def test_midi_files_are_found_at_any_depth_in_the_order_of_their_names(tmp_path):
    (tmp_path / "in").mkdir()
    for name in ("b.mid", "a.MIDI", "in/c.kar", "in/d.rmi", "notes.txt", "wave.wav"):
        (tmp_path / name).touch()
    (tmp_path / "folder.mid").mkdir()
    assert [path.relative_to(tmp_path).as_posix() for path in files_in(tmp_path)] == ["a.MIDI", "b.mid", "in/c.kar", "in/d.rmi"]
    assert [path.name for path in files_in(tmp_path, (".wav",))] == ["wave.wav"]


def test_what_is_named_outright_is_itself(tmp_path):
    assert files_in(tmp_path / "song.txt") == [tmp_path / "song.txt"]


def test_an_empty_folder_holds_none(tmp_path):
    assert files_in(tmp_path) == []
