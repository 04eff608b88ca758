/**
 * Music to a MIDI port, where the browser has Web MIDI: what the player plays goes to an instrument or a DAW as well, or instead.
 *
 * Notes are handed to the port a little ahead with the time at which they are to begin, so that a busy page does not move them; the clock
 * is that of what is heard here. Each instrument has a channel of its own, drums the tenth; from the sixteenth instrument on they share.
 * What is held is let go, and what was sent ahead is taken back, at a pause, a seek, another piece, and for a track that is muted. A port
 * is opened when it is chosen, and the browser asks then, never before.
 *
 * Listens to the player's "playing", "paused", "waiting", "ended" and "mix".
 */

import { on } from "./bus.js";
import { el, icon, named } from "./dom.js";
import { t } from "./i18n.js";
import { menuAt } from "./menu.js";
import { toast } from "./toast.js";

const AHEAD_S = 0.15;
const HIDDEN_AHEAD_S = 1.2; // a page in the background thinks once a second only
const TICK_MS = 30;
const JUMP_S = 0.08; // a move of the position that is a seek, not time
const [NOTE_OFF, NOTE_ON, CONTROL, PROGRAM] = [0x80, 0x90, 0xb0, 0xc0];
const [SUSTAIN, ALL_SOUND_OFF, ALL_NOTES_OFF] = [64, 120, 123];
const DRUMS = 9;

class MidiOut {
  /** @param {any} player */
  constructor(player) {
    this.player = player;
    /** @type {any} MIDIOutput */
    this.port = null;
    this._timer = 0;
    this._from = 0; // of the piece: notes before this were sent
    this._expected = null; // where the position should be by now: {seconds, time}
    this._ends = []; // [time, channel, pitch] of notes that sound
    this._channels = new Map();
    this._programs = new Map();
    on("playing", () => this._start());
    for (const name of ["paused", "waiting", "ended"]) on(name, () => this._stop());
    on("mix", () => this._mixed());
    window.addEventListener("pagehide", () => this._stop());
  }

  /** Send to this port from now on; to none if null. @param {any} port */
  async use(port) {
    this._stop();
    if (this.port && this.port !== port) this.port.close?.();
    this.port = port;
    this._programs.clear();
    await port?.open?.();
    if (port && this.player.playing) this._start();
  }

  _start() {
    if (!this.port) return;
    this._silence();
    this._from = this.player.position();
    this._expected = null;
    clearInterval(this._timer);
    this._timer = setInterval(() => this._tick(), TICK_MS);
    this._tick();
  }

  _stop() {
    clearInterval(this._timer);
    this._timer = 0;
    this._silence();
  }

  _tick() {
    if (this.port?.state === "disconnected") return this._stop();
    const position = this.player.position();
    const now = performance.now();
    const moved = this._expected ? position - this._expected.seconds - (now - this._expected.time) / 1000 : 0;
    if (Math.abs(moved) > JUMP_S && position > 0) this._jumped(position);
    this._expected = { seconds: position, time: now };
    const until = position + (document.hidden ? HIDDEN_AHEAD_S : AHEAD_S);
    for (const track of this.player.music?.tracks || []) {
      for (const note of beginning(track, this._from, until)) this._send(track, note, now + (note.start - position) * 1000);
    }
    this._from = Math.max(this._from, until);
    this._ends = this._ends.filter((end) => end.time > now);
    return undefined;
  }

  _jumped(position) {
    this._silence();
    this._from = position;
  }

  _send(track, note, time) {
    if (this.player.level(track.id) === 0) return;
    const channel = this._channel(track);
    if (channel !== DRUMS && this._programs.get(channel) !== track.program) {
      this._programs.set(channel, track.program);
      this.port.send([PROGRAM | channel, track.program], time);
    }
    const velocity = Math.min(Math.max(Math.round(note.velocity * Math.sqrt(this.player.trackVolume(track.id))), 1), 127);
    const end = time + Math.max(note.duration, 0.01) * 1000 - 1; // a note of the same pitch may begin at its end
    this.port.send([NOTE_ON | channel, note.pitch, velocity], time);
    this.port.send([NOTE_OFF | channel, note.pitch, 0], end);
    this._ends.push({ time: end, channel, pitch: note.pitch, id: track.id });
  }

