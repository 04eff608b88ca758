"""The instruments of General MIDI: numbers, names in English and Russian, families, and what people call them.

Program numbers count from 0 (acoustic grand piano) to 127 (gunshot), as in the bytes of a file, not from 1 as in printed
tables. `DRUMS` (-1) stands for the percussion channel, which is no program. Kits of percussion are not told apart.

Source of the numbers and English names: General MIDI System Level 1, MIDI Manufacturers Association, 1991.
"""

from __future__ import annotations

from dataclasses import dataclass

from kapelle.errors import UnknownName

DRUMS = -1
"""What stands for the percussion channel where a program is asked for."""

_FAMILIES = (
    ("Piano", "Фортепиано"),
    ("Chromatic percussion", "Звуковысотные ударные"),
    ("Organ", "Орган"),
    ("Guitar", "Гитара"),
    ("Bass", "Бас"),
    ("Strings", "Струнные"),
    ("Ensemble", "Ансамбль"),
    ("Brass", "Медные духовые"),
    ("Reed", "Язычковые духовые"),
    ("Pipe", "Флейтовые"),
    ("Synth lead", "Синтезатор: соло"),
    ("Synth pad", "Синтезатор: подклад"),
    ("Synth effects", "Синтезатор: эффекты"),
    ("Ethnic", "Народные"),
    ("Percussive", "Ударные"),
    ("Sound effects", "Звуковые эффекты"),
)

_NAMES = """
Acoustic grand piano|Рояль
Bright acoustic piano|Яркое пианино
Electric grand piano|Электророяль
Honky-tonk piano|Расстроенное пианино
Electric piano 1|Электропиано 1
Electric piano 2|Электропиано 2
Harpsichord|Клавесин
Clavinet|Клавинет
Celesta|Челеста
Glockenspiel|Колокольчики
Music box|Музыкальная шкатулка
Vibraphone|Вибрафон
Marimba|Маримба
Xylophone|Ксилофон
Tubular bells|Трубчатые колокола
Dulcimer|Цимбалы
Drawbar organ|Электроорган
Percussive organ|Перкуссионный орган
Rock organ|Рок-орган
Church organ|Церковный орган
Reed organ|Фисгармония
Accordion|Аккордеон
Harmonica|Губная гармоника
Tango accordion|Бандонеон
Nylon-string guitar|Классическая гитара
Steel-string guitar|Акустическая гитара
Jazz guitar|Джазовая гитара
Clean electric guitar|Чистая электрогитара
Muted electric guitar|Приглушённая электрогитара
Overdriven guitar|Гитара с перегрузом
Distortion guitar|Гитара с дисторшном
Guitar harmonics|Гитарные флажолеты
Acoustic bass|Контрабас щипком
Fingered electric bass|Бас-гитара пальцами
Picked electric bass|Бас-гитара медиатором
Fretless bass|Безладовый бас
Slap bass 1|Слэп-бас 1
Slap bass 2|Слэп-бас 2
Synth bass 1|Синтезаторный бас 1
Synth bass 2|Синтезаторный бас 2
Violin|Скрипка
Viola|Альт
Cello|Виолончель
Contrabass|Контрабас
Tremolo strings|Струнные тремоло
Pizzicato strings|Струнные пиццикато
Orchestral harp|Арфа
Timpani|Литавры
String ensemble 1|Струнный ансамбль 1
String ensemble 2|Струнный ансамбль 2
Synth strings 1|Синтезаторные струнные 1
Synth strings 2|Синтезаторные струнные 2
Choir aahs|Хор «а»
Voice oohs|Голос «у»
Synth voice|Синтезаторный голос
Orchestra hit|Оркестровый удар
Trumpet|Труба
Trombone|Тромбон
Tuba|Туба
Muted trumpet|Труба с сурдиной
French horn|Валторна
Brass section|Медная группа
Synth brass 1|Синтезаторная медь 1
Synth brass 2|Синтезаторная медь 2
Soprano sax|Сопрано-саксофон
Alto sax|Альт-саксофон
Tenor sax|Тенор-саксофон
Baritone sax|Баритон-саксофон
Oboe|Гобой
English horn|Английский рожок
Bassoon|Фагот
Clarinet|Кларнет
Piccolo|Флейта-пикколо
Flute|Флейта
Recorder|Блокфлейта
Pan flute|Флейта Пана
Blown bottle|Бутылка
Shakuhachi|Сякухати
Whistle|Свист
Ocarina|Окарина
Square lead|Соло: меандр
Sawtooth lead|Соло: пила
Calliope lead|Соло: каллиопа
Chiff lead|Соло: чифф
Charang lead|Соло: чаранго
Voice lead|Соло: голос
Fifths lead|Соло: квинты
Bass and lead|Соло: бас и соло
New age pad|Подклад: нью-эйдж
Warm pad|Подклад: тёплый
Polysynth pad|Подклад: полисинт
Choir pad|Подклад: хор
Bowed pad|Подклад: смычковый
Metallic pad|Подклад: металлический
Halo pad|Подклад: ореол
Sweep pad|Подклад: развёртка
Rain|Эффект: дождь
Soundtrack|Эффект: саундтрек
Crystal|Эффект: кристалл
Atmosphere|Эффект: атмосфера
Brightness|Эффект: яркость
Goblins|Эффект: гоблины
Echoes|Эффект: эхо
Sci-fi|Эффект: фантастика
Sitar|Ситар
Banjo|Банджо
Shamisen|Сямисэн
Koto|Кото
Kalimba|Калимба
Bagpipe|Волынка
Fiddle|Народная скрипка
Shanai|Шахнай
Tinkle bell|Бубенчик
Agogo|Агого
Steel drums|Стальные барабаны
Woodblock|Коробочка
Taiko drum|Тайко
Melodic tom|Мелодический том
Synth drum|Синтезаторный барабан
Reverse cymbal|Тарелка наоборот
Guitar fret noise|Шум ладов
Breath noise|Дыхание
Seashore|Прибой
Bird tweet|Птичий щебет
Telephone ring|Телефонный звонок
Helicopter|Вертолёт
Applause|Аплодисменты
Gunshot|Выстрел
"""

