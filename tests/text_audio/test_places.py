"""Where models run: the device and the numbers that are asked for, and whether there is room, told before anything is read."""

import sys
from pathlib import Path

import pytest

from kapelle.errors import CannotObey, Missing, NotEnoughMemory, UnknownName
from kapelle.text_audio import catalogue, memory, places

torch = pytest.importorskip("torch")
SMALL, LARGE = catalogue.find("musicgen-small"), catalogue.find("musicgen-large")


@pytest.fixture
def roomy(monkeypatch):
    monkeypatch.setattr(memory, "free", lambda device: 10**12)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.delenv(places.ANYWAY, raising=False)


@pytest.fixture
def with_gpu(roomy, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (7, 5))


def test_without_a_gpu_a_model_runs_on_the_cpu_in_float32(roomy):
    assert places.choose(SMALL) == places.Place(torch.device("cpu"), torch.float32)
    assert places.choose(SMALL, dtype="bfloat16").dtype == torch.bfloat16


def test_a_gpu_is_taken_where_there_is_one_and_with_narrow_numbers(with_gpu):
    assert places.choose(SMALL) == places.Place(torch.device("cuda"), torch.float16)
    assert places.choose(SMALL, device="cpu") == places.Place(torch.device("cpu"), torch.float32)


def test_what_is_not_there_is_told(roomy):
    with pytest.raises(Missing, match="no cuda"):
        places.choose(SMALL, device="cuda")
    for wish in ({"device": "gpu"}, {"dtype": "int8"}):
        with pytest.raises(UnknownName):
            places.choose(SMALL, **wish)


def test_numbers_that_a_device_is_bad_at_are_refused(with_gpu):
    with pytest.raises(CannotObey, match="float16") as caught:
        places.choose(SMALL, device="cpu", dtype="float16")
    assert "bfloat16" in caught.value.hint
    with pytest.raises(CannotObey, match="does not compute in bfloat16"):
        places.choose(SMALL, dtype="bfloat16")


def test_the_need_grows_with_the_weights_and_their_width():
    assert places.needed(SMALL, "float32") == pytest.approx(591_087_246 * 4 * 1.2 + 1e9, abs=1)
    assert places.needed(LARGE, "float32") > places.needed(LARGE, "float16") == places.needed(LARGE, "bfloat16") > 7e9
    from dataclasses import replace

    assert places.needed(replace(SMALL, n_parameters=1000), "float32") == 8_800


@pytest.mark.parametrize(
    ("free_gb", "dtype", "hint"),
    [
        (12.0, "auto", "--dtype bfloat16"),
        (6.0, "auto", "--model musicgen-small"),
        (7.0, "bfloat16", "--model musicgen-medium"),
        (1.0, "auto", "close other"),
    ],
)
def test_too_little_memory_names_what_would_fit(roomy, monkeypatch, free_gb, dtype, hint):
    monkeypatch.setattr(memory, "free", lambda device: int(free_gb * 1e9))
    with pytest.raises(NotEnoughMemory, match=rf"musicgen-large needs about .* and the cpu has {free_gb} GB free") as caught:
        places.choose(LARGE, dtype=dtype)
    assert hint in caught.value.hint and "KAPELLE_TRY_ANYWAY=1" in caught.value.hint


def test_a_small_gpu_points_to_the_cpu(with_gpu, monkeypatch):
    monkeypatch.setattr(memory, "free", lambda device: 10**9)
    with pytest.raises(NotEnoughMemory) as caught:
        places.choose(SMALL)
    assert "--device cpu" in caught.value.hint


def test_it_can_be_tried_anyway_and_what_nobody_tells_is_not_refused(roomy, monkeypatch):
    monkeypatch.setattr(memory, "free", lambda device: None)
    places.choose(LARGE)
    monkeypatch.setattr(memory, "free", lambda device: 10)
    monkeypatch.setenv(places.ANYWAY, "1")
    places.choose(LARGE)
    monkeypatch.setenv(places.ANYWAY, "0")
    with pytest.raises(NotEnoughMemory):
        places.choose(LARGE)


