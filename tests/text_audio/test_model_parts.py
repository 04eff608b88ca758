import json
import logging
import shutil
import threading
import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch")
for needed in ("diffusers", "transformers", "safetensors", "torchsde"):
    pytest.importorskip(needed)

import tiny_audioldm2  # noqa: E402
import tiny_stable_audio  # noqa: E402
from kapelle.errors import CannotObey, KapelleError, Missing, NotEnoughMemory, UnreadableInput  # noqa: E402
from kapelle.progress import never, quiet  # noqa: E402
from kapelle.text_audio import audioldm2, drawing, libraries, parts, stable_audio  # noqa: E402
from kapelle.text_audio.places import Place  # noqa: E402
from kapelle.text_audio.request import SoundRequest  # noqa: E402

pytestmark = [pytest.mark.filterwarnings("ignore::UserWarning"), pytest.mark.filterwarnings("ignore::FutureWarning")]
CPU = Place(torch.device("cpu"), torch.float32)
WEIGHTS = "diffusion_pytorch_model.safetensors"


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    return folder, tiny_stable_audio.save(folder, n_latents=16)


@pytest.fixture
def broken(whole, tmp_path):
    """A copy to break, and what reading it does."""
    folder, facts = whole
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    return copy, lambda: stable_audio.load(copy, facts, CPU)


def test_a_whole_folder_is_read(broken):
    _, read = broken
    assert read().pipeline.vae.training is False


def test_reading_leaves_global_randomness_as_it_was(broken):
    _, read = broken
    before = torch.random.get_rng_state()
    read()
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize("part", ["vae", "transformer", "text_encoder", "tokenizer", "scheduler", "projection_model"])
def test_a_part_that_is_not_there_is_missing_by_name(broken, part):
    folder, read = broken
    shutil.rmtree(folder / part)
    with pytest.raises(Missing, match=part):
        read()


@pytest.mark.parametrize("part", ["vae", "transformer", "text_encoder", "projection_model"])
def test_weights_that_are_not_there_are_missing_by_name(broken, part):
    folder, read = broken
    next((folder / part).glob("*.safetensors")).unlink()
    with pytest.raises(Missing, match=part):
        read()


@pytest.mark.parametrize(
    ("part", "file"), [("vae", "config.json"), ("text_encoder", "config.json"), ("scheduler", "scheduler_config.json")]
)
def test_settings_that_are_not_there_or_damaged_are_named(broken, part, file):
    folder, read = broken
    for content in (b"{", b"", b"[]", b"\xff\xfe\x00", None):
        if content is None:
            (folder / part / file).unlink()
        else:
            (folder / part / file).write_bytes(content)
        with pytest.raises(UnreadableInput, match=part):
            read()


def test_a_damaged_tokenizer_is_named(broken):
    folder, read = broken
    (folder / "tokenizer" / "tokenizer.json").write_text('{"version": "1.0"}')
    with pytest.raises(UnreadableInput, match="tokenizer"):
        read()


@pytest.mark.parametrize("kept", [0, 4, 200, 0.5, 0.999])
def test_weights_cut_off_by_an_interrupted_download_are_named(broken, kept):
    folder, read = broken
    file = folder / "transformer" / WEIGHTS
    content = file.read_bytes()
    file.write_bytes(content[: int(kept * len(content)) if kept < 1 else kept])
    with pytest.raises(UnreadableInput, match="was not fetched to its end") as caught:
        read()
    assert str(file) in str(caught.value)
    assert "fetch the model again" in caught.value.hint


def test_pickles_alone_are_refused_unopened(broken):
    folder, read = broken
    (folder / "vae" / WEIGHTS).unlink()
    (folder / "vae" / "diffusion_pytorch_model.bin").write_bytes(b"cos\nsystem\n(S'exit 1'\ntR.")
    with pytest.raises(UnreadableInput, match="a pickle") as caught:
        read()
    assert "safetensors" in caught.value.hint


def test_weights_that_lack_one_are_refused_where_the_libraries_would_draw_it_at_random(broken):
    from safetensors.torch import load_file, save_file

    folder, read = broken
    for part, name, file in (("transformer", "proj_out.weight", WEIGHTS), ("text_encoder", "shared.weight", "model.safetensors")):
        weights = load_file(folder / part / file)
        gone = weights.pop(name)
        save_file(weights, folder / part / file, metadata={"format": "pt"})
        with pytest.raises(UnreadableInput, match=f"lacks 1 weights, {name}"):
            read()
        save_file({**weights, name: gone}, folder / part / file, metadata={"format": "pt"})


def test_weights_of_another_shape_are_refused(broken):
    from safetensors.torch import load_file, save_file

    folder, read = broken
    weights = load_file(folder / "transformer" / WEIGHTS)
    weights["proj_out.weight"] = weights["proj_out.weight"][:1].clone()
    save_file(weights, folder / "transformer" / WEIGHTS, metadata={"format": "pt"})
    with pytest.raises(UnreadableInput, match="transformer"):
        read()


def test_a_folder_of_another_family_is_told_apart(whole, tmp_path):
    folder, _ = whole
    facts = tiny_audioldm2.save(tmp_path)
    with pytest.raises(UnreadableInput, match="holds AudioLDM2Pipeline, not StableAudioPipeline"):
        stable_audio.load(tmp_path, facts, CPU)
    with pytest.raises(UnreadableInput, match="holds StableAudioPipeline, not AudioLDM2Pipeline"):
        audioldm2.load(folder, facts, CPU)


