"""The player in a real browser: it sounds before the piece is complete, without a gap, and does what is asked of it.

What is heard is caught sample by sample, by an audio worklet before the limiter, and held against the chunks that the server made.
"""

import base64
import io
import time

import numpy as np
import pytest
import soundfile
import symusic

from kapelle import api
from kapelle.render import chunks
from kapelle.render.chunks import CHUNK_FRAMES, GAIN, RATE_HZ
from kapelle.render.mixing import mix
from kapelle.render.performance import perform
from kapelle.render.sampler import SamplerTones
from kapelle.render.soundfont_file import bundled, load
from kapelle.score import write
from kapelle.score.read import read
from pieces import score, track
from studios import watch

ORGAN, FLUTE = 19, 73
MAKE_UP = 1.6  # of sound-output.js

CAPTURE = """
registerProcessor("capture", class extends AudioWorkletProcessor {
  process([[left, right = left]]) {
    if (left) this.port.postMessage([currentFrame, left.slice(), right.slice()]);
    return true;
  }
});
"""
LISTEN = """async (capture) => {
  const { on } = await import("/static/js/bus.js");
  const { output } = kapelle.player.clockwork;
  await output.unlock();
  kapelle.player.clockwork.lead = 0.4; // however busy the machine that tests is
  await output.context.audioWorklet.addModule(URL.createObjectURL(new Blob([capture], { type: "text/javascript" })));
  const node = new AudioWorkletNode(output.context, "capture", { outputChannelCount: [2] });
  output.input.connect(node).connect(output.context.destination);
  window.heard = [];
  node.port.onmessage = ({ data }) => heard.push(data);
  window.told = [];
  const { clockwork } = kapelle.player;
  const join = clockwork.join;
  clockwork.join = (k, ids) => {
    if (clockwork.run && k < clockwork._next && ids.length) told.push({ name: "late", kind: ids, at: output.now, next: k });
    return join.call(clockwork, k, ids);
  };
  const [{ Run }, { SOON_S }] = await Promise.all([import("/static/js/sound-run.js"), import("/static/js/sound-output.js")]);
  const place = Run.prototype.place;
  Run.prototype.place = function (buffer, id, k) {
    const begin = this.time(k);
    if (begin >= this.began && begin < this.context.currentTime + SOON_S) told.push({ name: "late", kind: id, at: output.now, next: k });
    return place.call(this, buffer, id, k);
  };
  for (const name of ["playing", "waiting", "paused", "ended", "done", "open", "source", "player-problem"]) {
    const { player } = kapelle;
    on(name, ({ kind }) => {
      const { run, _next: next } = player.clockwork;
      told.push({ name, kind, at: output.now, next, position: player.position(), began: run?.began });
    });
  }
}"""
TAKE = """() => {
  const [first, last] = [heard[0][0], heard.at(-1)[0] + 128];
  const all = new Float32Array(2 * (last - first));
  for (const [frame, left, right] of heard) {
    left.forEach((x, i) => { all[2 * (frame - first + i)] = x; });
    right.forEach((x, i) => { all[2 * (frame - first + i) + 1] = x; });
  }
  const bytes = new Uint8Array(all.buffer);
  let text = "";
  for (let i = 0; i < bytes.length; i += 32768) text += String.fromCharCode(...bytes.subarray(i, i + 32768));
  return [first, btoa(text)];
}"""
PEAK = """() => {
  const x = new Float32Array(2048);
  kapelle.player.analyser.getFloatTimeDomainData(x);
  return Math.max(...x.map(Math.abs));
}"""


@pytest.fixture
def room(browser, studio):
    """The page with someone who listens: an audio worklet of the test's own, which the page's policy would forbid."""
    context = browser.new_context(base_url=studio.url, locale="en-US", bypass_csp=True)
    page = context.new_page()
    page.complaints = watch(page)
    page.goto("/")
    wait_for(page, "document.documentElement.dataset.ready === 'true'")
    page.evaluate(LISTEN, CAPTURE)
    yield page
    context.close()
    assert not page.complaints, page.complaints