_ALIASES = {
    "piano": 0, "grand piano": 0, "пианино": 0, "фортепиано": 0, "bright piano": 1, "honky tonk": 3, "electric piano": 4, "rhodes": 4,
    "электропиано": 4, "dx piano": 5, "clavi": 7, "clav": 7, "bells": 14, "vibes": 11, "organ": 19, "орган": 19, "hammond": 16,
    "hammond organ": 16, "bandoneon": 23, "guitar": 24, "гитара": 24, "nylon guitar": 24, "classical guitar": 24, "acoustic guitar": 25,
    "steel guitar": 25, "electric guitar": 27, "электрогитара": 27, "overdrive guitar": 29, "distorted guitar": 30, "bass": 33,
    "бас": 33, "upright bass": 32, "double bass": 43, "bass guitar": 33, "бас-гитара": 33, "electric bass": 33, "slap bass": 36,
    "synth bass": 38, "violoncello": 42, "pizzicato": 45, "harp": 46, "strings": 48, "струнные": 48, "string ensemble": 48,
    "synth strings": 50, "choir": 52, "хор": 52, "voice": 53, "голос": 53, "horn": 60, "brass": 61, "медные": 61, "sax": 66,
    "saxophone": 66, "саксофон": 66, "alto saxophone": 65, "tenor saxophone": 66, "soprano saxophone": 64, "baritone saxophone": 67,
    "cor anglais": 69, "lead": 81, "synth lead": 81, "synth": 81, "synthesizer": 81, "синтезатор": 81, "square": 80, "saw lead": 81,
    "pad": 89, "synth pad": 89, "bagpipes": 109, "steelpan": 114, "timpani": 47, "drums": DRUMS, "drum": DRUMS, "drum kit": DRUMS,
    "percussion": DRUMS, "ударные": DRUMS, "барабаны": DRUMS,
}  # fmt: skip


@dataclass(frozen=True)
class Instrument:
    """A program of General MIDI (0 to 127), or the drums (-1), with its names."""

    program: int
    name: str
    name_ru: str
    family: str
    family_ru: str


INSTRUMENTS: tuple[Instrument, ...] = tuple(
    Instrument(program, line.partition("|")[0], line.partition("|")[2], *_FAMILIES[program // 8])
    for program, line in enumerate(_NAMES.strip().splitlines())
)
"""The 128 programs in order."""

DRUM_KIT = Instrument(DRUMS, "Drums", "Ударные", "Drums", "Ударные")

FAMILIES: tuple[str, ...] = tuple(english for english, _ in _FAMILIES)
"""The 16 families in order; program p belongs to family p // 8."""


def instrument_of(program: int) -> Instrument:
    """The instrument of a program number 0 to 127, or `DRUM_KIT` for -1.

    Raises:
        UnknownName: There is no such program.
    """
    if program == DRUMS:
        return DRUM_KIT
    if not 0 <= program <= 127:
        raise UnknownName("program", str(program), ["0 to 127", "-1 (drums)"])
    return INSTRUMENTS[program]


def program_name(program: int, *, is_drum: bool = False, lang: str = "en") -> str:
    """The name of a program (-1, or any with `is_drum`: the drums), in Russian with `lang` "ru"."""
    instrument = DRUM_KIT if is_drum else instrument_of(program)
    return instrument.name_ru if lang == "ru" else instrument.name


def program_of(name: str | int) -> int:
    """The program, 0 to 127 or -1 for drums, that a name, alias or number means: ``"piano"``, ``"Скрипка"``, ``"40"``, 40.

    Case, spaces, hyphens and underscores make no difference.

    Raises:
        UnknownName: Nothing has that name; the nearest name is offered and the names are listed.
    """
    if isinstance(name, int):
        return instrument_of(name).program
    text = name.strip()
    if text.removeprefix("-").isdecimal() and text.isascii():
        return instrument_of(int(text[:6])).program
    found = _BY_NAME.get(_plain(text))
    if found is None:
        known = sorted(alias for alias in _ALIASES if alias.isascii()) + [item.name.lower() for item in INSTRUMENTS]
        raise UnknownName("instrument", name, dict.fromkeys(known))
    return found


def _plain(name: str) -> str:
    return "".join(name.casefold().replace("ё", "е").replace("-", " ").replace("_", " ").split())


_BY_NAME: dict[str, int] = {
    **{_plain(item.name_ru): item.program for item in INSTRUMENTS},
    **{_plain(item.name): item.program for item in INSTRUMENTS},
    **{_plain(alias): program for alias, program in _ALIASES.items()},
}
