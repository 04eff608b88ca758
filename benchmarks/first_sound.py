"""How long it takes from the click on "Compose" to the first sound, in a real browser, with the model that is chosen by default.

    python benchmarks/first_sound.py [--rounds 10] [--json benchmarks/results/first_sound.json]

A server is started as `kapelle serve` starts it, with one process that composes; each round opens the page anew in Chromium, clicks, and
looks every few milliseconds whether the analyser behind the limiter hears anything. What comes after it is not in the figure: the
browser's and the device's own buffer, which the page is told to keep short. The first round is the first piece of the server's life
and stands apart.

Needs Chromium and the package playwright.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from _studio import chromium, server

GOAL_S = 1.5
AUDIBLE = 1e-3  # of full scale: -60 dB
STEPS = ("job", "notes", "sound", "playing", "heard", "done")
WATCH = """async (audible) => {
  const { on } = await import("/static/js/bus.js");
  window.seen = {};
  const see = (name) => { if (seen.clicked && !(name in seen)) seen[name] = performance.now() - seen.clicked; };
  document.getElementById("compose-button").addEventListener("click", () => { seen.clicked ||= performance.now(); }, true);
  for (const name of ["job", "notes", "sound", "playing", "done"]) on(name, () => see(name));
  const samples = new Float32Array(2048);
  setInterval(() => {
    if ("heard" in seen || !kapelle.player.analyser) return;
    kapelle.player.analyser.getFloatTimeDomainData(samples);
    if (samples.some((x) => Math.abs(x) > audible)) see("heard");
  }, 4);
}"""


def one_round(browser: Any, url: str) -> dict[str, float]:
    """Seconds from the click to each step, on a fresh page."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(url)
    _until(page, "document.documentElement.dataset.ready === 'true'")
    page.evaluate(WATCH, AUDIBLE)
    page.wait_for_timeout(500)  # the page is at rest, as it is while someone reads it
    page.click("#compose-button")
    _until(page, "'heard' in seen && 'done' in seen")
    seen = page.evaluate("seen")
    context.close()
    return {step: seen[step] / 1000 for step in STEPS}


def _until(page: Any, condition: str, seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not page.evaluate(condition):
        if time.monotonic() > until:
            raise SystemExit(f"never: {condition}")
        page.wait_for_timeout(50)


def measure(rounds: int) -> dict[str, Any]:
    """All rounds of one server, after its first."""
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as folder, server(Path(folder), 1) as url, sync_playwright() as playwright:
        # The click that composes is a real one, so that the browser's own policy for sound holds.
        browser = chromium(playwright)
        first = one_round(browser, url)
        found = [one_round(browser, url) for _ in range(rounds)]
        version = browser.version
        browser.close()
    heard = sorted(each["heard"] for each in found)
    return {
        "rounds": rounds,
        "goal_s": GOAL_S,
        "median_s": round(median(heard), 3),
        "longest_s": round(heard[-1], 3),
        "first_after_start_s": round(first["heard"], 3),
        "steps_s": {step: round(median(each[step] for each in found), 3) for step in STEPS},
        "heard_s": [round(each["heard"], 3) for each in found],
        "chromium": version,
        "cores": os.cpu_count(),
    }


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    found = measure(arguments.rounds)
    print(json.dumps(found, indent=1))
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
