"""The composer in a real browser: a panel for every model from its offer alone, and music from each of them."""

import pytest

from kapelle import api
from kapelle.score import write
from pages import IDLE, open_studio, until
from pieces import score, track

OFFERS = api.offers()
KINDS = {"switch": "[role=switch]", "segments": ".segments input", "slider": "input[type=range]", "file": ".drop-zone"}
LISTEN = """async () => {
  const { on } = await import("/static/js/bus.js");
  window.told = [];
  for (const name of ["job", "notes", "bar", "progress", "done", "failed", "cancelled", "open", "idle"])
    on(name, (detail) => told.push([name, kapelle.session.current.music.nNotes, detail.error?.message]));
}"""


REFUSED = {"error": {"kind": "UsageError", "message": "spice must be 0 to 4, not 4.5", "hint": "choose a value in range", "code": 2}}
SPICE = {
    "spice": {
        "type": ["number", "null"],
        "default": None,
        "minimum": 0,
        "maximum": 9,
        "x-step": 0.5,
        "x-unit": "heat",
        "x-label": {"en": "spice; left out, none", "ru": "острота; без неё никакой"},
    },
    "mood": {"type": "string", "default": "", "enum": ["", "glad", "sad"], "x-label": {"en": "mood", "ru": "настроение"}},
    "loud": {"type": "boolean", "default": False, "x-label": {"en": "play loudly", "ru": "играть громко"}},
}


def choose(page, offer, verb=None):
    """Choose a verb and a model as a user does."""
    page.click(f"[data-verb={verb or offer.verbs[0]}]")
    page.click(".model-button")
    card = page.locator(f"[data-model='{offer.name}']")
    if not card.is_visible():
        page.click(".models-dialog summary")
    card.click()


def expected_kind(entry):
    types = entry["type"] if isinstance(entry["type"], list) else [entry["type"]]
    if "boolean" in types:
        return "switch"
    if entry.get("contentEncoding") == "base64":
        return "file"
    if {"number", "integer"} & set(types) and "enum" not in entry and {"minimum", "maximum"} <= set(entry):
        return "slider" if (entry["maximum"] - entry["minimum"]) / entry.get("x-step", 1) <= 1000 else None
    return None


def test_every_offer_gets_its_panel(page):
    open_studio(page)
    for offer in OFFERS:
        choose(page, offer)
        shown = page.locator(".panel [data-option]").evaluate_all("all => all.map((one) => one.dataset.option)")
        wanted = {*offer.options["properties"], *(offer.sampling or {"properties": {}})["properties"]}
        assert wanted <= set(shown), offer.name
        assert ("length" in shown) == bool(offer.lengths), offer.name
        assert ("band" in shown) == offer.band, offer.name
        for name, entry in offer.options["properties"].items():
            kind = expected_kind(entry)
            if kind:
                assert page.locator(f"[data-option={name}] {KINDS[kind]}").count(), (offer.name, name, kind)
        assert page.locator(".presets .chip").count() == len(offer.presets)


def test_a_model_that_nobody_has_seen_needs_no_code(page):
    """An offer made up here gets a panel, and what is set in it is what is sent."""
    options = {"type": "object", "properties": SPICE}
    made_up = {"name": "newcomer", "options": options, "sampling": None, "presets": [], "verbs": ["compose"], "band": False}
    offer = OFFERS[0].as_dict() | made_up
    sent = []
    page.route("**/api/models", lambda route: route.fulfill(json=[offer]))
    page.route("**/api/compose", lambda route: (sent.append(route.request.post_data_json), route.fulfill(status=422, json=REFUSED)))
    open_studio(page)
    assert page.locator("[data-option=spice] .label").inner_text() == "Spice, heat"
    assert page.locator("[data-option=spice] .hint").inner_text() == "Left out, none"
    page.locator("[data-option=spice] input[type=number]").fill("4.5")
    page.get_by_text("Sad", exact=True).click()
    page.get_by_text("Play loudly").click()
    page.fill("#seed", "77")
    page.click("#compose-button")
    until(page, "document.querySelector('[data-option=spice] .error').textContent")
    assert sent[0]["options"] == {"spice": 4.5, "mood": "sad", "loud": True}
    assert (sent[0]["model"], sent[0]["seed"], sent[0]["length"]) == ("newcomer", 77, {"amount": 16, "unit": "bars"})
    assert page.evaluate("document.activeElement.getAttribute('aria-invalid')") == "true"
    page.complaints[:] = [line for line in page.complaints if "422" not in line]