def heard(page) -> tuple[int, np.ndarray]:
    """The frame of the context's clock from which on something was heard, and what it was, as loud as the chunks are."""
    first, sound = page.evaluate(TAKE)
    return first, np.frombuffer(base64.b64decode(sound), dtype=np.float32).reshape(-1, 2) / np.float32(MAKE_UP)


def decoded(sound: bytes) -> np.ndarray:
    return soundfile.read(io.BytesIO(sound), dtype="float32", always_2d=True)[0]


def added_up(parts: dict[int, list[bytes]], n_frames: int) -> np.ndarray:
    """Chunks at their places, for the first `n_frames` frames."""
    out = np.zeros((n_frames, 2), dtype=np.float32)
    for k, sounds in parts.items():
        for samples in map(decoded, sounds):
            room_left = max(n_frames - k * CHUNK_FRAMES, 0)
            out[k * CHUNK_FRAMES : k * CHUNK_FRAMES + len(samples)] += samples[:room_left]
    return out


def put(studio, piece: symusic.Score, title: str = "test") -> tuple[str, bytes]:
    """A piece in the library: its id and its bytes."""
    upload = studio.upload(write.to_bytes(piece))
    answer = studio.post("/api/pieces", {"upload": upload["id"], "title": title})
    assert answer.status_code in (200, 201), answer.text
    id = answer.json()["id"]
    return id, studio.get(f"/api/pieces/{id}/file/mid").content


def open_piece(page, id: str) -> None:
    page.evaluate("id => kapelle.session.open(id).then(() => 1)", id)


def wait_for(page, condition: str, seconds: float = 40) -> None:
    """Until an expression is true; the page's policy forbids Playwright's own way, which compiles text in the page."""
    until = time.monotonic() + seconds
    while not page.evaluate(condition):
        assert time.monotonic() < until, f"{condition}: {page.evaluate('window.told')}"
        page.wait_for_timeout(30)


def band() -> symusic.Score:
    """Eight seconds of five tracks with a pedal, a swell and pans."""
    piece = score(
        *(
            track(*((240 * i, 400, pitch + i % 7, 90) for i in range(32)), program=program)
            for pitch, program in ((60, 0), (52, 25), (36, 33), (67, 48))
        ),
        track(*((240 * i, 60, 36 + 2 * (i % 4), 100) for i in range(32)), drums=True),
    )
    piece.tracks[0].pedals.append(symusic.Pedal(960, 1500))
    piece.tracks[3].controls.extend(symusic.ControlChange(240 * i, 11, 60 + 2 * i) for i in range(30))
    return piece


def duet() -> symusic.Score:
    """An organ note over nine seconds, begun at once, and a flute that plays every second."""
    held = track((0, 18 * 480, 48, 100), program=ORGAN)
    flute = track(*((960 * i, 480, 72 + i, 100) for i in range(9)), program=FLUTE)
    return score(held, flute)


def all_of(data: bytes, n_tracks: int, n_chunks: int) -> np.ndarray:
    """All tracks of a piece in its first chunks, added up."""
    parts = {k: [api.piece_chunk(data, n, k) for n in range(n_tracks)] for k in range(n_chunks)}
    return added_up(parts, n_chunks * CHUNK_FRAMES)


def furthest(samples: np.ndarray, expected: np.ndarray) -> float:
    """The largest difference, as far as was listened, which is half of what is expected at least."""
    n_frames = min(len(samples), len(expected))
    assert n_frames > len(expected) / 2
    return float(np.abs(samples[:n_frames] - expected[:n_frames]).max())


def roughest(samples: np.ndarray) -> float:
    """The largest third difference: a step in the samples makes it large, a tone, however loud, does not."""
    return float(np.abs(np.diff(samples, n=3, axis=0)).max())


