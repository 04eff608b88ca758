"""The script for REAPER, run by Lua with a stand-in for REAPER, against a studio that runs. REAPER itself is not here."""

import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from kapelle.bundles import load
from kapelle.score import units
from kapelle.score.read import read
from studios import start_studio

SCRIPT = Path(__file__).parents[2] / "extras" / "reaper" / "kapelle.lua"
ORDER = ("model", "genre", "bars", "key", "seed", "more", "studio", "token")


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    """One that wants a token."""
    pytest.importorskip("lupa")
    if not shutil.which("curl"):
        pytest.skip("there is no curl")
    if not load.installed():
        pytest.skip("no bundle is installed")
    made = start_studio(tmp_path_factory.mktemp("studio"), "--processes", "1", "--rate", "0", "--token", 'a "token"\\')
    yield made
    made.stop()


class Reaper:
    """What the script calls of REAPER, and what it did.

    Args:
        folder: Of the project, and of REAPER's own files.
        answers: What the user types, by field; None: the dialog is closed.
    """

    def __init__(self, folder, answers=None, *, metre=(3, 4), tempo=90.0, yes=True, keys=(), closed=False, curl=True):
        import lupa

        self.lua = lupa.LuaRuntime(unpack_returned_tuples=True, encoding="utf-8")
        self.folder, self.answers, self.closed, self.yes, self.curl = folder, answers or {}, closed, yes, curl
        self.keys, self.now, self.project = list(keys), 0.0, (*metre, tempo)
        self.state, self.boxes, self.inserted, self.lines, self.undo, self.shown, self.later = {}, [], [], [], [], [], []
        self.asked, self.configs = None, []
        names = [name for name in dir(self) if name[0].isupper() or name in ("time_precise", "defer")]
        self.lua.globals().reaper = self.lua.table_from({name: getattr(self, name) for name in names})
        self.lua.globals().gfx = self.lua.table_from(
            {"init": lambda *_: None, "quit": lambda: None, "set": lambda *_: None, "update": lambda: None,
             "drawstr": self.shown.append, "getchar": lambda: self.keys.pop(0) if self.keys else 0, "x": 0, "y": 0}
        )  # fmt: skip

    def run(self):
        """Run the script, and what it puts off, to the end."""
        self.lua.execute(SCRIPT.read_text(encoding="utf-8"))
        for _ in range(2000):
            if not self.later:
                return self
            self.now += 0.2
            self.later.pop(0)()
        raise AssertionError("it does not end")

    def GetUserInputs(self, title, n, captions, before):  # noqa: N802
        assert captions.endswith("separator=\n")
        assert captions.count(",") == n + 1
        self.asked = dict(zip(ORDER, before.split("\n"), strict=True))
        return not self.closed, "\n".join(self.answers.get(name, self.asked[name]) for name in ORDER)

    def ExecProcess(self, command, timeout_ms):  # noqa: N802
        if not self.curl:
            return None
        words = shlex.split(command)
        self.lines.append(command)
        self.configs.append(Path(words[-1]).read_text(encoding="utf-8"))
        done = subprocess.run(words, capture_output=True, text=True, timeout=timeout_ms / 1000)
        return f"{done.returncode}\n{done.stdout}"

    def GetExtState(self, section, key):  # noqa: N802
        return self.state.get(key, ("", False))[0]

    def SetExtState(self, section, key, value, persist):  # noqa: N802
        self.state[key] = (value, persist)

    def ShowMessageBox(self, message, title, kind):  # noqa: N802
        self.boxes.append(message)
        return 6 if self.yes else 7

    def TimeMap_GetTimeSigAtTime(self, project, at):  # noqa: N802
        return self.project

    def InsertMedia(self, path, mode):  # noqa: N802
        self.inserted.append((Path(path), mode))

    def GetCursorPosition(self):  # noqa: N802
        return 12.5

    def GetResourcePath(self):  # noqa: N802
        return str(self.folder)

    def GetProjectPath(self, _):  # noqa: N802
        return str(self.folder / "media")

    def RecursiveCreateDirectory(self, path, _):  # noqa: N802
        Path(path).mkdir(parents=True, exist_ok=True)

    def Undo_BeginBlock(self):  # noqa: N802
        self.undo.append("begin")

    def Undo_EndBlock(self, name, _):  # noqa: N802
        self.undo.append(name)

    def UpdateArrange(self):  # noqa: N802
        pass

    def time_precise(self):
        return self.now

    def defer(self, work):
        import time

        time.sleep(0.02)
        self.later.append(work)


def answers(asked, **more):
    return {"studio": asked.url, "token": asked.token, "model": "genre-small", "bars": "4", "seed": "7", **more}


def test_a_piece_comes_in_the_projects_tempo_and_metre_to_the_cursor(studio, tmp_path):
    made = Reaper(tmp_path, answers(studio, genre="jazz", key="A minor", more="instruments=flute;bass")).run()
    assert made.boxes == []
    ((path, mode),) = made.inserted
    assert mode == 1
    piece = read(path)
    assert path.parent == tmp_path / "media"
    assert units.metre_at(piece) == (3, 4)
    assert units.bpm_at(piece) == pytest.approx(90, abs=0.01)
    assert units.n_bars(piece) == 4
    assert [track.program for track in piece.tracks] == [73, 32] or {track.program for track in piece.tracks} >= {73}
    assert made.undo == ["begin", "Insert music by Kapelle"]
    record = studio.request("GET", f"/api/pieces/{path.stem.removeprefix('kapelle-')}").json()
    assert (record["seed"], record["request"]["options"]["genre"], record["title"]) == (7, "jazz", "For REAPER")
    assert any("Composing" in text or "Waiting" in text for text in made.shown)


