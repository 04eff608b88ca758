"""The files that describe the containers, read the way Docker reads them: enough of it to check what they name.

A Dockerfile becomes stages of instructions; `.dockerignore` becomes a question; what an image holds is laid out as a folder.
"""

from __future__ import annotations

import re
import shlex
import shutil
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]
INSTRUCTIONS = {"ARG", "FROM", "RUN", "CMD", "ENTRYPOINT", "COPY", "ENV", "WORKDIR", "USER", "EXPOSE", "HEALTHCHECK", "LABEL", "VOLUME"}


@dataclass(frozen=True)
class Instruction:
    word: str
    text: str

    @property
    def flags(self) -> dict[str, str]:
        """``--from=needs`` and the like at its beginning."""
        return dict(part[2:].partition("=")[::2] for part in self.text.split() if re.match(r"--(from|mount|chown|target)=", part))

    @property
    def words(self) -> list[str]:
        return [part for part in shlex.split(self.text) if not re.match(r"--(from|mount|chown)=", part)]


@dataclass
class Stage:
    name: str
    base: str
    instructions: list[Instruction] = field(default_factory=list)

    def all(self, word: str) -> list[Instruction]:
        return [item for item in self.instructions if item.word == word]


def instructions(text: str) -> list[Instruction]:
    """The instructions of a Dockerfile: comments dropped, continued lines joined."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    joined = re.sub(r"\s*\\\n\s*", " ", "\n".join(lines)).splitlines()
    found = [Instruction(*(line.strip().split(None, 1))) for line in joined]
    unknown = {item.word for item in found} - INSTRUCTIONS
    assert not unknown, unknown
    return found


def stages(text: str) -> dict[str, Stage]:
    """The stages of a Dockerfile by name; the arguments before the first FROM stand under the empty name."""
    out = {"": Stage("", "")}
    for item in instructions(text):
        if item.word == "FROM":
            base, _, name = re.fullmatch(r"(\S+)( AS (\S+))?", item.text).groups()
            assert name and name not in out, item.text
            out[name] = Stage(name, base)
        else:
            list(out.values())[-1].instructions.append(item)
    return out


def lineage(held: dict[str, Stage], name: str) -> list[Stage]:
    """A stage and what it is built from, the oldest first."""
    base = held[name].base
    return [*(lineage(held, base) if base in held else []), held[name]]


def environment(held: dict[str, Stage], name: str) -> dict[str, str]:
    """The variables that a stage sets."""
    return {
        key: value
        for stage in lineage(held, name)
        for item in stage.all("ENV")
        for key, _, value in (word.partition("=") for word in item.words)
    }


def _expression(pattern: str) -> re.Pattern[str]:
    text = re.escape(pattern.strip("/")).replace(r"\*\*/", "(.*/)?").replace(r"\*\*", ".*").replace(r"\*", "[^/]*").replace(r"\?", "[^/]")
    return re.compile(f"{text}(/.*)?")  # a folder stands for what is in it


def ignored(path: str, rules: str) -> bool:
    """Whether the builder does not see `path`: of the rules that match it, the last one counts."""
    answer = False
    for line in rules.splitlines():
        rule = line.strip()
        if rule and not rule.startswith("#") and _expression(rule.lstrip("!")).fullmatch(path):
            answer = not rule.startswith("!")
    return answer


def lay_out(held: dict[str, Stage], name: str, into: Path) -> Path:
    """The working folder of an image, with what its stages copy there from this project."""
    for stage in lineage(held, name):
        for item in stage.all("COPY"):
            if "from" not in item.flags:
                *sources, target = item.words
                for source in sources:
                    place = into / target / (Path(source).name if target.endswith("/") else "")
                    place.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy(ROOT / source, place)
    return into
