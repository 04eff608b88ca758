"""Whatever is in an archive: plain files inside the target, or nothing and one clear line."""

from __future__ import annotations

import io
import os
import stat
import struct
import sys
import tarfile
import tracemalloc
import unicodedata
import zipfile
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hostile_server import special, tarred, zipped
from kapelle.data.archive import admit, safe_name, unpack
from kapelle.data.members import Limits, kind_of
from kapelle.errors import StorageError, UnreadableInput

GOOD = {"set/a.mid": b"MThd-a", "set/deep/er/b.mid": b"b" * 100_000, "set/empty.txt": b""}
MAKERS = {
    "zip": zipped,
    "stored.zip": lambda files: zipped(files, stored=True),
    "tar": tarred,
    "tar.gz": lambda files: tarred(files, "gz"),
    "tar.bz2": lambda files: tarred(files, "bz2"),
    "tar.xz": lambda files: tarred(files, "xz"),
}


def tree(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def refused(data: bytes, tmp_path: Path, *words: str, limits: Limits | None = None, name: str = "x.archive") -> None:
    """The archive is refused with these words, and nothing but itself is there afterwards."""
    work = tmp_path / "work"
    work.mkdir(exist_ok=True)
    archive = work / name
    archive.write_bytes(data)
    with pytest.raises(UnreadableInput) as caught:
        unpack(archive, work / "inside" / "target", limits=limits)
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)
    assert tree(tmp_path) == {f"work/{name}": data}
    assert not (work / "inside" / "target").exists()


@pytest.mark.parametrize("kind", MAKERS)
def test_a_good_archive_comes_out_as_it_went_in(kind: str, tmp_path: Path) -> None:
    archive = tmp_path / f"good.{kind}"
    archive.write_bytes(MAKERS[kind](GOOD))
    seen: list[tuple[int, int]] = []
    made = unpack(archive, tmp_path / "out", progress=lambda done, total: seen.append((done, total)))
    assert tree(tmp_path / "out") == GOOD
    assert (made.files, made.size, made.same_name) == (3, 100_006, 0)
    assert all(0 <= done <= total == archive.stat().st_size for done, total in seen)


@pytest.mark.parametrize("kind", MAKERS)
def test_modes_of_members_are_not_taken_over(kind: str, tmp_path: Path) -> None:
    archive = tmp_path / "x"
    info = tarfile.TarInfo("run.sh")
    info.mode, info.size = 0o4777, 0
    archive.write_bytes(tarred({"run.sh": info}))
    unpack(archive, tmp_path / "out")
    assert stat.S_IMODE((tmp_path / "out" / "run.sh").stat().st_mode) & 0o7111 == 0


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("../evil.mid", "leads out"),
        ("set/../../evil.mid", "leads out"),
        ("set/..", "leads out"),
        ("..\\evil.mid", "leads out"),
        ("set\\..\\..\\evil.mid", "leads out"),
        ("/evil.mid", "absolute"),
        ("\\\\host\\share\\evil.mid", "absolute"),
        ("C:\\evil.mid", "absolute"),
        ("c:/evil.mid", "absolute"),
        ("n" * 251 + ".mid", "too long or too deep"),
        ("é" * 130 + ".mid", "too long or too deep"),
        ("/".join("d" * 200 for _ in range(6)), "too long or too deep"),
        ("/".join("d" * 40), "too long or too deep"),
    ],
)
def test_a_name_that_leads_out_or_is_too_long_refuses_all(kind: str, name: str, word: str, tmp_path: Path) -> None:
    refused(MAKERS[kind]({"good.mid": b"1", name: b"evil"}), tmp_path, word)


def test_a_name_with_a_nul_byte_is_refused_in_zip_and_in_tar(tmp_path: Path) -> None:
    data = zipped({"a.midXevil.exe": b"1"}).replace(b"a.midXevil", b"a.mid\0evil")
    refused(data, tmp_path, "NUL")
    info = tarfile.TarInfo("x")
    info.pax_headers = {"path": "a.mid\0evil.exe"}
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(info)
    refused(out.getvalue(), tmp_path, "NUL")