def since_it_began(page) -> np.ndarray:
    """What was heard since sound began, or began again after what was told was forgotten."""
    began = round(next(one["began"] for one in page.evaluate("told") if one["name"] == "playing") * RATE_HZ)
    first, samples = heard(page)
    silence = np.zeros((max(first - began, 0), 2), dtype=np.float32)
    return np.concatenate([silence, samples[max(began - first, 0) :]])


def off_by(room, studio, handed_over: int) -> float:
    """How far what was heard is from what was told while it was composed, and from the piece after that."""
    samples = since_it_began(room)
    piece = room.evaluate("kapelle.player.source.piece")
    job = room.evaluate("localStorage.getItem('kapelle.started')").split('"')[-2]
    live = {k: [path.read_bytes() for path in (studio.folder / "jobs" / job / "sound").glob(f"0-{k}-*.flac")] for k in range(handed_over)}
    data = studio.get(f"/api/pieces/{piece}/file/mid").content
    n_tracks = len(read(data).tracks)
    after = {k: [api.piece_chunk(data, n, k) for n in range(n_tracks)] for k in range(handed_over, handed_over + 4)}
    n_frames = (handed_over * CHUNK_FRAMES) + RATE_HZ
    expected = added_up({**live, **after}, n_frames)
    assert np.abs(expected).max() > 0.02
    return furthest(samples, expected)


def test_a_piece_is_heard_while_it_is_composed_and_goes_on_without_a_gap(room, studio):
    distances = []
    for seed in (4, 5, 6, 7):  # on a machine that does much else a chunk may be late, told or not, which is another test's matter
        room.evaluate("told.length = 0")
        body = {"seed": seed, "length": {"amount": 12, "unit": "bars"}}
        room.evaluate("body => kapelle.session.compose('compose', body).then(() => 1)", body)
        wait_for(room, "told.some(({ name }) => name === 'open')", 60)
        wait_for(room, "kapelle.player.position() > Math.max(5, 2 * told.findLast(({ name }) => name === 'source').next + 1)", 60)
        told = room.evaluate("told")
        names = [one["name"] for one in told]
        assert names.index("playing") < names.index("done")
        if "late" not in names and "waiting" not in names[names.index("playing") :]:
            handed_over = [one for one in told if one["name"] == "source"][-1]["next"]
            distances.append(off_by(room, studio, handed_over))
            if distances[-1] < 1e-4:
                break
    else:
        pytest.fail(f"never as it was made, without a gap: {distances} {told}")


def test_chunks_on_the_clock_of_a_browser_are_the_whole_render(room, studio):
    """As the player places them, but faster than time goes: all chunks of all tracks of a band."""
    id, data = put(studio, band())
    sound = room.evaluate(
        """async (id) => {
          const { Run } = await import("/static/js/sound-run.js");
          const { PieceSource } = await import("/static/js/sound-source.js");
          await kapelle.player.context.suspend(); // nothing else is to be heard
          await kapelle.session.open(id);
          const source = new PieceSource(id, kapelle.session.current.music);
          const context = new OfflineAudioContext(2, 44100 * 12, 44100);
          const run = new Run(context, context.destination, { when: 0.1, from: 0, level: () => 1 });
          for (let k = 0; k < source.count; k += 1) for (const track of source.tracks(k)) {
            const bytes = await (await fetch("/api" + source.wanted(k, track).path)).arrayBuffer();
            run.place(await context.decodeAudioData(bytes), track, k);
          }
          const made = await context.startRendering();
          const [left, right] = [0, 1].map((side) => made.getChannelData(side));
          window.heard = [];
          for (let at = 0; at < made.length; at += 128) heard.push([at, left.slice(at, at + 128), right.slice(at, at + 128)]);
          return 1;
        }""",
        id,
    )
    assert sound == 1
    _, samples = heard(room)
    samples = samples[round(0.1 * RATE_HZ) :] * MAKE_UP
    tones = SamplerTones(load(bundled()), RATE_HZ)
    whole = mix(perform(read(data)), tones, 3.0).samples * GAIN
    assert np.abs(whole).max() > 0.1
    assert furthest(samples, whole) < 2e-4  # five tracks, each rounded to 16 bits