def test_the_weights_that_are_there_count_and_not_what_the_catalogue_says(roomy, monkeypatch, tmp_path):
    save_file = pytest.importorskip("safetensors.torch").save_file
    save_file({"a": torch.zeros(10, 30), "b": torch.zeros(5)}, tmp_path / "model.safetensors")
    save_file({"a": torch.zeros(10, 30)}, tmp_path / "model.fp16.safetensors")
    assert places.numbers(tmp_path) == 305
    monkeypatch.setattr(memory, "free", lambda device: 10_000)
    assert places.choose(LARGE, folder=tmp_path).device == torch.device("cpu")
    (tmp_path / "model.safetensors").write_bytes(b"nothing of the kind")
    assert places.numbers(tmp_path) == 0
    with pytest.raises(NotEnoughMemory):
        places.choose(LARGE, folder=tmp_path)
    assert places.numbers(tmp_path / "none") == 0


@pytest.mark.parametrize(
    ("shape", "most"), [('"a"', 0), ('["a"]', 0), ("7", 0), ("[-4, 4]", 0), ("[1000000000, 1000000000]", 500), ("[[]]", 0)]
)
def test_a_file_that_boasts_is_not_believed(shape, most, tmp_path):
    head = f'{{"a": {{"dtype": "F32", "shape": {shape}, "data_offsets": [0, 4]}}, "b": 3}}'.encode()
    (tmp_path / "model.safetensors").write_bytes(len(head).to_bytes(8, "little") + head + b"1234")
    assert places.numbers(tmp_path) <= most


def tree(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


MEMINFO = {"proc/meminfo": "MemTotal: 16000 kB\nMemAvailable:    8000 kB\n"}


def test_free_memory_is_what_the_system_has_available(tmp_path):
    assert memory.linux(tree(tmp_path, MEMINFO)) == 8000 * 1024
    assert memory.linux(tmp_path / "nothing") is None


def test_a_container_s_limit_counts_and_files_in_memory_do_not(tmp_path):
    group = {"memory.max": "4000000\n", "memory.current": "3000000\n", "memory.stat": "anon 1\ninactive_file 500000\n"}
    files = {f"sys/fs/cgroup/a/b/{name}": text for name, text in group.items()}
    assert memory.linux(tree(tmp_path, {**MEMINFO, "proc/self/cgroup": "0::/a/b\n", **files})) == 1_500_000
    (tmp_path / "sys/fs/cgroup/a/b/memory.max").write_text("max\n")
    assert memory.linux(tmp_path) == 8000 * 1024


def test_control_groups_of_the_first_version_are_understood(tmp_path):
    group = {"memory.limit_in_bytes": "2000000", "memory.usage_in_bytes": "1500000", "memory.stat": "total_inactive_file 100000\n"}
    files = {f"sys/fs/cgroup/memory/{name}": text for name, text in group.items()}
    root = tree(tmp_path, {**MEMINFO, "proc/self/cgroup": "5:memory:/docker/abc\n4:cpuset:/x\n", **files})
    assert memory.linux(root) == 600_000
    (root / "sys/fs/cgroup/memory/memory.limit_in_bytes").write_text(str(2**63 - 4096))
    assert memory.linux(root) == 8000 * 1024
    (root / "sys/fs/cgroup/memory/memory.limit_in_bytes").write_text("1000000")
    assert memory.linux(root) == 0


def test_macos_tells_in_pages():
    counts = {"free": 100, "active": 5, "inactive": 50, "purgeable": 7}
    told = "Statistics: (page size of 16384 bytes)\n" + "".join(f"Pages {name}:   {n}.\n" for name, n in counts.items())
    assert memory.pages(told) == 16_384 * 157
    assert memory.pages("") is None


@pytest.mark.skipif(sys.platform != "linux", reason="of this system")
def test_this_machine_has_memory():
    assert 0 < memory.free("cpu") < 2**50
