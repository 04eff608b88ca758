"""The studio as a server for a program of your own: ask for a piece, hear of its notes while they are made, take it as MIDI and sound.

python examples/call_the_api.py [ADDRESS], where `kapelle serve` prints the address; without one a studio is started for this.
"""

import json
import subprocess
import sys
from pathlib import Path
from urllib.request import Request, urlopen


def main(address: str) -> None:
    base, _, token = address.partition("?token=")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    headers["Content-Type"] = "application/json"

    def ask(path: str, wish: dict | None = None):
        return urlopen(Request(base.rstrip("/") + path, wish and json.dumps(wish).encode(), headers), timeout=60)

    job = json.load(ask("/api/compose", {"length": {"amount": 4, "unit": "bars"}, "seed": 7, "options": {"tempo": 120}}))
    name, data = "", {}
    for line in ask(f"/api/jobs/{job['id']}/events"):  # ends when the job does
        field, _, text = line.decode().strip().partition(": ")
        name, data = (text if field == "event" else name), (json.loads(text) if field == "data" else data)
        if name == "notes" and field == "data":
            print(f"{len(data['notes'])} notes from second {data['notes'][0][0]:.2f} on")
    for piece in data["pieces"]:  # of the last event, `done`
        for suffix in ("mid", "wav"):
            print(Path(f"from-the-api.{suffix}").write_bytes(ask(f"/api/pieces/{piece}/file/{suffix}").read()), f"bytes of {suffix}")


if __name__ == "__main__":
    words = [sys.executable, "-m", "kapelle", "serve", "--json", "--port", "0", "--folder", "studio", "--no-open"]
    studio = None if len(sys.argv) > 1 else subprocess.Popen(words, stdout=subprocess.PIPE)
    try:
        main(json.loads(studio.stdout.readline())["url"] if studio else sys.argv[1])
    finally:
        if studio:
            studio.terminate()