def test_seeking_into_a_held_note_lets_it_sound(room, studio):
    id, data = put(studio, duet())
    open_piece(room, id)
    room.evaluate("kapelle.player.seek(5.2)")
    assert room.evaluate("kapelle.player.position()") == pytest.approx(5.2)
    room.evaluate("kapelle.player.play().then(() => 1)")
    wait_for(room, "kapelle.player.position() > 5.95")
    samples = since_it_began(room)
    expected = all_of(data, 2, 4)
    start = round(5.2 * RATE_HZ)
    fade = round(0.05 * RATE_HZ)
    assert furthest(samples[fade:], expected[start + fade : round(5.9 * RATE_HZ)]) < 1e-4
    assert np.abs(samples[:20]).max() < 0.2 * np.abs(samples).max()  # begun inside of a note, but without a click


def test_tracks_are_muted_heard_alone_and_made_softer_without_a_click(room, studio):
    id, data = put(studio, duet())
    open_piece(room, id)
    room.evaluate("kapelle.player.play().then(() => 1)")
    wait_for(room, f"kapelle.player.position() > 0.7 && ({PEAK})() > 0.01")
    room.evaluate("kapelle.player.mute('t0'); kapelle.player.mute('t1')")
    wait_for(room, f"({PEAK})() < 1e-4")
    assert room.evaluate("kapelle.player.playing")
    room.evaluate("kapelle.player.mute('t0', false)")
    wait_for(room, f"({PEAK})() > 0.01")
    for muted in ("true", "false") * 6:
        room.evaluate(f"kapelle.player.mute('t0', {muted})")
        room.wait_for_timeout(60)
    room.evaluate("kapelle.player.solo('t1')")  # which is muted
    wait_for(room, f"({PEAK})() < 1e-4")
    room.evaluate("kapelle.player.solo('t1', false); kapelle.player.setTrackVolume('t0', 0)")
    wait_for(room, f"({PEAK})() < 1e-4")
    room.evaluate("kapelle.player.setTrackVolume('t0', 1); kapelle.player.volume = 0")
    wait_for(room, f"({PEAK})() < 1e-4")
    room.evaluate("kapelle.player.volume = 1")
    wait_for(room, f"({PEAK})() > 0.01")
    room.evaluate("kapelle.player.pause()")
    wait_for(room, f"({PEAK})() < 1e-4")
    _, samples = heard(room)
    assert roughest(samples) < 1.1 * roughest(all_of(data, 2, 5)), "a click"


def test_a_loop_turns_round_in_time_and_the_end_is_told(room, studio):
    id, _ = put(studio, duet())
    open_piece(room, id)
    room.evaluate("kapelle.player.setLoop({ start: 1, end: 2.5 }); kapelle.player.play().then(() => 1)")
    wait_for(room, "told.filter(({ name }) => name === 'playing').length >= 3")
    wait_for(room, "kapelle.player.position() > 1.2 && kapelle.player.position() < 2.4")
    began = [one["at"] for one in room.evaluate("told") if one["name"] == "playing"]
    assert began[2] - began[1] == pytest.approx(1.5, abs=0.3)
    room.evaluate("kapelle.player.setLoop(null); kapelle.player.seek(8.7)")
    wait_for(room, "told.at(-1).name === 'ended'")
    assert not room.evaluate("kapelle.player.playing")
    assert room.evaluate("kapelle.player.position()") == pytest.approx(9.0)
    room.evaluate("kapelle.player.play().then(() => 1)")
    wait_for(room, "kapelle.player.position() > 0.1 && kapelle.player.position() < 4")