def test_a_folder_that_is_not_there_or_no_pipeline_is_missing(tmp_path, whole):
    _, facts = whole
    with pytest.raises(Missing, match="there is no folder"):
        stable_audio.load(tmp_path / "nowhere", facts, CPU)
    with pytest.raises(Missing, match=r"model_index\.json"):
        stable_audio.load(tmp_path, facts, CPU)


@pytest.mark.parametrize("content", ["{", "[]", "{}", "null", '{"_class_name": 3}'])
def test_a_damaged_index_is_unreadable(broken, content):
    folder, read = broken
    (folder / "model_index.json").write_text(content)
    with pytest.raises(UnreadableInput):
        read()


def test_no_name_in_the_folder_chooses_code(broken):
    folder, read = broken
    (folder / "vae" / "evil.py").write_text("raise SystemExit('ran')\n")
    index = json.loads((folder / "model_index.json").read_text())
    for declared in (["evil", "AutoencoderOobleck2"], ["diffusers", "AutoencoderKL"], "vae", None, [1, 2, 3]):
        (folder / "model_index.json").write_text(json.dumps({**index, "vae": declared}))
        with pytest.raises(UnreadableInput, match="declares vae"):
            read()
    config = json.loads((folder / "vae" / "config.json").read_text())
    (folder / "model_index.json").write_text(json.dumps({**index, "vae": ["evil", "AutoencoderOobleck"]}))
    (folder / "vae" / "config.json").write_text(json.dumps({**config, "auto_map": {"AutoModel": "evil.AutoencoderOobleck"}}))
    assert type(read().pipeline.vae).__module__.startswith("diffusers.")


def test_the_libraries_are_silent_while_reading_and_as_before_after_it(broken, capfd):
    import diffusers.utils.logging as of_diffusers
    import transformers.utils.logging as of_transformers

    _, read = broken
    before = [(one.get_verbosity(), one.is_progress_bar_enabled()) for one in (of_transformers, of_diffusers)]
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        backend = read()
        list(backend.imagine(SoundRequest(prompt="funk", duration_s=0.5, steps=2)))
    assert capfd.readouterr() == ("", "")
    assert not heard
    assert before == [(one.get_verbosity(), one.is_progress_bar_enabled()) for one in (of_transformers, of_diffusers)]
    with pytest.raises(KeyError), libraries.quietly():
        raise KeyError
    assert of_transformers.get_verbosity() < logging.CRITICAL


def test_threads_take_turns_and_leave_the_process_as_it_was():
    import transformers.utils.logging as of_transformers

    before = list(warnings.filters), of_transformers.get_verbosity()
    inside, leave = threading.Event(), threading.Event()

    def work():
        with libraries.quietly(), libraries.quietly():
            inside.set()
            leave.wait(5)

    other = threading.Thread(target=work)
    with libraries.quietly():
        other.start()
        early = inside.wait(0.1)
    assert inside.wait(5) and not early
    leave.set()
    other.join()
    assert before == (list(warnings.filters), of_transformers.get_verbosity())


@pytest.mark.parametrize(
    "error", [MemoryError(), torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("DefaultCPUAllocator: can't allocate memory")]
)
def test_running_out_of_memory_is_our_error_with_a_way_out(broken, error, monkeypatch):
    _, read = broken
    backend = read()

    def fail(*given, **named):
        raise error

    monkeypatch.setattr(type(backend.pipeline.transformer), "forward", fail)
    with pytest.raises(NotEnoughMemory) as caught:
        next(backend.imagine(SoundRequest(prompt="funk", duration_s=0.5, steps=1)))
    assert "shorter" in caught.value.hint
    assert caught.value.__cause__ is error


def test_running_out_of_memory_while_reading_is_our_error(broken, monkeypatch):
    from diffusers import AutoencoderOobleck

    _, read = broken

    def fail(*given, **named):
        raise RuntimeError("[enforce fail at alloc_cpu.cpp] . DefaultCPUAllocator: not enough memory: you tried to allocate 1 bytes")

    monkeypatch.setattr(AutoencoderOobleck, "from_pretrained", fail)
    with pytest.raises(NotEnoughMemory):
        read()


def test_an_error_that_is_none_of_memory_is_not_hidden():
    with pytest.raises(RuntimeError, match="a bug"), libraries.guarded(CPU):
        raise RuntimeError("a bug")


def test_a_draw_of_the_wrong_shape_is_told(whole):
    _, facts = whole
    course = drawing.Course(1, quiet, never)
    request = SoundRequest(prompt="funk", duration_s=0.5)
    with pytest.raises(UnreadableInput, match="shape"):
        next(drawing.draw_all(request, facts, CPU, course, lambda generator, course: np.zeros((7, 2), np.float32), lambda drawn: 0))


def test_numbers_that_are_none_are_told_with_the_dtype():
    half = Place(torch.device("cpu"), torch.float16)
    drawing.check_finite(torch.zeros(3), half)
    for bad in (float("nan"), float("inf")):
        with pytest.raises(CannotObey, match="float16") as caught:
            drawing.check_finite(torch.tensor([0.0, bad]), half)
        assert "--dtype float32" in caught.value.hint
    assert isinstance(caught.value, KapelleError)


def test_a_tokenizer_without_a_longest_text_gets_one():
    class Endless:
        model_max_length = int(1e30)

    assert parts.bound(Endless()).model_max_length == 512


def test_guidance_of_one_is_the_prompt_alone_and_more_goes_beyond_it():
    both = torch.tensor([[1.0], [3.0]])
    assert drawing.guided(both, 1.0).tolist() == [[3.0]]
    assert drawing.guided(both, 4.0).tolist() == [[9.0]]
