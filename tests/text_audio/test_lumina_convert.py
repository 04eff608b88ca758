"""Published weights of Lumina, from pickles to safetensors: what is kept, what is dropped, and what is never run."""

import os
import runpy
import shutil
import sys
import zipfile
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

import tiny_lumina  # noqa: E402
from kapelle.errors import Missing, StorageError, UnreadableInput  # noqa: E402
from kapelle.text_audio import lumina, lumina_folder  # noqa: E402
from kapelle.text_audio.lumina_convert import convert, main  # noqa: E402
from kapelle.text_audio.places import Place  # noqa: E402
from kapelle.text_audio.request import SoundRequest  # noqa: E402

CPU = Place(torch.device("cpu"), torch.float32)
WRITTEN = {
    "music_generation/119.safetensors", "maa2/maa2.safetensors", "bigvnat/best_netG.safetensors", "bigvnat/config.json",
    "text_encoder/config.json", "text_encoder/model.safetensors", "text_encoder/tokenizer.json", "text_encoder/tokenizer_config.json",
}  # fmt: skip


@pytest.fixture(scope="module")
def published_once(tmp_path_factory):
    folder = tmp_path_factory.mktemp("published")
    tiny_lumina.publish(folder)
    return folder


@pytest.fixture
def published(published_once, tmp_path):
    return shutil.copytree(published_once, tmp_path / "published")


def heard(folder):
    made = lumina.load(folder, tiny_lumina.facts(), CPU).imagine(SoundRequest(prompt="jazz", duration_s=0.5))
    return next(made).samples


def arrays(file):
    return lumina_folder.read_arrays(file)


def checkpoint(folder):
    return torch.load(folder / "music_generation/119.ckpt", weights_only=False)


def change(folder, name, how):
    held = torch.load(folder / name, weights_only=False)
    torch.save(how(held) or held, folder / name)


def test_what_is_needed_is_kept_and_what_is_of_training_is_dropped(published, tmp_path):
    out = tmp_path / "out"
    written = convert(published, out)
    assert {path.relative_to(out).as_posix() for path in written} == WRITTEN
    assert {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()} == WRITTEN
    before, after = checkpoint(published)["state_dict"], arrays(out / "music_generation/119.safetensors")
    assert torch.equal(after["blocks.1.attention.wk_y.weight"], before["model.diffusion_model.blocks.1.attention.wk_y.weight"])
    assert float(after["scale_factor"]) == pytest.approx(0.7)
    assert not [name for name in after if "stage_model" in name or name == "betas"]
    assert "encoder.embed_tokens.weight" in {name.partition("transformer.")[2] for name in before}
    assert "encoder.embed_tokens.weight" not in arrays(out / "text_encoder/model.safetensors")  # the same as shared.weight
    assert not [name for name in arrays(out / "maa2/maa2.safetensors") if not name.startswith(("decoder.", "post_quant_conv."))]
    assert not [name for name in arrays(out / "bigvnat/best_netG.safetensors") if name.endswith(("_g", "_v", "filter"))]
    assert (out / "music_generation/119.safetensors").stat().st_size < (published / "music_generation/119.ckpt").stat().st_size


def test_parts_in_files_of_their_own_give_the_same_sound(published, tmp_path):
    apart = tmp_path / "apart"
    tiny_lumina.publish(apart, all_in_one=False)
    convert(published, tmp_path / "one")
    convert(apart, tmp_path / "two")
    assert (heard(tmp_path / "one") == heard(tmp_path / "two")).all()


def test_it_may_be_done_in_place_and_again(published):
    convert(published, published)
    first = heard(published)
    convert(published, published)
    assert (heard(published) == first).all()


def test_what_a_pickle_would_run_is_not_run(published, tmp_path):
    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "sprung"),)

    for name in ("music_generation/119.ckpt", "bigvnat/best_netG.pt"):
        folder = shutil.copytree(published, tmp_path / name.partition("/")[0])
        change(folder, name, lambda held: held | {"more": Trap()})
        with pytest.raises(UnreadableInput, match="more than arrays") as refused:
            convert(folder, tmp_path / "out")
        assert Path(name).name in str(refused.value)
        assert not (tmp_path / "sprung").exists()


