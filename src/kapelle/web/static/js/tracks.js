/**
 * The list of tracks: colour, instrument, how many notes; mute, solo and volume of each. M and S act on the track that has the focus.
 *
 * Listens to "music", "music-grown", "open", "language", "key" {key, target}. Tells the player, and on the bus "mix" {silent: ids of the
 * tracks that are not heard}. What was muted while a piece was composed stays so when its file takes the place of the notes on their way.
 */

import { emit, on } from "./bus.js";
import { el } from "./dom.js";
import { t } from "./i18n.js";
import { instrumentOf, ownName, programName } from "./instruments.js";

const FULL = 100;

class Tracks {
  constructor(element, session, player) {
    Object.assign(this, { element, session, player });
    this.music = session.current.music;
    /** @type {Map<string, {mute: boolean, solo: boolean, volume: number}>} */
    this.mixes = new Map();
    /** @type {Map<string, any>} */
    this.rows = new Map();
    this._continues = false;
    on("open", ({ job }) => (this._continues = Boolean(job)));
    on("music", ({ music }) => this._take(music));
    on("music-grown", ({ music, reset }) => music === this.music && this._grown(reset));
    on("language", () => this._build());
    on("key", (told) => this._key(told));
    new MutationObserver(() => this._recolour()).observe(document.documentElement, { attributeFilter: ["data-theme"] });
    this._build();
  }

  _take(music) {
    const before = this._continues ? this.music.tracks.map((track) => [track.program, this.mix(track.id)]) : [];
    for (const id of this.mixes.keys()) this._tell(id, { mute: false, solo: false, volume: FULL });
    this.music = music;
    this.mixes.clear();
    this._continues = false;
    for (const track of music.tracks) {
      const at = before.findIndex(([program]) => program === track.program);
      if (at >= 0) this.mixes.set(track.id, { ...before[at][1] });
    }
    this._build();
    for (const [id, mix] of this.mixes) this._tell(id, mix);
    this._heard();
  }

  _grown(reset) {
    if (reset || this.music.tracks.some((track) => !this.rows.has(track.id))) this._build();
    else for (const track of this.music.tracks) this.rows.get(track.id).about.textContent = about(track);
  }

  /** How a track is mixed. @param {string} id */
  mix(id) {
    return this.mixes.get(id) || { mute: false, solo: false, volume: FULL };
  }

  /** Change how a track is mixed. @param {string} id @param {Partial<{mute: boolean, solo: boolean, volume: number}>} change */
  change(id, change) {
    const mix = { ...this.mix(id), ...change };
    this.mixes.set(id, mix);
    this._tell(id, mix, change);
    this._heard();
  }

  _tell(id, mix, change = mix) {
    if ("mute" in change) this.player?.mute?.(id, mix.mute);
    if ("solo" in change) this.player?.solo?.(id, mix.solo);
    if ("volume" in change) this.player?.setVolume?.(id, (mix.volume / FULL) ** 2); // the ear hears squares as even steps
  }

  /** Show and tell which tracks are not heard. */
  _heard() {
    const alone = this.music.tracks.some((track) => this.mix(track.id).solo);
    const silent = this.music.tracks.filter(({ id }) => this.mix(id).mute || (alone && !this.mix(id).solo) || this.mix(id).volume === 0);
    const ids = new Set(silent.map(({ id }) => id));
    for (const [id, row] of this.rows) {
      const mix = this.mix(id);
      row.item.classList.toggle("is-silent", ids.has(id));
      row.mute.setAttribute("aria-pressed", String(mix.mute));
      row.solo.setAttribute("aria-pressed", String(mix.solo));
      row.volume.value = String(mix.volume);
      row.volume.style.setProperty("--fill", `${mix.volume}%`);
    }
    emit("mix", { silent: [...ids] });
  }

  _key({ key, target }) {
    const id = target?.closest?.("[data-track]")?.dataset.track;
    if (!id) return;
    if (key === "m") this.change(id, { mute: !this.mix(id).mute });
    if (key === "s") this.change(id, { solo: !this.mix(id).solo });
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
          on: { click: () => this.change(track.id, { [control]: !this.mix(track.id)[control] }) },
        },
        letter,
      );
    const row = {
      mute: button("mute", t("tracks.mute_letter")),
      solo: button("solo", t("tracks.solo_letter")),
      volume: el("input", {
        type: "range", min: 0, max: FULL, step: 1, value: FULL, "data-control": "volume", "aria-label": t("tracks.volume", { name }), title: t("tracks.volume", { name }),
        on: { input: (event) => this.change(track.id, { volume: Number(event.target.value) }) },
      }),
      colour: el("canvas", { class: "track-colour", width: 1, height: 1, "aria-hidden": "true" }),
      about: el("span", { class: "track-about number", text: about(track) }),
    };
    const words = el("span", { class: "track-words" }, el("span", { class: "track-name", text: ownName(track) || programName(track.program), title: name }), row.about);
    row.item = el(
      "div",
      { class: "track", role: "group", "aria-label": name, "data-track": track.id },
      row.colour, words, el("span", { class: "track-mix" }, row.volume, row.mute, row.solo),
    );
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

function about(track) {
  const notes = t("tracks.notes", { n: track.notes.length });
  return ownName(track) ? `${programName(track.program)} · ${notes}` : notes;
}

/**
 * Put the list of tracks into `element`.
 * @param {HTMLElement} element @param {any} session @param {any} player
 */
export function mountTracks(element, session, player) {
  return new Tracks(element, session, player);
}
