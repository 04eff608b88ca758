"""The public datasets that Kapelle knows: where each is, what it weighs, its licence, what it may be used for, where it unpacks to.

Takes a name; gives a row. What is not known stands as None: no size and no sha256 here is guessed. A row says what was published;
whether its server still says the same is a `Check`, made where there is a network by ``kapelle data verify`` or by fetching, and kept
in a file of the user's. Nothing is downloaded here.

Source: sizes and sha256 of MAESTRO, Lakh and the JSB chorales as published in the MusPy package (MIT), those of Groove in TensorFlow
Datasets (Apache 2.0), that of the GTZAN table taken from the file itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from kapelle.data.storage import put_text, writing
from kapelle.errors import UnknownName

USES: Mapping[str, str] = {
    "open": "weights trained on it may be shared; name the source",
    "share-alike": "weights trained on it may be shared under the same licence; name the source",
    "research": "weights trained on it may be shared for research; cite the paper, and do not pass the data on",
    "non-commercial": "no commercial use; weights trained on it may be shared only under the same licence",
    "private": "for yourself: do not share weights trained on it",
}
"""What a dataset may be used for, by key. Training for yourself is allowed by all of them."""

GITHUB = ("codeload.github.com", "raw.githubusercontent.com", "media.githubusercontent.com", "objects.githubusercontent.com")
"""Hosts to which github.com sends on for its files."""

KAGGLE_SETTINGS = "https://www.kaggle.com/settings/api"


@dataclass(frozen=True)
class Dataset:
    """One row.

    Args:
        name: What `kapelle data fetch` takes.
        title: Full name and what it holds.
        url: The file to download; for a set at Kaggle, its page.
        folder: What it becomes below the data folder; recipes name it in their sources.
        licence: Of the data.
        use: A key of `USES`.
        citation: Whom to name.
        size: Bytes of the file, exactly; None if they were not published.
        sha256: Of the file; None if it was not published.
        about: Bytes, roughly, where `size` is not known; None if not even that is.
        kaggle: ``owner/name`` of a set that comes through kagglehub; empty otherwise.
        hosts: Hosts to which the server may send on, beside its own.
        inside: The folder of the archive that is wanted, without the lone folders around it; empty for all.
        leave_out: Patterns of paths in the archive that are not unpacked.
        file: Name of the file, where the address does not say it.
        note: What else there is to know; empty for nothing.
    """

    name: str
    title: str
    url: str
    folder: str
    licence: str
    use: str
    citation: str
    size: int | None = None
    sha256: str | None = None
    about: int | None = None
    kaggle: str = ""
    hosts: tuple[str, ...] = ()
    inside: str = ""
    leave_out: tuple[str, ...] = ()
    file: str = ""
    note: str = ""

    @property
    def file_name(self) -> str:
        """What the downloaded file is called."""
        return self.file or unquote(PurePosixPath(urlsplit(self.url).path).name)

    @property
    def all_hosts(self) -> frozenset[str]:
        """The hosts that may serve it."""
        return frozenset({urlsplit(self.url).hostname or "", *self.hosts})


@dataclass(frozen=True)
class Check:
    """What was found when a row was last compared with its server.

    Args:
        date: As ``2026-11-21``.
        url: The address that was asked; a check of another address says nothing.
        size: Bytes that the server has or sent; None if it did not say.
        sha256: Of what it sent; None if only its headers were asked for.
        problem: What differs from the row; empty if nothing does.
    """

    date: str
    url: str
    size: int | None = None
    sha256: str | None = None
    problem: str = ""


_PIANO_MIDI = "Bernd Krueger, Classical Piano MIDI Page, piano-midi.de"
_RAFFEL = "Colin Raffel: Learning-Based Methods for Comparing Sequences, with Applications to Audio-to-MIDI Alignment and Matching, 2016"
_POP909 = "Ziyu Wang et al.: POP909: A Pop-song Dataset for Music Arrangement Generation, ISMIR 2020"
_BOULANGER = "N. Boulanger-Lewandowski et al.: Modeling Temporal Dependencies in High-Dimensional Sequences, ICML 2012"
_LAKH = "CC BY 4.0 for the collection; the songs belong to their authors"
_OPEN_LINE = "the server offers no encrypted connection, and no sha256 is published: what comes cannot be checked"

CATALOGUE: tuple[Dataset, ...] = (
    Dataset(
        name="classical-music-midi",
        title="Classical Music MIDI at Kaggle: about 290 piano pieces of 19 composers, from piano-midi.de",
        url="https://www.kaggle.com/datasets/soumikrakshit/classical-music-midi",
        kaggle="soumikrakshit/classical-music-midi",
        folder="piano_midi_de",
        licence="CC BY-SA (Bernd Krueger, piano-midi.de)",
        use="share-alike",
        citation=_PIANO_MIDI,
        note="needs an account at Kaggle; classical-music-midi-zip is the same set without one",
    ),
    Dataset(
        name="classical-music-midi-zip",
        title="The same set as classical-music-midi, as a plain zip",
        url="https://storage.yandexcloud.net/academy.ai/classical-music-midi.zip",
        folder="piano_midi_de",
        licence="CC BY-SA (Bernd Krueger, piano-midi.de)",
        use="share-alike",
        citation=_PIANO_MIDI,
        note="a mirror by a third party; not compared with the set at Kaggle byte for byte",
    ),
    Dataset(
        name="pop909",
        title="POP909: 909 pop songs arranged for piano, with melody, bridge, chords, beats and keys",
        url="https://github.com/music-x-lab/POP909-Dataset/archive/d83e6edba6872a704f5d3b8b32f5cb540088dae6.zip",
        hosts=GITHUB,
        folder="pop909",
        inside="POP909",
        leave_out=("*/versions/*",),
        licence="MIT (the arrangements; the songs belong to their authors)",
        use="open",
        citation=_POP909,
        note="GitHub packs this archive anew when asked, so its bytes have no lasting sha256",
    ),
    Dataset(
        name="pop909-cl",
        title="POP909-CL: the same 909 songs with corrected bars, keys and metres, and a chord track",
        url="https://github.com/AndyWeasley2004/POP909-CL-Dataset/archive/be9094392903c471a930519e1c0bacf8b6be5d62.zip",
        hosts=GITHUB,
        folder="pop909_cl",
        inside="POP909_processed",
        licence="MIT (the arrangements; the songs belong to their authors)",
        use="open",
        citation=_POP909,
        note="GitHub packs this archive anew when asked, so its bytes have no lasting sha256",
    ),
    Dataset(
        name="adl-piano-midi",
        title="ADL Piano MIDI: 11,086 piano pieces by genre and artist, mostly piano parts of Lakh",
        url="https://github.com/lucasnfe/adl-piano-midi/raw/bdb483614c25d64794c798a21adde9504eb09719/midi/adl-piano-midi.zip",
        hosts=GITHUB,
        folder="adl_piano_midi",
        licence="none stated; the authors ask to be cited",
        use="research",
        citation="L. N. Ferreira, L. H. S. Lelis, J. Whitehead: Computer-Generated Music for Tabletop Role-Playing Games, AIIDE 2020",
    ),
    Dataset(
        name="maestro",
        title="MAESTRO v3.0.0, MIDI only: 1,276 performances of a piano competition",
        url="https://storage.googleapis.com/magentadata/datasets/maestro/v3.0.0/maestro-v3.0.0-midi.zip",
        size=58_416_533,
        sha256="70470ee253295c8d2c71e6d9d4a815189e35c89624b76d22fce5a019d5dde12c",
        folder="maestro",
        licence="CC BY-NC-SA 4.0",
        use="non-commercial",
        citation="C. Hawthorne et al.: Enabling Factorized Piano Music Modeling and Generation with the MAESTRO Dataset, ICLR 2019",
    ),
    Dataset(
        name="lakh-full",
        title="Lakh MIDI, full: 176,581 files from the web, some of them damaged",
        url="http://hog.ee.columbia.edu/craffel/lmd/lmd_full.tar.gz",
        size=1_768_163_879,
        sha256="6fcfe2ac49ca08f3f214cec86ab138d4fc4dabcd7f27f491a838dae6db45a12b",
        folder="lmd_full",
        licence=_LAKH,
        use="research",
        citation=_RAFFEL,
    ),
    Dataset(
        name="lakh-matched",
        title="Lakh MIDI, matched: 45,129 files that were matched to songs of the Million Song Dataset",
        url="http://hog.ee.columbia.edu/craffel/lmd/lmd_matched.tar.gz",
        size=1_407_072_670,
        sha256="621ff830aed771f469e5bfa13dc12a33c6ed69090adeda63d0b5c47783af0191",
        folder="lmd_matched",
        licence=_LAKH,
        use="research",
        citation=_RAFFEL,
    ),
    Dataset(
        name="lakh-clean",
        title="Lakh MIDI, clean: files named by artist and title",
        url="http://hog.ee.columbia.edu/craffel/lmd/clean_midi.tar.gz",
        about=234_000_000,
        folder="lmd_clean",
        licence=_LAKH,
        use="research",
        citation=_RAFFEL,
        note=_OPEN_LINE,
    ),
    Dataset(
        name="lpd-5-cleansed",
        title="Lakh Pianoroll Dataset, LPD-5-cleansed: 21,425 songs as five-track piano-rolls (npz)",
        url="https://drive.usercontent.google.com/download?id=1yz0Ma-6cWTl6mhkrLnAVJ7RNzlQRypQ5&export=download&confirm=t",
        hosts=("drive.google.com",),
        file="lpd_5_cleansed.tar.gz",
        about=555_000_000,
        folder="lpd_5_cleansed",
        licence="CC BY 4.0 for the collection; the songs belong to their authors",
        use="research",
        citation="H.-W. Dong et al.: MuseGAN: Multi-track Sequential Generative Adversarial Networks, AAAI 2018",
        note="kept at Google Drive, which may answer with a page instead of the file when many ask for it",
    ),
    Dataset(
        name="groove",
        title="Groove MIDI v1.0.0, MIDI only: 1,150 drum performances with styles",
        url="https://storage.googleapis.com/magentadata/datasets/groove/groove-v1.0.0-midionly.zip",
        size=3_260_318,
        sha256="651cbc524ffb891be1a3e46d89dc82a1cecb09a57c748c7b45b844c4841dcc1e",
        folder="groove_midi",
        licence="CC BY 4.0",
        use="open",
        citation="J. Gillick et al.: Learning to Groove with Inverse Sequence Transformations, ICML 2019",
    ),
    Dataset(
        name="jsb-chorales",
        title="JSB Chorales: 382 four-part chorales of Bach, in parts for training, validation and test",
        url="http://www-etud.iro.umontreal.ca/~boulanni/JSB%20Chorales.zip",
        size=215_242,
        sha256="69924294546a71620c06374085cd6b0300665ea215e2f854f65a11929f1e723c",
        folder="jsb_chorales",
        licence="public domain (the music); none stated for the files",
        use="open",
        citation=_BOULANGER,
    ),
    Dataset(
        name="nottingham",
        title="Nottingham: 1,034 folk tunes, melody and chords",
        url="https://github.com/jukedeck/nottingham-dataset/archive/0992bb6cd864f6d4b90d6663e08c0ef53ffaa08f.zip",
        hosts=GITHUB,
        folder="nottingham",
        inside="MIDI",
        licence="GPL-3.0",
        use="private",
        citation="Eric Foxley: Nottingham Music Database; cleaned by Jukedeck",
        note="GitHub packs this archive anew when asked, so its bytes have no lasting sha256",
    ),
    Dataset(
        name="gtzan-features",
        title="GTZAN features: 57 measures of 1,000 half-minute recordings of ten genres (csv)",
        url="https://raw.githubusercontent.com/madkan/Music-Genre-Classifier/8b17247ec4c4fb265dd862bbf67ff9d545222c05/features_30_sec.csv",
        size=1_107_271,
        sha256="cf6bbbd297e193292bb7b626bc70bf94a3703ac100f9faa4cb5bc5751a6c8066",
        folder="gtzan_features",
        licence="none stated",
        use="research",
        citation="G. Tzanetakis, P. Cook: Musical genre classification of audio signals, 2002; table by A. Olteanu",
        note="a copy of the table in the Kaggle set andradaolteanu/gtzan-dataset-music-genre-classification",
    ),
)


def names() -> tuple[str, ...]:
    """The names of all rows, in their order."""
    return tuple(row.name for row in CATALOGUE)


def find(name: str) -> Dataset:
    """The row of a name.

    Raises:
        UnknownName: There is none; the message lists those that are.
    """
    for row in CATALOGUE:
        if row.name == name:
            return row
    raise UnknownName("dataset", name, names())


def by_file(name: str) -> Dataset | None:
    """The row whose file is called `name`, for archives that were downloaded by hand; None if there is none, or several."""
    found = [row for row in CATALOGUE if not row.kaggle and row.file_name.casefold() == name.casefold()]
    return found[0] if len(found) == 1 else None


def read_checks(file: Path) -> dict[str, Check]:
    """Name -> what was found when the row was last checked; empty when nothing was, or when the file is damaged.

    A check of an address that the row no longer has is left out.
    """
    known = {item.name for item in fields(Check)}
    try:
        held = json.loads(file.read_text(encoding="utf-8"))
        checks = {name: Check(**{key: value for key, value in found.items() if key in known}) for name, found in held.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}
    return {row.name: checks[row.name] for row in CATALOGUE if row.name in checks and checks[row.name].url == row.url}


def keep_check(file: Path, name: str, check: Check) -> None:
    """Remember a check.

    Raises:
        StorageError: `file` cannot be written.
    """
    checks = {**read_checks(file), name: check}
    with writing(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        put_text(file, json.dumps({name: asdict(found) for name, found in sorted(checks.items())}, indent=1) + "\n")


def readers(folders: Iterable[str], recipes: Mapping[str, Path]) -> tuple[str, ...]:
    """The recipes that have a source in one of `folders`, or below one.

    Args:
        folders: Paths below the data folder, with ``/``.
        recipes: Name -> file.
    """
    import tomllib

    wanted = set(folders)
    found = []
    for name, path in recipes.items():
        try:
            sources = tomllib.loads(path.read_text(encoding="utf-8"))["data"]["sources"]
            places = {source["folder"] for source in sources}
        except (OSError, ValueError, KeyError, TypeError):  # a recipe without [[data.sources]] reads no folder
            continue
        if any(folder == place or place.startswith(folder + "/") for folder in wanted for place in places):
            found.append(name)
    return tuple(found)
