"""How sheet music looks, as settings with their ranges and labels."""

from __future__ import annotations

from dataclasses import dataclass

from kapelle.config import setting

PAGES_MM = {"a4": (210, 297), "letter": (216, 279), "a3": (297, 420)}
"""Width and height of the sizes of paper."""

ENGRAVERS = ("verovio", "musescore")


@dataclass(frozen=True)
class EngravingOptions:
    """How sheet music looks."""

    title: str = setting(
        "", help="title above the first page; of a file, its name if left out", ru="заголовок над первой страницей; без него - имя файла"
    )
    composer: str = setting("", help="name above the first page, at the right", ru="имя справа над первой страницей")
    page: str = setting("a4", help="size of the paper", ru="размер бумаги", choices=tuple(PAGES_MM))
    landscape: bool = setting(False, help="paper lying on its long side", ru="бумага длинной стороной вниз")
    scale: int = setting(
        0,
        help="size of the staves, 100 is usual; 0 for the largest up to 100 at which every system fits a page",
        ru="размер нотоносцев, 100 - обычный; 0 - наибольший до 100, при котором система помещается на странице",
        unit="%",
        min=0,
        max=250,
    )
    drums: bool = setting(True, help="write the drums; --no-drums leaves them out", ru="писать ударные; --no-drums - без них")
    dpi: int = setting(150, help="dots per inch, PNG only", ru="точек на дюйм, только для PNG", min=50, max=600)