def test_nothing_secret_is_on_the_command_line_and_no_file_stays(studio, tmp_path):
    made = Reaper(tmp_path, answers(studio)).run()
    assert made.inserted
    assert all(re.fullmatch(r'"[^"]*curl[^"]*" -q --config "[^"]*\.curl"', line) for line in made.lines)
    assert [path.name for path in tmp_path.iterdir()] == ["media"]


def test_what_was_asked_is_remembered_and_the_token_as_long_as_reaper_runs(studio, tmp_path):
    made = Reaper(tmp_path, answers(studio, bars="2", key="", token="", studio=f"{studio.url}/?token={studio.token}"))
    made.run()
    assert made.asked["studio"] == "http://127.0.0.1:8000"
    assert made.inserted
    assert made.state["bars"] == ("2", True)
    assert made.state["token"] == (studio.token, False)
    assert made.state["studio"] == (studio.url, True)
    again = Reaper(tmp_path, {})
    again.state = made.state
    again.run()
    assert again.asked["bars"] == "2"
    assert len(again.inserted) == 1


def test_without_a_model_the_first_of_the_studio_composes(studio, tmp_path):
    assert Reaper(tmp_path, answers(studio, model="", bars="1")).run().inserted


@pytest.mark.parametrize("yes", [True, False])
def test_a_model_that_knows_one_metre_is_asked_about(studio, tmp_path, yes):
    made = Reaper(tmp_path, answers(studio, model="band-hybrid", genre="", seed=""), yes=yes).run()
    assert made.boxes == ["band-hybrid composes in 4/4; the project is in 3/4 here. Compose all the same?"]
    assert bool(made.inserted) is yes


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"genre": "jaz"}, "did you mean jazz"),
        ({"model": "nothing"}, "nothing"),
        ({"model": "../x"}, "is no name of a model"),
        ({"bars": "many"}, "Bars must be a number"),
        ({"bars": "100000"}, "bars must be 1 to 512"),
        ({"seed": "x"}, "The seed must be a whole number"),
        ({"token": "wrong"}, "this studio wants a token"),
        ({"more": "colour=red"}, "colour"),
        ({"studio": "http://127.0.0.1:9"}, "No studio answers at http://127.0.0.1:9"),
        ({"model": "band-hybrid", "genre": "jazz"}, "genre"),
    ],
)
def test_what_cannot_be_is_told_in_one_box(studio, tmp_path, wrong, told):
    made = Reaper(tmp_path, answers(studio, **wrong), metre=(4, 4)).run()
    assert len(made.boxes) == 1
    assert told in made.boxes[0]
    assert "bug" not in made.boxes[0]
    assert not made.inserted
    assert not [path for path in tmp_path.iterdir() if path.suffix]


def test_a_machine_without_curl_is_told_so(studio, tmp_path):
    assert "curl could not be started" in Reaper(tmp_path, answers(studio), curl=False).run().boxes[0]


def test_escape_cancels_in_the_studio(studio, tmp_path):
    made = Reaper(tmp_path, answers(studio, bars="512", seed="1"), keys=[0, 0, 27]).run()
    assert (made.boxes, made.inserted) == ([], [])
    newest = studio.request("GET", "/api/jobs?limit=1").json()[0]
    assert newest["state"] in ("cancelled", "running")


def test_a_closed_dialog_asks_nobody(studio, tmp_path):
    made = Reaper(tmp_path, closed=True).run()
    assert (made.lines, made.boxes, made.inserted, made.state) == ([], [], [], {})


def test_json_goes_there_and_back(tmp_path):
    """The functions of the script, taken out of it."""
    lupa = pytest.importorskip("lupa")
    lua = lupa.LuaRuntime(unpack_returned_tuples=True, encoding="utf-8")
    lua.globals().reaper = lua.table_from({"GetUserInputs": lambda *_: False, "GetExtState": lambda *_: ""})
    text = SCRIPT.read_text(encoding="utf-8")
    encode, decode = lua.execute(text.removesuffix("guarded(main)\n") + "return encode, decode")
    told = {"a": 'q"\\\n\u0001ж😀', "b": 1.5, "c": -3, "d": True, "e": {"f": 120}}
    assert json.loads(encode(lua.table_from(told, recursive=True))) == told
    made = decode(json.dumps({"x": [1, 2.5e-3, None, "ж😀\t/"], "y": {}, "z": False, "w": [[]]}))
    assert (made.x[1], made.x[2], made.z, dict(made.y)) == (1, 0.0025, False, {})
    assert [value for value in made.x.values() if isinstance(value, str)] == ["ж😀\t/"]
    for broken in ("", "{", "[1,", '"', '{"a"', "nul", '"\\u12', "<html>", '{"a":}'):
        with pytest.raises(lupa.LuaError):
            decode(broken)


def test_every_address_that_the_script_asks_is_one_of_the_server(tmp_path):
    from kapelle.web.app import create_app
    from kapelle.web.settings import Settings

    paths = create_app(Settings(folder=tmp_path, helpers=1)).openapi()["paths"]
    asked = re.findall(r'ask\(settings, "(\w+)", "(/api/[^"]*)"(?: \.\. [\w.]+)?(?: \.\. "([^"]*)")?', SCRIPT.read_text(encoding="utf-8"))
    assert len(asked) == 6
    for method, path, rest in asked:
        pattern = (
            re.escape(path) + ("[^/]+" if path.endswith("/") else "") + re.escape(rest.replace("/mid", "/")) + (r"[^/]+" if rest else "")
        )
        found = [one for one, verbs in paths.items() if re.fullmatch(pattern, one) and method.lower() in verbs]
        assert found, (method, path, rest)