@pytest.mark.parametrize(
    ("given", "made"),
    [
        ("./a//b.mid", ("a", "b.mid")),
        ("CON.mid", ("_CON.mid",)),
        ("aux", ("_aux",)),
        ("com1.tar.gz", ("_com1.tar.gz",)),
        ("What's Up?.mid", ("What's Up_.mid",)),
        ("a.mid:stream", ("a.mid_stream",)),
        ("B:oth.mid", ("B_oth.mid",)),
        ("folder. /x. . ", ("folder", "x")),
        (".../x", ("_", "x")),
        ("e\u0301.mid", ("é.mid",)),
        ("a\u202egnp.mid", ("a_gnp.mid",)),
        ("line\nbreak\x1b[31m", ("line_break_[31m",)),
        ("caf\udce9.mid", ("café.mid",)),
        ("", ()),
        ("./", ()),
    ],
)
def test_names_are_made_so_that_every_system_can_have_them(given: str, made: tuple[str, ...]) -> None:
    assert safe_name(given) == made


@settings(max_examples=150, deadline=None)
@given(st.text(st.characters() | st.sampled_from("./\\:\0 .."), max_size=40))
def test_no_name_at_all_leads_out(name: str) -> None:
    try:
        parts = safe_name(name)
    except UnreadableInput:
        return
    assert safe_name("/".join(parts)) == parts, "a made name is its own made name"
    for part in parts:
        assert part not in ("", ".", "..") and not set(part) & set('/\\:*?"<>|\0') and part == part.rstrip(". ")
        assert part.isprintable() and unicodedata.is_normalized("NFC", part)


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_of_members_with_one_name_the_first_is_kept_and_the_others_counted(kind: str, tmp_path: Path) -> None:
    names = ["Set/Song.mid", "set/song.MID", "Set/e\u0301.mid", "Set/é.mid", "Set/x.mid.", "Set/x.mid", "SET/other.mid"]
    archive = tmp_path / "x"
    archive.write_bytes(MAKERS[kind]({name: str(n).encode() for n, name in enumerate(names)}))
    made = unpack(archive, tmp_path / "out")
    assert tree(tmp_path / "out") == {"Set/Song.mid": b"0", "Set/é.mid": b"2", "Set/x.mid": b"4", "Set/other.mid": b"6"}
    assert (made.files, made.same_name) == (4, 3)


@pytest.mark.parametrize("kind", ["zip", "tar"])
@pytest.mark.parametrize("names", [("a", "a/b.mid"), ("a/b.mid", "A")])
def test_a_file_and_a_folder_of_one_name_are_refused(kind: str, names: tuple[str, str], tmp_path: Path) -> None:
    refused(MAKERS[kind](dict.fromkeys(names, b"1")), tmp_path, "one name")


def test_what_file_managers_add_is_left_out_and_so_is_what_patterns_name(tmp_path: Path) -> None:
    archive = tmp_path / "x"
    archive.write_bytes(
        zipped({"__MACOSX/._a.mid": b"1", "._a.mid": b"1", "x/.DS_Store": b"1", "x/versions/v1.mid": b"1", "x/a.mid": b"2"})
    )
    unpack(archive, tmp_path / "out", leave_out=("*/versions/*",))
    assert tree(tmp_path / "out") == {"x/a.mid": b"2"}


@pytest.mark.parametrize("compression", ["", "gz"])
@pytest.mark.parametrize(
    "member",
    [
        lambda: special(tarfile.SYMTYPE, "/etc"),
        lambda: special(tarfile.SYMTYPE, "a.mid"),
        lambda: special(tarfile.LNKTYPE, "../../outside"),
        lambda: special(tarfile.CHRTYPE),
        lambda: special(tarfile.BLKTYPE),
        lambda: special(tarfile.FIFOTYPE),
        lambda: special(b"Z"),
    ],
)
def test_links_devices_and_pipes_in_a_tar_refuse_all(member, compression: str, tmp_path: Path) -> None:
    refused(tarred({"a.mid": b"1", "set": member(), "set/b.mid": b"through the link"}, compression), tmp_path, "'set'", "no plain file")


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFSOCK])
def test_links_devices_and_pipes_in_a_zip_refuse_all(kind: int, tmp_path: Path) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("a.mid", b"1")
        info = zipfile.ZipInfo("link")
        info.create_system, info.external_attr = 3, (kind | 0o777) << 16
        archive.writestr(info, b"/etc/passwd")
    refused(out.getvalue(), tmp_path, "'link'", "no plain file")