def tell(page, name: str, **detail) -> None:
    """What the server would tell of a job."""
    told = {"job": {"id": "aaaaaaaaaaaa"}, "number": 0, **detail}
    page.evaluate("async ([name, told]) => (await import('/static/js/bus.js')).emit(name, told)", [name, told])


def test_where_the_composer_is_slow_the_music_waits_and_goes_on_and_begins_anew_when_it_does(room):
    notes = read(write.to_bytes(score(track((0, 6 * 480, 60, 100), *((960 * i, 800, 64 + i, 90) for i in range(10)), program=ORGAN))))
    sounds = {k: chunks.flac(chunks.chunk(notes, 0, k)) for k in range(4)}
    asked = []

    def answer(route) -> None:
        asked.append(int(route.request.url.split("/")[-2]))
        route.fulfill(body=sounds[asked[-1]], content_type="audio/flac")

    room.route("**/api/jobs/aaaaaaaaaaaa/sound/**", answer)
    room.evaluate("kapelle.player.source = { job: 'aaaaaaaaaaaa', number: 0 }; kapelle.player.play().then(() => 1)")
    tell(room, "sound", chunk=0, programs=[ORGAN])
    wait_for(room, "told.at(-1).name === 'waiting' && told.some(({ name }) => name === 'playing')")
    assert room.evaluate("kapelle.player.position()") == 2.0
    tell(room, "sound", chunk=1, programs=[ORGAN])
    room.wait_for_timeout(200)
    assert room.evaluate("kapelle.player.playing && !kapelle.player.clockwork.run")  # one chunk would soon be played
    tell(room, "sound", chunk=2, programs=[ORGAN])
    wait_for(room, "kapelle.player.position() > 3")
    tell(room, "restarted", attempt=2, reasons=["too short"])
    assert room.evaluate("kapelle.player.position()") == 0
    assert room.evaluate("told.at(-1).name") == "waiting"
    n_asked = len(asked)
    tell(room, "sound", chunk=0, programs=[ORGAN])
    wait_for(room, "kapelle.player.position() > 0.2 && kapelle.player.position() < 2")
    assert asked[n_asked:] == [0]  # asked for again: it is another attempt's
    tell(room, "cancelled")
    wait_for(room, "told.at(-1).name === 'ended'")
    _, samples = heard(room)
    assert roughest(samples) < 1.1 * roughest(added_up({k: [sound] for k, sound in sounds.items()}, 10 * RATE_HZ)), "a click"


def test_sound_that_cannot_be_decoded_is_told_once_and_the_rest_plays(room, studio):
    id, _ = put(studio, duet())
    room.route("**/sound/*/1.flac", lambda route: route.fulfill(body=b"no sound", content_type="audio/flac"))
    open_piece(room, id)
    room.evaluate("kapelle.player.play().then(() => 1)")
    wait_for(room, f"kapelle.player.position() > 2.5 && ({PEAK})() > 0.01")
    assert [one["kind"] for one in room.evaluate("told") if one["name"] == "player-problem"] == ["sound"]


PORTS = """(() => {
  const port = (id, name) => ({
    id, name, state: "connected", sent: [], open: async () => {}, close() {}, clear() { this.sent.push([[0], performance.now()]); },
    send(data, time) { this.sent.push([[...data], time ?? performance.now()]); },
  });
  window.ports = [port("a", "Synth"), port("b", "DAW")];
  navigator.requestMIDIAccess = async () => {
    const access = new EventTarget();
    access.outputs = new Map(ports.map((one) => [one.id, one]));
    window.unplug = (one) => {
      one.state = "disconnected";
      access.dispatchEvent(Object.assign(new Event("statechange"), { port: one }));
    };
    return access;
  };
})()"""