@pytest.fixture(scope="module")
def tune(studio):
    """A melody of eight bars in the studio's library."""
    notes = [(at * 240, 240, 60 + (at * 7) % 12, 80) for at in range(64)]
    upload = studio.upload(write.to_bytes(score(track(*notes))), "tune.mid")
    return studio.post("/api/pieces", {"upload": upload["id"], "title": "tune"}).json()["id"]


def test_every_model_composes_and_its_notes_come_before_the_end(page, tune):
    open_studio(page)
    page.evaluate(LISTEN)
    for offer in (one for one in OFFERS if one.featured):
        for verb in offer.verbs:
            page.evaluate("(id) => kapelle.session.open(id)", tune)
            choose(page, offer, verb)
            if verb != "compose":
                take = page.locator(".source .button:has-text('tune')")
                take.click() if take.count() else None
            if offer.lengths:
                page.fill("[data-option=length] input[type=number]", "8" if offer.name in ("bridge", "theme") else "2")
            page.evaluate("() => { told.length = 0; }")
            page.click("#compose-button")
            until(page, "told.some(([name]) => name === 'idle' || name === 'failed')", 120)
            until(page, IDLE, 10)
            told = page.evaluate("told")
            names = [name for name, *_ in told]
            assert "failed" not in names, (offer.name, verb, told[-1], page.locator(".toast").all_inner_texts())
            assert names.index("notes") < names.index("done"), (offer.name, verb)
            assert told[names.index("done")][1] > 0, (offer.name, verb)
            until(page, "kapelle.session.current.record && kapelle.session.current.record.verb !== 'keep'", 10)
            assert page.evaluate("kapelle.session.current.record.model") in (offer.name, offer.bundle)


def test_settings_are_remembered_for_each_model_and_can_be_reset(page):
    open_studio(page)
    page.locator("[data-option=tempo] input[type=number]").fill("92")
    page.click(".presets .chip >> nth=0")
    assert page.locator(".presets .chip >> nth=0").get_attribute("aria-pressed") == "true"
    page.locator("[data-option=tempo] input[type=number]").fill("93")
    assert page.locator(".presets .chip >> nth=0").get_attribute("aria-pressed") == "false"
    page.click("[data-verb=accompany]")
    page.click("[data-verb=compose]")
    page.reload()
    until(page, "document.documentElement.dataset.ready === 'true'")
    assert page.locator("[data-option=tempo] input[type=number]").input_value() == "93"
    page.click(".reset")
    assert page.locator("[data-option=tempo] input[type=number]").input_value() == ""
    page.click(".toast .button")
    assert page.locator("[data-option=tempo] input[type=number]").input_value() == "93"


def test_the_seed_is_new_each_time_unless_it_is_kept(page):
    sent = []
    page.route("**/api/compose", lambda route: (sent.append(route.request.post_data_json["seed"]), route.fulfill(status=503, json=REFUSED)))
    open_studio(page)
    for _ in range(2):
        page.click("#compose-button")
        until(page, IDLE)
    page.fill("#seed", "4242")
    for _ in range(2):
        page.click("#compose-button")
        until(page, IDLE)
    assert sent[0] != sent[1]
    assert sent[2:] == [4242, 4242]
    page.complaints[:] = [line for line in page.complaints if "503" not in line]


def test_what_the_server_refuses_is_told_at_the_field(page):
    open_studio(page)
    page.locator("[data-option=tempo] input[type=number]").fill("999")
    page.click("#compose-button")
    message = until(page, "document.querySelector('[data-option=tempo] .error').textContent")
    assert "20" in message and "300" in message
    page.locator("[data-option=tempo] input[type=number]").fill("120")
    assert page.locator("[data-option=tempo] .error").is_hidden()
    page.fill("[data-option=length] input[type=number]", "1000")
    page.click("#compose-button")
    assert "512" in until(page, "document.querySelector('[data-option=length] .error').textContent")
    page.complaints[:] = [line for line in page.complaints if "422" not in line]