@pytest.mark.parametrize("kind", ["zip", "tar.gz", "tar.bz2", "tar.xz"])
def test_a_bomb_is_stopped_by_its_ratio(kind: str, tmp_path: Path) -> None:
    data = MAKERS[kind]({"a.mid": bytes(5_000_000)})
    assert len(data) < 20_000
    refused(data, tmp_path, "100 times its size", limits=Limits(grace_bytes=1 << 20))


@pytest.mark.parametrize("kind", MAKERS)
def test_bytes_and_members_have_limits(kind: str, tmp_path: Path) -> None:
    refused(MAKERS[kind](GOOD), tmp_path, "50,000 bytes", limits=Limits(total_bytes=50_000))
    refused(MAKERS[kind]({f"{n}.mid": b"" for n in range(30)}), tmp_path, "20 members", limits=Limits(members=20))


def test_a_zip_that_understates_a_member_is_refused(tmp_path: Path) -> None:
    data = bytearray(zipped({"a.mid": bytes(50_000)}))
    at = data.rfind(b"PK\x01\x02")
    data[at + 24 : at + 28] = (100).to_bytes(4, "little")
    refused(bytes(data), tmp_path)


def test_a_list_of_contents_too_large_for_memory_is_not_read(tmp_path: Path) -> None:
    refused(zipped({f"{n}.mid": b"" for n in range(300)}), tmp_path, "members", limits=Limits(directory_bytes=10_000))


def test_a_header_that_asks_for_all_memory_gets_none(tmp_path: Path) -> None:
    info = tarfile.TarInfo("PaxHeader")
    info.type, info.size = tarfile.XHDTYPE, 4_000_000_000
    head = info.tobuf(tarfile.USTAR_FORMAT)
    tracemalloc.start()
    try:
        refused(head + bytes(20_000_000), tmp_path, "too large")
        assert tracemalloc.get_traced_memory()[1] < 70_000_000  # the test itself holds the archive thrice
    finally:
        tracemalloc.stop()


def test_an_xz_stream_that_asks_for_all_memory_gets_none(tmp_path: Path) -> None:
    """The size of its dictionary stands in the head of the first block, after the 12 bytes of the stream's head; 40 is 4 GiB."""
    data = bytearray(tarred({"a.mid": b"1"}, "xz"))
    size = (data[12] + 1) * 4
    at = data.index(b"\x21\x01", 12, 12 + size) + 2
    data[at] = 40
    data[12 + size - 4 : 12 + size] = struct.pack("<I", zlib.crc32(data[12 : 12 + size - 4]))
    refused(bytes(data), tmp_path, "Memory")


def test_a_sparse_member_is_refused(tmp_path: Path) -> None:
    info = tarfile.TarInfo("big.mid")
    info.type, info.size = tarfile.GNUTYPE_SPARSE, 0
    refused(info.tobuf(tarfile.GNU_FORMAT) + bytes(1024), tmp_path)


def test_an_encrypted_zip_and_an_odd_compression_are_told(tmp_path: Path) -> None:
    data = bytearray(zipped({"a.mid": b"1"}))
    for signature, at in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        data[data.find(signature) + at] |= 1
    refused(bytes(data), tmp_path, "password")
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("a.mid", b"1" * 100)
    refused(out.getvalue(), tmp_path, "compressed in a way")


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("share", [0.02, 0.3, 0.7, 0.9])
def test_an_archive_that_is_cut_off_leaves_nothing(kind: str, share: float, tmp_path: Path) -> None:
    data = MAKERS[kind]({**GOOD, "noise.mid": os.urandom(30_000)})
    refused(data[: int(len(data) * share)], tmp_path)