def test_a_midi_port_plays_on_time_and_is_silent_when_the_music_is(page, studio):
    id, _ = put(studio, duet())
    page.add_init_script(PORTS)
    page.goto("/")
    wait_for(page, "document.documentElement.dataset.ready === 'true'")
    open_piece(page, id)
    page.click(".midi-button")
    page.click(".menu [role^=menuitem]:has-text('DAW')")
    page.evaluate("kapelle.player.play().then(() => 1)")
    wait_for(page, "kapelle.player.position() > 1.3")
    zero = page.evaluate("performance.now() - 1000 * kapelle.player.position()")
    sent = page.evaluate("ports[1].sent")
    assert page.evaluate("ports[0].sent") == []
    assert [data for data, _ in sent if data[0] & 0xF0 == 0xC0] == [[0xC0, ORGAN], [0xC1, FLUTE]]
    struck = {(data[0], data[1]): (at - zero) / 1000 for data, at in sent if data[0] & 0xF0 == 0x90}
    assert struck == {(0x90, 48): pytest.approx(0, abs=0.1), (0x91, 72): pytest.approx(0, abs=0.1), (0x91, 73): pytest.approx(1, abs=0.1)}

    page.evaluate("kapelle.player.mute('t1')")
    assert [0x81, 73, 0] in [data for data, _ in page.evaluate("ports[1].sent")]
    before = len(page.evaluate("ports[1].sent"))
    wait_for(page, "kapelle.player.position() > 2.3")
    assert [data for data, _ in page.evaluate("ports[1].sent")[before:] if data[0] == 0x91] == []

    page.evaluate("kapelle.player.pause()")
    last = [data for data, _ in page.evaluate("ports[1].sent")[before:]]
    assert [0] in last and [0x80, 48, 0] in last and [0xB0, 123, 0] in last
    n_sent = len(page.evaluate("ports[1].sent"))
    page.wait_for_timeout(200)
    assert len(page.evaluate("ports[1].sent")) == n_sent

    page.click(".midi-button")
    page.click(".menu [role^=menuitem]:has-text('Sound here too')")
    page.evaluate("kapelle.player.play().then(() => 1)")
    wait_for(page, "kapelle.player.position() > 2.8")
    assert page.evaluate(PEAK) < 1e-4
    page.evaluate("unplug(ports[1])")
    wait_for(page, f"({PEAK})() > 0.01")  # what was sent there is heard here again
    assert "DAW is gone" in page.inner_text("#toasts")


def test_a_server_that_is_away_is_waited_for_and_memory_is_bounded(room, studio):
    id, _ = put(studio, duet())
    refused = []

    def away(route) -> None:
        if len(refused) < 4:
            refused.append(route.request.url)
            route.abort()
        else:
            route.continue_()

    room.route("**/sound/1/*.flac", away)
    open_piece(room, id)
    room.evaluate("kapelle.player.play().then(() => 1)")
    wait_for(room, "kapelle.player.position() > 2.5")
    assert len(refused) == 4
    assert "player-problem" not in [one["name"] for one in room.evaluate("told")]
    room.complaints[:] = [one for one in room.complaints if "ERR_FAILED" not in one]  # the browser tells of what was refused
    room.evaluate("kapelle.player.pause()")

    kept = room.evaluate(
        """async (id) => {
          const { Store } = await import("/static/js/sound-store.js");
          const buffer = { length: 1000, numberOfChannels: 2 };
          const store = new Store(async () => buffer, { budget: 40000 });
          const all = Array.from({ length: 12 }, (_, k) => ({ key: `${k}`, path: `/pieces/${id}/sound/${k % 5}/0.flac`, fresh: false }));
          for (let k = 0; k < 12; k += 2) {
            store.want(all.slice(k, k + 2));
            while (!store.settled(`${k}`) || !store.settled(`${k + 1}`)) await new Promise((done) => setTimeout(done, 5));
          }
          return [store.bytes, [...Array(12).keys()].filter((k) => store.get(`${k}`))];
        }""",
        id,
    )
    assert kept == [40000, [7, 8, 9, 10, 11]]
