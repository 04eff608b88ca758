/**
 * The other rooms: models (what each is, what it learned from, under which licence, how good it is, pieces by it) and studies (sites that
 * the server was given, in a frame that reaches nothing of this page).
 *
 * Listens on the bus to "room" {room, name}, "library-changed", "language"; tells "compose-model" {name, verb}.
 */

import { address, get } from "./api.js";
import { emit, on } from "./bus.js";
import { clock, el, facts, icon } from "./dom.js";
import { copyable } from "./details.js";
import { number, pick, t } from "./i18n.js";
import { nodesOf } from "./markup.js";
import { miniature } from "./miniature.js";
import { titleOf } from "./models.js";
import { failed } from "./toast.js";
import { keyName } from "./words.js";

const SAMPLES = 6;
const SHORT = { amount: 8, unit: "bars" };
const SANDBOX = "allow-scripts allow-downloads allow-modals";

class Rooms {
  constructor(element, session) {
    Object.assign(this, { element, session, turn: 0, here: null });
    on("room", (where) => this.enter(where));
    on("library-changed", () => this.here?.room === "models" && this.here.name && this._samples?.());
  }

  async enter({ room, name }) {
    const before = this.here;
    this.here = { room, name };
    const mine = ++this.turn;
    if (room === "studio") return this.element.replaceChildren();
    const moved = before && (before.room !== room || before.name !== name);
    try {
      const made = await (room === "models" ? (name ? this._model(name) : this._models()) : this._studies(name));
      if (mine !== this.turn) return undefined;
      this.element.replaceChildren(made);
    } catch (error) {
      if (mine !== this.turn) return undefined;
      const back = el("a", { href: `#/${room}`, class: "button small", text: t(`rooms.${room}`) });
      this.element.replaceChildren(el("div", { class: "room-page" }, el("div", { class: "empty" }, icon("warn"), el("p", { text: error.message }), error.hint ? el("p", { text: error.hint }) : null, back)));
    }
    if (moved) {
      this.element.scrollTop = 0;
      this.element.focus({ preventScroll: true });
    }
    return undefined;
  }

  // -- models -------------------------------------------------------------------------------------------------------------------

  async _models() {
    const offers = await get("/models");
    const featured = offers.filter((offer) => offer.featured !== false);
    const others = offers.filter((offer) => offer.featured === false);
    const more = others.length
      ? el("details", { class: "more-models" }, el("summary", {}, icon("right"), t("rooms.more_models", { n: others.length })), el("div", { class: "model-grid" }, ...others.map(modelCard)))
      : null;
    return el(
      "div",
      { class: "room-page" },
      el("h2", { text: t("rooms.models") }),
      el("p", { class: "lead", text: t("rooms.models_about") }),
      el("div", { class: "model-grid" }, ...featured.map(modelCard)),
      more,
    );
  }

  async _model(name) {
    const offer = await get(`/models/${encodeURIComponent(name)}`);
    const card = el("div", { class: "card-text" }, nodesOf(offer.card_html));
    card.querySelector("h2")?.remove(); // the page says its name above
    const use = (verb) => {
      window.location.hash = "#/";
      emit("compose-model", { name: offer.name, verb });
    };
    const buttons = offer.verbs.map((verb, at) =>
      el("button", { type: "button", class: at ? "button" : "button primary", on: { click: () => use(verb) } }, icon(verb), t(`rooms.use.${verb}`)),
    );
    const samples = el("div", { class: "samples" });
    this._samples = () => this._show(offer, samples).catch(failed);
    this._samples();
    return el(
      "div",
      { class: "room-page model-page" },
      el("p", { class: "crumbs" }, el("a", { href: "#/models", text: t("rooms.models") })),
      el("h2", { text: titleOf(offer.name) }),
      el("p", { class: "lead", text: pick(offer.about) }),
      el("div", { class: "row" }, ...buttons),
      el("div", { class: "model-columns" }, el("section", {}, el("h3", { text: t("rooms.samples") }), samples), el("section", {}, el("h3", { text: t("rooms.facts") }), modelFacts(offer))),
      el("section", { class: "card-section" }, el("h3", { text: t("rooms.card") }), el("p", { class: "hint", text: t("rooms.card_about") }), card),
    );
  }

  /** The user's newest pieces by a model; a short one is composed on demand. */
  async _show(offer, place) {
    const { pieces } = await get(`/pieces?model=${encodeURIComponent(offer.name)}&limit=${SAMPLES}`);
    const more = offer.verbs.includes("compose") ? this._short(offer) : null;
    const none = pieces.length ? null : el("p", { class: "muted", text: t(more ? "rooms.no_samples" : "rooms.no_samples_file") });
    const shown = JSON.stringify(pieces.map((piece) => piece.id));
    const playing = [...place.querySelectorAll("audio")].some((sound) => !sound.paused);
    if (playing && place.dataset.pieces === shown) return; // nothing is new: let it sound
    place.dataset.pieces = shown;
    place.replaceChildren(...[none, ...pieces.map((piece) => this._sample(piece)), more].filter(Boolean));
  }

