"""``kapelle live``: music that sounds at a MIDI port while it is composed."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kapelle.cli import port as ports
from kapelle.cli.flags import group, option
from kapelle.cli.pieces import MIDI, claim
from kapelle.cli.wish import MusicArguments
from kapelle.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from kapelle.cli.console import Console
    from kapelle.composing.piece import Piece


@dataclass(frozen=True, kw_only=True)
class Arguments(MusicArguments):
    """What can be asked."""

    to: ports.PortFlags = group(ports.PortFlags, "Port")
    band: str = option("", help="play a band around the piece, which is then in 4/4", metavar="NAME", implied="band")
    lead: float = option(2.0, help="seconds of music that are composed before it sounds", min=0, max=3600)
    endless: bool = option(False, help="compose the next piece while one sounds, until Ctrl-C; each has the next seed")
    go_on: bool = option(False, help="with --endless: each piece goes on from the end of the one before, with a model that can")
    output: Path | None = option(
        None, help="keep what is composed: a MIDI file, or a folder with --endless", short="-o", metavar="FILE.mid"
    )
    force: bool = option(False, help="replace files that are there already")


def run(arguments: Arguments, console: Console) -> None:
    """Open, compose, play, tell."""
    from kapelle import api

    if arguments.to.list_:
        ports.listed(console)
        return
    wish = api.request(
        arguments.model,
        length=api.length_of(**asdict(arguments.length)),
        seed=arguments.seed,
        sampling=arguments.sampling,
        options=arguments.options,
        band=arguments.band,
    )
    manner = api.LiveManner(arguments.lead, arguments.endless, arguments.go_on, arguments.to.clock)
    api.check_live(wish, manner)
    files: list[Path] = []
    keep = _keeper(arguments, files)
    with ports.opened(arguments.to, console) as port, ports.watched(console) as told:
        played = api.live(wish, port, manner, told=told, each=keep)
    ports.show(played, console, files=files)
    if not console.as_json:
        console.facts({"seed": ", ".join(map(str, played.seeds)), "files": "\n".join(map(str, files))})


def _keeper(arguments: Arguments, files: list[Path]) -> Callable[[Piece], None]:
    """What keeps every piece that is done, in files whose names are checked before the first note."""
    place = arguments.output
    if place is None:
        return lambda piece: None
    is_file = place.suffix.lower() in MIDI and not place.is_dir()
    if is_file == arguments.endless:
        hint = "give -o a folder" if is_file else "name a file that ends in .mid"
        raise UsageError("{path} cannot take what is composed", path=place, hint=hint)
    claim([place if is_file else place / "kapelle-live.mid"], force=arguments.force)

    def keep(piece: Piece) -> None:
        path = place if is_file else place / f"kapelle-{piece.model}-{piece.request.seed}.mid"
        files.append(piece.save(path, force=arguments.force))

    return keep
