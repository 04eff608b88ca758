"""How large a piece from outside may be. The numbers are far above written music and far below what a machine would choke on."""

from __future__ import annotations

from dataclasses import dataclass

from kapelle.config import setting


@dataclass(frozen=True)
class Limits:
    """The largest MIDI file that is read; anything beyond is refused with a MidiError that names the limit.

    The limits of notes and events are what keeps reading below two seconds of CPU time on a slow machine.
    """

    bytes: int = setting(8 * 1024 * 1024, help="size of the file", ru="размер файла", unit="bytes", min=1, max=1 << 30)
    events: int = setting(500_000, help="events of all tracks", ru="событий во всех дорожках", min=1)
    notes: int = setting(100_000, help="notes of all tracks", ru="нот во всех дорожках", min=1)
    tracks: int = setting(512, help="tracks, and instruments that they hold", ru="дорожек и инструментов в них", min=1, max=65535)
    bars: int = setting(20_000, help="bars", ru="тактов", min=1)
    tempos: int = setting(50_000, help="changes of tempo", ru="смен темпа", min=1)
    metres: int = setting(10_000, help="changes of metre", ru="смен размера", min=1)
    texts: int = setting(20_000, help="markers and lyrics", ru="меток и слогов", min=0)
    duration_s: float = setting(10_800.0, help="duration", ru="длительность", unit="s", min=0.001)


DEFAULT = Limits()