def test_a_damaged_header_in_the_middle_of_a_tar_is_not_taken_for_its_end(tmp_path: Path) -> None:
    data = bytearray(tarred({"a.mid": b"1", "b.mid": b"2", "c.mid": b"3"}))
    data[1024:1030] = b"\xff" * 6
    refused(bytes(data), tmp_path, "the end is missing")


def test_a_wrong_checksum_is_seen_in_zip_and_gz(tmp_path: Path) -> None:
    data = bytearray(zipped({"a.mid": b"x" * 1000}, stored=True))
    data[data.find(b"xxxx")] ^= 1
    refused(bytes(data), tmp_path, "damaged")
    data = bytearray(tarred({"a.mid": b"x" * 1000}, "gz"))
    data[-6] ^= 1
    refused(bytes(data), tmp_path, "damaged")


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"", "an empty file"),
        (b"\n <!DOCTYPE html><html>", "a web page"),
        (b"Rar!\x1a\x07", "rar"),
        (b"7z\xbc\xaf\x27\x1c", "7z"),
        (b"MThd" + bytes(600), "a MIDI file"),
        (b"hello", "something else"),
        (b"\x1f\x8b\x08\x00rubbish", "damaged"),
        (b"PK\x03\x04", "damaged"),
        (zipped({}), "no files"),
        (zipped({"folder/": b""}), "no files"),
        (tarred({"folder": special(tarfile.DIRTYPE)}), "no files"),
    ],
)
def test_what_is_no_archive_is_named(data: bytes, word: str, tmp_path: Path) -> None:
    refused(data, tmp_path, word)


def test_one_compressed_file_is_no_archive(tmp_path: Path) -> None:
    import gzip

    refused(gzip.compress(b"MThd" * 1000), tmp_path, "one compressed file")


@pytest.mark.parametrize("kind", MAKERS)
def test_any_changed_byte_gives_files_inside_or_one_line(kind: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    whole = MAKERS[kind]({"set/a.mid": b"a" * 300, "set/b.mid": b"b" * 300})

    @settings(max_examples=30, deadline=None)
    @given(st.integers(0, len(whole) - 1), st.binary(min_size=1, max_size=8))
    def check(at: int, patch: bytes) -> None:
        folder = tmp_path_factory.mktemp("fuzz")
        (folder / "x").write_bytes(whole[:at] + patch + whole[at + len(patch) :])
        try:
            unpack(folder / "x", folder / "out")
        except UnreadableInput:
            assert not (folder / "out").exists()
        assert {path.name for path in folder.iterdir()} <= {"x", "out"}
        assert not any(path.is_symlink() for path in folder.rglob("*"))

    check()


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on the size of files")
@pytest.mark.parametrize("kind", MAKERS)
def test_a_full_disk_is_a_storage_error_and_leaves_nothing(kind: str, tmp_path: Path) -> None:
    archive = tmp_path / "x"
    archive.write_bytes(MAKERS[kind](GOOD))
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))
    try:
        with pytest.raises(StorageError, match="File too large"):
            unpack(archive, tmp_path / "out")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_a_folder_is_taken_in_under_the_same_rules(tmp_path: Path) -> None:
    folder = tmp_path / "theirs"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "a?.mid").write_bytes(b"1")
    made = admit(folder, tmp_path / "out")
    assert (made.files, tree(tmp_path / "out")) == (1, {"sub/a_.mid": b"1"})
    (folder / "link").symlink_to("/etc")
    with pytest.raises(UnreadableInput, match="no plain file"):
        admit(folder, tmp_path / "again")
    assert not (tmp_path / "again").exists()


def test_kinds_are_told_by_bytes_and_not_by_names(tmp_path: Path) -> None:
    for kind, make in MAKERS.items():
        (tmp_path / "x.mid").write_bytes(make(GOOD))
        assert kind_of(tmp_path / "x.mid") == ("zip" if "zip" in kind else "tar")
