/**
 * The tab Judge: what is heard in the open piece. Its originality beside human music, what classifiers say, its key, chords, density and
 * pitch classes; each figure with a line on what it means. Asked for when the tab is looked at, each part on its own.
 */

import { get } from "./api.js";
import { on } from "./bus.js";
import { judged } from "./candidates.js";
import { bars, shares } from "./charts.js";
import { el, facts, icon } from "./dom.js";
import { number, t } from "./i18n.js";
import { level, originality, verdict } from "./originality.js";
import { keyName, noteName } from "./words.js";

const HUMAN = "human-or-generated";
const MOST_CHORDS = 512;

class Judge {
  constructor(element, session, player) {
    Object.assign(this, { element, session, player });
    this.drawn = "";
    new IntersectionObserver((entries) => entries.some((one) => one.isIntersecting) && this.draw()).observe(element);
    on("open", () => this.draw());
    on("closed", () => this.draw());
    on("job", () => this.draw());
    on("tab", () => this.draw());
    on("language", () => this.draw(true));
  }

  draw(anew = false) {
    const record = this.session.current.record;
    if (this.element.hidden || this.element.checkVisibility?.() === false) return;
    const wanted = record ? record.id : "none";
    if (wanted === this.drawn && !anew) return;
    this.drawn = wanted;
    if (!record) return this.element.replaceChildren(el("div", { class: "empty" }, icon("note"), el("p", { text: t("judge.empty") })));
    const parts = [
      ...(record.source === "composed" ? [this._part("originality", () => originality(record.id).then(original))] : []),
      ...(record.judge ? [this._part("ranked", async () => judgedOpen(record.judge))] : []),
      this._part("genre", () => get(`/pieces/${record.id}/classification`).then(classified)),
      this._part("human", () => get(`/pieces/${record.id}/classification?model=${HUMAN}`).then(classified)),
      this._part("analysis", () => get(`/pieces/${record.id}/analysis`).then((found) => this._analysed(found)), "wide"),
    ];
    this.element.replaceChildren(el("div", { class: "judge" }, ...parts));
  }

  /** A part of the tab, with what it is and means; filled when its figures come. */
  _part(name, ask, kind = "") {
    const body = el("div", { class: "body", "aria-busy": "true" }, el("p", { class: "muted", text: t("judge.asking") }));
    const section = el("section", { class: `judge-part ${kind}` }, el("h3", { text: t(`judge.${name}`) }), el("p", { class: "hint", text: t(`judge.${name}_about`) }), body);
    const fill = async () => {
      try {
        const made = await ask();
        body.replaceChildren(...[made].flat().filter(Boolean));
      } catch (error) {
        const retry = el("button", { type: "button", class: "button small", text: t("library.retry"), on: { click: fill } });
        body.replaceChildren(el("p", { class: "muted", text: error.message }), ...(error.hint ? [el("p", { class: "hint", text: error.hint })] : []), ...(error.status >= 500 || error.status === 0 || error.status === 429 ? [retry] : []));
      }
      body.removeAttribute("aria-busy");
    };
    fill();
    return section;
  }

  _analysed(found) {
    const per = found.density;
    return [
      this._key(found),
      this._chords(found),
      titled(
        "judge.density",
        "judge.density_about",
        bars(per.by_bar, { label: t("judge.density_label", { mean: rounded(per.per_bar), bars: per.by_bar.length }), mean: per.per_bar }),
        figures([
          ["judge.per_bar", rounded(per.per_bar)],
          ["judge.per_s", rounded(per.per_s)],
          ["judge.polyphony", rounded(per.polyphony)],
          ["judge.most_at_once", String(per.most_at_once)],
        ]),
      ),
      titled(
        "judge.pitch_classes",
        "judge.pitch_classes_about",
        shares(Object.entries(found.pitch_classes).map(([note, share]) => [noteName(note), share]), { label: t("judge.pitch_classes"), show: percent }),
      ),
      titled("judge.ranges", "judge.ranges_about", ranges(found.ranges)),
    ];
  }

  _key({ key, estimate, estimate_music21: other, signature }) {
    if (!key) return null;
    const rows = [
      ["judge.key", keyName(key)],
      ...(estimate ? [["judge.estimate", `${keyName(estimate.key)} (${number(estimate.correlation, { maximumFractionDigits: 2 })})`]] : []),
      ...(other ? [["judge.estimate_other", `${keyName(other.key)} (${number(other.correlation, { maximumFractionDigits: 2 })})`]] : []),
      ...(signature ? [["judge.signature", keyName(signature)]] : []),
    ];
    return titled("judge.key", "judge.key_about", figures(rows));
  }

