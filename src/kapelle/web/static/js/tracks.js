/**
 * The list of tracks: colour, instrument, how many notes; mute, solo and volume of each. M and S act on the track that has the focus.
 *
 * The player keeps how tracks are mixed, also when a file takes the place of notes on their way; this list shows it and asks for changes.
 * Listens to "music", "music-grown", "mix", "language" and "key" {key, target}.
 */

import { on } from "./bus.js";
import { el } from "./dom.js";
import { number, t } from "./i18n.js";
import { instrumentOf, ownName, programName } from "./instruments.js";

const FULL = 100;

class Tracks {
  constructor(element, session, player) {
    Object.assign(this, { element, player });
    this.music = session.current.music;
    /** @type {Map<string, any>} */
    this.rows = new Map();
    on("music", ({ music }) => {
      this.music = music;
      this._build();
    });
    on("music-grown", ({ music, reset }) => music === this.music && this._grown(reset));
    on("mix", () => this._heard());
    on("language", () => this._build());
    on("key", (told) => this._key(told));
    new MutationObserver(() => this._recolour()).observe(document.documentElement, { attributeFilter: ["data-theme"] });
    this._build();
  }

  _grown(reset) {
    if (reset || this.music.tracks.some((track) => !this.rows.has(track.id))) this._build();
    else for (const track of this.music.tracks) count(this.rows.get(track.id), track);
  }

  /** Show which tracks are heard, and how loud. */
  _heard() {
    for (const [id, row] of this.rows) {
      const volume = Math.round(Math.sqrt(this.player.trackVolume(id)) * FULL);
      row.item.classList.toggle("is-silent", this.player.level(id) === 0);
      row.mute.setAttribute("aria-pressed", String(this.player.isMuted(id)));
      row.solo.setAttribute("aria-pressed", String(this.player.isSolo(id)));
      if (document.activeElement !== row.volume) row.volume.value = String(volume);
      row.volume.style.setProperty("--fill", `${volume}%`);
    }
  }

  _toggle(id, control) {
    if (control === "mute") this.player.mute(id, !this.player.isMuted(id));
    else this.player.solo(id, !this.player.isSolo(id));
  }

  _key({ key, target }) {
    const id = target?.closest?.("[data-track]")?.dataset.track;
    const control = { m: "mute", s: "solo" }[key];
    if (id && control) this._toggle(id, control);
  }

  _build() {
    const focused = document.activeElement?.closest?.("[data-track]")?.dataset.track;
    const control = document.activeElement?.dataset?.control;
    this.rows.clear();
    for (const track of this.music.tracks) this.rows.set(track.id, this._row(track));
    this.element.replaceChildren(...[...this.rows.values()].map((row) => row.item));
    this.element.classList.toggle("is-empty", this.rows.size === 0);
    this._recolour();
    this._heard();
    if (focused && this.rows.has(focused)) this.rows.get(focused)[control]?.focus();
  }

  _row(track) {
    const name = instrumentOf(track);
    const button = (control, letter) =>
      el(
        "button",
        {
          type: "button", class: `track-button ${control}`, "data-control": control, "aria-pressed": "false",
          "aria-label": t(`tracks.${control}`, { name }), title: t(`tracks.${control}`, { name }),
          on: { click: () => this._toggle(track.id, control) },
        },
        letter,
      );
    const row = {
      mute: button("mute", t("tracks.mute_letter")),
      solo: button("solo", t("tracks.solo_letter")),
      volume: el("input", {
        type: "range", min: 0, max: FULL, step: 1, value: FULL, "data-control": "volume", "aria-label": t("tracks.volume", { name }), title: t("tracks.volume", { name }),
        on: { input: (event) => this.player.setTrackVolume(track.id, (Number(event.target.value) / FULL) ** 2) }, // the ear hears squares as even steps
      }),
      colour: el("canvas", { class: "track-colour", width: 1, height: 1, "aria-hidden": "true" }),
      count: el("span", { class: "track-count number" }),
    };
    const own = ownName(track);
    const words = el("span", { class: "track-words", title: name }, el("span", { class: "track-name", text: own || programName(track.program) }));
    if (own) words.append(el("span", { class: "track-about", text: programName(track.program) }));
    const mix = el("span", { class: "track-mix" }, row.volume, row.mute, row.solo);
    row.item = el("div", { class: "track", role: "group", "aria-label": name, "data-track": track.id }, row.colour, words, row.count, mix);
    count(row, track);
    return row;
  }

  _recolour() {
    for (const track of this.music.tracks) {
      const ctx = this.rows.get(track.id)?.colour.getContext("2d");
      if (!ctx) continue;
      ctx.fillStyle = track.color;
      ctx.fillRect(0, 0, 1, 1);
    }
  }
}

function count(row, track) {
  row.count.textContent = number(track.notes.length);
  row.count.title = t("common.notes", { n: track.notes.length });
}

/**
 * Put the list of tracks into `element`.
 * @param {HTMLElement} element @param {any} session @param {any} player
 */
export function mountTracks(element, session, player) {
  return new Tracks(element, session, player);
}