  _sample(piece) {
    const line = [t("common.bars", { n: piece.n_bars }), clock(piece.duration_s), piece.key ? keyName(piece.key) : "", t("candidates.seed", { seed: String(piece.seed) })];
    const sound = el("audio", { controls: true, preload: "none", src: address(`/pieces/${piece.id}/file/mp3`), "aria-label": t("rooms.sound_of", { title: piece.title }) });
    sound.addEventListener("play", () => {
      for (const other of this.element.querySelectorAll("audio")) if (other !== sound) other.pause();
    });
    const open = () => {
      window.location.hash = "#/";
      this.session.open(piece.id).catch(failed);
    };
    return el(
      "div",
      { class: "sample" },
      el("button", { type: "button", class: "link title", text: piece.title, title: t("library.open"), on: { click: open } }),
      el("div", { class: "strip" }, miniature(piece.id)),
      el("p", { class: "muted", text: line.filter(Boolean).join(" · ") }),
      sound,
    );
  }

  _short(offer) {
    const button = el("button", { type: "button", class: "button" }, icon("compose"), el("span", { text: t("rooms.compose_short") }));
    button.addEventListener("click", async () => {
      button.disabled = true;
      const word = button.querySelector("span");
      const show = ({ done }) => (word.textContent = t("rooms.composing", { percent: Math.round(100 * (done || 0)) }));
      show({ done: 0 });
      try {
        await this.session.run("/compose", { model: offer.name, length: offer.lengths[SHORT.unit] ? SHORT : offer.default_length }, show);
        this.session.libraryChanged();
      } catch (error) {
        failed(error);
      } finally {
        button.disabled = false;
        word.textContent = t("rooms.compose_short");
      }
    });
    return button;
  }

  // -- studies ------------------------------------------------------------------------------------------------------------------

  async _studies(name) {
    const studies = await get("/studies");
    if (!studies.length) return noStudies();
    const shown = studies.find((study) => study.name === name) || (studies.length === 1 ? studies[0] : null);
    const list = studies.map((study) =>
      el("a", { class: "chip", href: `#/studies/${encodeURIComponent(study.name)}`, "aria-current": study === shown ? "page" : null, text: study.title }),
    );
    if (!shown) {
      return el("div", { class: "room-page" }, el("h2", { text: t("rooms.studies") }), el("p", { class: "lead", text: t("rooms.studies_about") }), el("div", { class: "row" }, ...list));
    }
    const frame = el("iframe", { src: shown.url, title: shown.title, sandbox: SANDBOX, referrerpolicy: "no-referrer" });
    const head = el(
      "div",
      { class: "study-head" },
      el("h2", { text: shown.title }),
      ...(studies.length > 1 ? list : []),
      el("a", { class: "button small", href: shown.url, target: "_blank", rel: "noopener noreferrer", text: t("rooms.open_study") }),
    );
    return el("div", { class: "study" }, head, frame);
  }
}

function noStudies() {
  return el(
    "div",
    { class: "room-page" },
    el("h2", { text: t("rooms.studies") }),
    el("p", { class: "lead", text: t("rooms.studies_about") }),
    el("p", { text: t("rooms.no_studies") }),
    copyable("kapelle study models --model genre-small --model ensemble -o my-study"),
    copyable("kapelle serve --study my-study"),
  );
}

function modelCard(offer) {
  return el(
    "a",
    { class: "card model-link", href: `#/models/${encodeURIComponent(offer.name)}` },
    el("span", { class: "model-name", text: titleOf(offer.name) }),
    el("span", { class: "about", text: pick(offer.about) }),
    el("span", { class: "row" }, ...offer.verbs.map((verb) => el("span", { class: "badge", text: t(`composer.verb.${verb}`) })), el("span", { class: "badge", text: megabytes(offer.n_bytes) })),
    el("span", { class: "hint", text: offer.licence }),
  );
}

const megabytes = (bytes) => t("common.megabytes", { n: number(bytes / 1e6, { maximumFractionDigits: 1 }) });

function modelFacts(offer) {
  const data = el("ul", { class: "data" }, ...offer.data.map((one) => el("li", {}, el("b", { text: one.name }), el("span", { class: "muted", text: one.licence }))));
  const lengths = Object.entries(offer.lengths).map(([unit, [low, high]]) => `${number(low)}–${number(high)} ${t(`details.unit.${unit}`)}`);
  const rows = [
    ["rooms.fact.name", el("code", { text: offer.name })],
    ["rooms.fact.family", offer.family],
    ["rooms.fact.size", megabytes(offer.n_bytes)],
    ...(offer.figures.parameters ? [["rooms.fact.parameters", number(offer.figures.parameters)]] : []),
    ["rooms.fact.lengths", lengths.join(", ") || t("rooms.length_of_file")],
    ["rooms.fact.licence", offer.licence],
    ["rooms.fact.data", data],
    ["rooms.fact.hash", el("code", { class: "hash", text: offer.hash.slice(0, 16) })],
  ];
  return facts(rows.map(([key, value]) => [t(key), value]));
}

/** @param {HTMLElement} element @param {import("./session.js").session} session */
export const mountRooms = (element, session) => new Rooms(element, session);