def test_numbers_of_numpy_are_read_by_the_name_that_numpy_1_gave_them(published, tmp_path):
    """As in the published files: their pickles name ``numpy.core.multiarray.scalar``."""
    file = published / "music_generation/119.ckpt"
    with zipfile.ZipFile(file) as old:
        members = {info.filename: old.read(info) for info in old.infolist()}
    (pickled,) = (name for name in members if name.endswith("/data.pkl"))
    assert b"numpy._core.multiarray\nscalar" in members[pickled]
    members[pickled] = members[pickled].replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    with zipfile.ZipFile(file, "w") as new:
        for name, data in members.items():
            new.writestr(name, data)
    assert len(convert(published, tmp_path / "out")) == len(WRITTEN)


def test_the_older_form_of_torch_files_is_read(published, tmp_path):
    held = checkpoint(published)
    torch.save(held, published / "music_generation/119.ckpt", _use_new_zipfile_serialization=False)
    assert len(convert(published, tmp_path / "out")) == len(WRITTEN)


@pytest.mark.parametrize("file", ["music_generation/119.ckpt", "bigvnat/best_netG.pt", "bigvnat/args.yml"])
def test_a_published_file_that_is_not_there_is_named(published, tmp_path, file):
    (published / file).unlink()
    with pytest.raises(Missing, match=file) as missing:
        convert(published, tmp_path / "out")
    assert "Alpha-VLLM/Lumina-T2Music" in missing.value.hint


def test_the_autoencoder_is_asked_for_only_where_it_is_nowhere_else(published, tmp_path):
    def without(held):
        held["state_dict"] = {name: array for name, array in held["state_dict"].items() if not name.startswith("first_stage_model.")}

    assert not (published / "maa2/maa2.ckpt").exists()
    change(published, "music_generation/119.ckpt", without)
    with pytest.raises(Missing, match=r"maa2/maa2\.ckpt"):
        convert(published, tmp_path / "out")


@pytest.mark.parametrize("left", [0, 10, 3_000, -20])
def test_a_truncated_pickle_is_named(published, tmp_path, left):
    file = published / "music_generation/119.ckpt"
    file.write_bytes(file.read_bytes()[:left])
    with pytest.raises(UnreadableInput, match=r"119\.ckpt"):
        convert(published, tmp_path / "out")


@pytest.mark.parametrize(
    ("name", "how", "says"),
    [
        ("music_generation/119.ckpt", lambda held: {"weights": held["state_dict"]}, "state_dict"),
        ("music_generation/119.ckpt", lambda held: [held], "state_dict"),
        ("music_generation/119.ckpt", lambda held: {"state_dict": {"a": 1}}, "state_dict"),
        ("music_generation/119.ckpt", lambda held: held["state_dict"].pop("scale_factor") * 0 == 1, "scale_factor"),
        ("bigvnat/best_netG.pt", lambda held: held["generator"].update({"a.weight_v": torch.ones(1, 1, 1)}), "a.weight_g"),
        ("bigvnat/best_netG.pt", lambda held: held["generator"].update({"b.filter": torch.ones(1, 1, 12)}), "b.filter"),
    ],
)  # fmt: skip
def test_other_contents_are_refused(published, tmp_path, name, how, says):
    change(published, name, how)
    with pytest.raises(UnreadableInput, match=says):
        convert(published, tmp_path / "out")


@pytest.mark.parametrize("text", ["", "resblock: '1'", "[1, 2", "- 1", "!!python/object/apply:os.getcwd []"])
def test_other_settings_are_refused(published, tmp_path, text):
    (published / "bigvnat/args.yml").write_text(text)
    with pytest.raises(UnreadableInput, match=r"args\.yml"):
        convert(published, tmp_path / "out")


def test_a_place_that_cannot_be_written_is_named(published, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="file"):
        convert(published, tmp_path / "file")


def test_the_command_says_what_it_wrote_and_what_is_wrong(published, tmp_path, capsys):
    assert main([str(published), str(tmp_path / "out")]) == 0
    assert set(capsys.readouterr().out.splitlines()) == {str(tmp_path / "out" / name) for name in WRITTEN}
    assert main([str(published)]) == 2
    assert "FOLDER OUT" in capsys.readouterr().err
    assert main([str(tmp_path / "nowhere"), str(tmp_path / "out")]) == 4
    assert "119.ckpt" in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore:.*found in sys.modules")
def test_the_command_runs_as_it_is_written_down(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["", str(tmp_path), str(tmp_path / "out")])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("kapelle.text_audio.lumina_convert", run_name="__main__")
    assert ended.value.code == 4
    assert "119.ckpt" in capsys.readouterr().err
