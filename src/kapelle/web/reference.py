"""The reference page of the server, made from what it says of itself: ``python -m kapelle.web.reference``.

Takes OpenAPI, gives Markdown in English. A test compares it with docs/reference/api.md, and sends the examples.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from kapelle.web.app import create_app
from kapelle.web.routes.answers import MEANINGS
from kapelle.web.settings import Settings

HEAD = """# The server

Made by `python -m kapelle.web.reference > docs/reference/api.md`; a test keeps it in step with the server, which tells the same as
OpenAPI at `/api/openapi.json`.

`kapelle serve` opens it at `http://127.0.0.1:8000` (see [the command line](cli.md#serve)). All below `/api` is JSON. Work that takes time
is a job: asking for it answers at once with 202 and the job; its events tell the rest.

```bash
curl -s http://127.0.0.1:8000/api/compose -H 'Content-Type: application/json' -d '{"length": {"amount": 8, "unit": "bars"}, "seed": 7}'
curl -sN http://127.0.0.1:8000/api/jobs/JOB/events
curl -sOJ http://127.0.0.1:8000/api/pieces/PIECE/file/mid
```

- **Errors** are `{"error": {"kind", "message", "hint", "code"}}`; `code` is the exit code that the command line gives the same error. They
  are told in English or Russian: `?lang=ru`, else Accept-Language.
- **A token**, if the server wants one (`--token`), goes into `Authorization: Bearer TOKEN`. Browsers get a cookie from `/?token=TOKEN`.
- **Sending again** is safe with an `Idempotency-Key`: the same key is the same job.
- **Unknown fields** are refused, and so is what comes from pages of other origins.
- **Limits**: 256 KiB of JSON, 8 MiB of MIDI, 32 MiB of sound; 64 pieces a job, 512 bars a piece; 100 requests a second and client
  (`--rate`), where changing something counts four times; 256 jobs may wait (`--queue`).
"""

TITLES = {
    "about": "The server itself", "models": "Models", "composing": "Asking for music", "jobs": "Jobs and their events",
    "uploads": "Files that are brought", "pieces": "The library", "judging": "Finding out about music", "rooms": "Studies",
}  # fmt: skip

EVENTS = """Each event has a number that grows, a name and data. `number` in the data says which piece of the job it is, from 0.

| event | data |
|---|---|
| `state` | `state`, `position` in the queue |
| `progress` | `done` from 0 to 1, `left_s` |
| `notes` | `number`, `notes`: a list of `[start_s, duration_s, pitch, velocity, program, bar]`; program -1 is the drums |
| `bar` | `number`, `bar`, `n_bars`, `end_s`: all notes that begin before it have been told |
| `restarted` | `number`, `attempt`, `reasons`: forget the notes of this piece |
| `sound` | `number`, `chunk`, `programs`: these can be fetched now |
| `piece` | `number`, `id`: it is in the library |
| `done` | `pieces`, `result`; the last event, as are the next two |
| `failed` | `error` |
| `cancelled` | |
"""


def described() -> dict[str, Any]:
    """OpenAPI of the server."""
    return create_app(Settings()).openapi()


def page() -> str:
    """The page, in Markdown."""
    told = described()
    by_tag: dict[str, list[tuple[str, str, Mapping[str, Any]]]] = {}
    for path, held in told["paths"].items():
        for method, one in held.items():
            by_tag.setdefault(one["tags"][0], []).append((method.upper(), path, one))
    parts = [HEAD, _statuses()]
    for tag, rows in by_tag.items():
        parts.append(f"## {TITLES[tag]}\n")
        for method, path, one in rows:
            parts += _operation(method, path, one, told)
    return "\n".join(parts).rstrip() + "\n"


def _statuses() -> str:
    rows = "\n".join(f"| {status} | {meaning} |" for status, meaning in MEANINGS.items())
    return f"| status | meaning |\n|---|---|\n| 200, 201, 202, 204 | done, made, will be done, deleted |\n{rows}\n"


def _operation(method: str, path: str, one: Mapping[str, Any], told: Mapping[str, Any]) -> Iterator[str]:
    yield f"### {one['summary']}\n\n`{method} {path}`\n\n{one['description']}\n"
    rows = [
        _row(item["name"], item["in"], item["schema"], item.get("description", ""), item["required"]) for item in one.get("parameters", [])
    ]
    body = one.get("requestBody", {}).get("content", {})
    for kind, media in body.items():
        if kind == "application/json":
            schema = _resolved(media["schema"], told)
            rows += [
                _row(name, "body", _resolved(field, told), field.get("description", ""), name in schema.get("required", ()))
                for name, field in schema["properties"].items()
            ]
    if rows:
        yield "| name | in | type | meaning |\n|---|---|---|---|\n" + "\n".join(rows) + "\n"
    for kind, media in body.items():
        if kind != "application/json":
            yield f"The body is the file itself, such as `{kind}`.\n"
        for example in _resolved(media["schema"], told).get("examples", []):
            yield _block(example)
    if one["operationId"] == "events":
        yield EVENTS
    yield from _answer(one, told)


def _answer(one: Mapping[str, Any], told: Mapping[str, Any]) -> Iterator[str]:
    """What a good answer is, and which errors there may be."""
    for status, answer in one["responses"].items():
        if int(status) >= 300:
            continue
        for kind, media in answer.get("content", {}).items():
            if kind != "application/json":
                yield f"Answer {status}: `{kind}`.\n"
                continue
            many = media["schema"].get("type") == "array"
            schema = _resolved(media["schema"]["items"] if many else media["schema"], told)
            yield f"Answer {status}{', a list of these' if many else ''}:\n"
            yield from (_block(example) for example in (schema.get("examples") or [{"ok": True}])[:1])
        if not answer.get("content"):
            yield f"Answer {status}, empty.\n"
    errors = [status for status in one["responses"] if int(status) >= 400]
    yield f"Errors: {', '.join(errors)}.\n"


def _row(name: str, place: str, schema: Mapping[str, Any], about: str, required: bool) -> str:
    about = about or schema.get("description", "").strip().partition("\n")[0]
    default = schema.get("default")
    more = ["required"] if required else [f"default: `{json.dumps(default)}`"] if default not in (None, "", [], {}) else []
    text = "; ".join(filter(None, [about.rstrip("."), *more]))
    return f"| `{name}` | {place} | {_type(schema)} | {text} |".replace("|  |", "| |")


def _type(schema: Mapping[str, Any]) -> str:
    """The type of a schema in a word or two, with its range."""
    kinds = [inner for inner in schema.get("anyOf", []) if inner.get("type") != "null"]
    if kinds:
        return " or ".join(dict.fromkeys(map(_type, kinds)))
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{json.dumps(schema['const'])}`"
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    low, high = schema.get("minimum", schema.get("exclusiveMinimum")), schema.get("maximum")
    word = {"integer": "whole number", "number": "number", "string": "text", "boolean": "true or false"}.get(
        schema.get("type", ""), "table"
    )
    if low is not None and high is not None:
        return f"{word}, {low:g} to {high:g}" if abs(high) < 10**15 else f"{word} from {low:g}"
    return word


def _resolved(schema: Mapping[str, Any], told: Mapping[str, Any]) -> Mapping[str, Any]:
    """A schema itself, where it is only pointed at."""
    for inner in schema.get("anyOf", []):
        if "$ref" in inner:
            return _resolved(inner, told)
    if "$ref" not in schema:
        return schema
    found: Mapping[str, Any] = told["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return found


def _block(value: Any) -> str:
    """An example, a line for each of its entries if it is long."""
    text = json.dumps(value, ensure_ascii=False)
    if len(text) > 120 and isinstance(value, Mapping):
        text = "{\n" + ",\n".join(f" {json.dumps(name)}: {json.dumps(one, ensure_ascii=False)}" for name, one in value.items()) + "\n}"
    return f"```json\n{text}\n```\n"


if __name__ == "__main__":
    print(page(), end="")