  _channel(track) {
    if (track.program < 0) return DRUMS;
    if (!this._channels.has(track.id)) {
      const n = this._channels.size % 15;
      this._channels.set(track.id, n < DRUMS ? n : n + 1);
    }
    return this._channels.get(track.id);
  }

  /** Let go what a muted track holds; what is sent ahead of it goes too, 150 ms at the most. */
  _mixed() {
    if (!this.port || this._ends.length === 0) return;
    const quiet = this._ends.filter(({ id }) => this.player.level(id) === 0);
    const soon = performance.now() + AHEAD_S * 1000;
    for (const { channel, pitch } of quiet) for (const time of [0, soon]) this.port.send([NOTE_OFF | channel, pitch, 0], time);
    this._ends = this._ends.filter(({ id }) => this.player.level(id) > 0);
  }

  /** Take back what was sent ahead, and let go all that sounds. */
  _silence() {
    if (!this.port || this.port.state === "disconnected") return;
    this.port.clear?.(); // not in every browser; hence once more when what was sent ahead has begun
    const channels = new Set([...this._ends.map(({ channel }) => channel), ...this._channels.values()]);
    const soon = performance.now() + AHEAD_S * 1000;
    for (const { channel, pitch } of this._ends) this.port.send([NOTE_OFF | channel, pitch, 0]);
    for (const channel of channels) {
      for (const number of [SUSTAIN, ALL_NOTES_OFF, ALL_SOUND_OFF]) this.port.send([CONTROL | channel, number, 0]);
      if (!this.port.clear) this.port.send([CONTROL | channel, ALL_NOTES_OFF, 0], soon);
    }
    this._ends = [];
    this._channels.clear();
  }
}

/** The notes of a track that begin from `from` up to `until`. */
function beginning(track, from, until) {
  let [low, high] = [0, track.notes.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (track.notes[middle].start < from) low = middle + 1;
    else high = middle;
  }
  const out = [];
  for (let i = low; i < track.notes.length && track.notes[i].start < until; i += 1) out.push(track.notes[i]);
  return out;
}

/**
 * A button with a menu of the ports that are there, and of whether sound is heard here too. None where the browser has no Web MIDI.
 * @param {HTMLElement} element @param {any} session @param {any} player
 */
export function mountMidiOut(element, session, player) {
  const out = new MidiOut(player);
  if (!element || !navigator.requestMIDIAccess) return out;
  const state = { access: null, here: true };
  const button = el("button", { class: "icon-button midi-button", type: "button" }, icon("midi"));

  const use = async (port) => {
    try {
      await out.use(port);
    } catch {
      await out.use(null);
      refused();
    }
    player.silent = Boolean(out.port) && !state.here;
    show();
  };
  const here = () => {
    state.here = !state.here;
    player.silent = Boolean(out.port) && !state.here;
  };
  const changed = ({ port }) => {
    if (port !== out.port || port.state !== "disconnected") return;
    toast(t("midi.gone", { name: port.name }), { kind: "error" });
    use(null);
  };
  const entries = async () => {
    try {
      state.access ||= await access(changed);
    } catch {
      refused();
      return [{ heading: t("midi.port") }, { label: t("midi.refused"), disabled: true }];
    }
    const ports = [...state.access.outputs.values()].filter((port) => port.state !== "disconnected");
    const none = { label: t("midi.none"), checked: !out.port, run: () => use(null) };
    const found = ports.map((port) => ({ label: port.name || port.id, checked: port.id === out.port?.id, run: () => use(port) }));
    const missing = { label: t("midi.no_ports"), about: t("midi.no_ports_hint"), disabled: true };
    const sound = { label: t("midi.here"), checked: state.here, run: here };
    return [{ heading: t("midi.port") }, none, ...(found.length ? found : [missing]), ...(out.port ? [null, sound] : [])];
  };
  const show = () => {
    named(button, out.port ? t("midi.to", { name: out.port.name }) : t("midi.port"));
    button.classList.toggle("is-on", Boolean(out.port));
  };
  menuAt(button, entries);
  on("language", show);
  show();
  element.prepend(button);
  return out;
}

async function access(changed) {
  const given = await navigator.requestMIDIAccess({ sysex: false });
  given.addEventListener("statechange", changed);
  return given;
}

function refused() {
  toast(t("midi.refused"), { kind: "error", hint: t("midi.refused_hint") });
}