  _chords({ chords }) {
    if (!chords.length) return null;
    const some = chords.slice(0, MOST_CHORDS);
    const list = some.map((chord) => {
      const button = el("button", { type: "button", class: chord.name ? "chord" : "chord none" });
      button.append(el("span", { class: "bar-number", text: String(chord.bar) }), el("b", { text: chord.name || "–" }), el("span", { class: "roman", text: chord.roman }));
      button.setAttribute("aria-label", t("judge.chord_label", { bar: chord.bar, chord: chord.name || t("judge.no_chord"), roman: chord.roman }));
      button.style.setProperty("--fit", String(chord.fit));
      button.addEventListener("click", () => this.player?.seek(chord.start_s));
      return el("li", {}, button);
    });
    const more = chords.length > some.length ? el("p", { class: "muted", text: t("judge.more_chords", { n: chords.length - some.length }) }) : null;
    return titled("judge.chords", "judge.chords_about", el("ol", { class: "chords" }, ...list), more);
  }
}

const percent = (share) => number(share, { style: "percent", maximumFractionDigits: share < 0.1 ? 1 : 0 });
const rounded = (value) => number(value, { maximumFractionDigits: 1 });

const figures = (rows) => facts(rows.map(([key, value]) => [t(key), value]));

function titled(key, about, ...children) {
  return el("div", { class: "sub" }, el("h4", { text: t(key) }), el("p", { class: "hint", text: t(about) }), ...children);
}

function judgedOpen(judge) {
  const made = judged(judge);
  made.open = true;
  return made;
}

function original(found) {
  if (!found) return el("p", { class: "muted", text: t("judge.no_index") });
  const human = found.human || {};
  const runs = human.longest_run || {};
  const rows = [
    ["judge.longest_run", found.longest_run ? t("common.notes", { n: found.longest_run }) : t("judge.run_none", { n: found.at_most })],
    ["judge.share_copied", percent(found.share_copied)],
    ...(found.nearest && found.longest_run ? [["judge.nearest", found.nearest]] : []),
    ...(runs["50%"] === null || runs["50%"] === undefined ? [] : [["judge.human_median", t("judge.human_runs", { half: runs["50%"], most: runs["95%"], n: human.excerpts })]]),
    ...(human.share_copied === null || human.share_copied === undefined ? [] : [["judge.human_share", percent(human.share_copied)]]),
  ];
  return [el("p", { class: `verdict ${level(found)}`, text: verdict(found) }), figures(rows)];
}

function classified(found) {
  const rows = Object.entries(found.probabilities).sort((a, b) => b[1] - a[1]);
  const shown = rows.slice(0, 8).map(([name, share]) => [t(`judge.class.${name}`) === `judge.class.${name}` ? name : t(`judge.class.${name}`), share]);
  const sure = t("judge.sure", { bits: number(found.entropy, { maximumFractionDigits: 2 }), most: number(Math.log2(rows.length), { maximumFractionDigits: 2 }) });
  return [
    shares(shown, { label: t("judge.probabilities"), show: percent, most: 1 }),
    el("p", { class: "hint", text: `${found.model} · ${sure}` }),
    ...found.warnings.map((warning) => el("p", { class: "hint warning", text: warning })),
  ];
}

function ranges(tracks) {
  const rows = tracks.map((track) =>
    el(
      "tr",
      {},
      el("th", { scope: "row", text: track.track || track.instrument }),
      el("td", { text: track.instrument }),
      el("td", { class: "number", text: number(track.n_notes) }),
      el("td", { text: track.lowest_name ? `${track.lowest_name} – ${track.highest_name}` : "–" }),
    ),
  );
  const head = ["track", "instrument", "n_notes", "range"].map((name) => el("th", { scope: "col", text: t(`judge.column.${name}`) }));
  return el("div", { class: "wide" }, el("table", {}, el("thead", {}, el("tr", {}, ...head)), el("tbody", {}, ...rows)));
}

/** @param {HTMLElement} element @param {import("./session.js").session} session @param {any} player */
export const mountJudge = (element, session, player) => new Judge(element, session, player);
