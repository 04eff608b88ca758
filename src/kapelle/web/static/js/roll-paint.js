/**
 * What stays in the picture of the roll: ground, grid, regions, notes, ruler, keys. Takes a context of a canvas that is scaled to CSS
 * pixels, a View and a scene; keeps nothing but colours it has mixed. What moves is drawn by roll-motion.js.
 */

import { mix } from "./colors.js";
import { t } from "./i18n.js";
import { firstAbove, firstAfter } from "./music.js";
import { drumRow, KEYS, MARKS, RULER } from "./roll-view.js";

const LEVELS = 8;
const FAINTEST = 0.52;
const MUTED = 0.16;
export const BLACK = new Set([1, 3, 6, 8, 10]);
const NAMES = ["C", "C♯", "D", "E♭", "E", "F", "F♯", "G", "A♭", "A", "B♭", "B"];
const ROUND_AT_MOST = 2500; // notes in sight up to which corners are rounded
const SOFT = '11px system-ui, "Segoe UI", Roboto, "Helvetica Neue", "Liberation Sans", sans-serif';
const STRONG = `600 ${SOFT}`;
const SMALL = SOFT.replace("11px", "10px");

/** The name of a pitch, C4 being 60. @param {number} pitch */
export const pitchName = (pitch) => `${NAMES[pitch % 12]}${Math.floor(pitch / 12) - 1}`;

/** The colours of the page as it is shown now. @param {Element} element */
export function colours(element) {
  const style = getComputedStyle(element);
  const value = (name) => style.getPropertyValue(name).trim();
  const own = ["ground", "panel", "shade", "beat", "bar", "octave", "ruler", "text", "muted", "white-key", "black-key", "key-line", "spark", "sounding"];
  const out = Object.fromEntries(own.map((name) => [name, value(`--roll-${name}`)]));
  out.marks = [0, 1, 2, 3, 4, 5].map((i) => value(`--roll-mark-${i}`));
  out.theme = value("--roll-mark-theme");
  out.playhead = value("--playhead");
  out.accent = value("--accent");
  out.accentLine = value("--accent-line");
  out.ink = value("--ink");
  return out;
}

/** One colour per kind of region: themes have theirs, a section and its variations (A, A1 ...) share one. */
export function markColour(marks, mark, hues) {
  if (mark.kind === "theme") return hues.theme;
  const stem = (one) => (one.kind === "section" ? one.label.replace(/[\d'\s]+$/, "") : one.label);
  const stems = [...new Set(marks.filter((one) => one.kind !== "theme").map(stem))];
  return hues.marks[stems.indexOf(stem(mark)) % hues.marks.length];
}

/** What a region is called on the page: ours in its language, others as their file says. @param {{label: string, kind: string}} mark */
export const labelOf = (mark) => (mark.label.toLowerCase() === "theme" ? t("roll.theme") : mark.label);

export class Painter {
  /** @param {import("./roll-view.js").View} view */
  constructor(view) {
    this.view = view;
    this.hues = null;
    this._mixed = new Map();
    this.drawn = 0; // notes drawn in the last picture
  }

  /** Take the colours of the page. @param {Element} element */
  recolour(element) {
    this.hues = colours(element);
    this._mixed.clear();
  }

  _shade(track, level, dimmed) {
    const key = `${track.program}/${track.variant}/${level}/${dimmed}`;
    if (!this._mixed.has(key)) {
      const share = dimmed ? MUTED : FAINTEST + ((1 - FAINTEST) * level) / (LEVELS - 1);
      this._mixed.set(key, mix(track.color, this.hues.panel, share));
    }
    return this._mixed.get(key);
  }

  // -- what stays -----------------------------------------------------------------------------------------------------------------

  /**
   * Draw everything but what moves.
   * @param {CanvasRenderingContext2D} ctx
   * @param {{music: import("./music.js").Music, dimmed: Set<string>, words: Record<string, string>}} scene
   * @param {number} dpr
   */
  still(ctx, scene, dpr) {
    const { view } = this;
    this.snap = (value) => Math.round(value * dpr) / dpr;
    this.hair = Math.max(1, Math.round(dpr)) / dpr;
    this.drawn = 0;
    ctx.fillStyle = this.hues.ground;
    ctx.fillRect(0, 0, view.width, view.height);
    const end = Math.min(view.x(scene.music.end), view.width);
    clipped(ctx, KEYS, view.top, view.timeWidth, view.pitchHeight, () => this._ground(ctx, end));
    if (view.drumRows.length > 0) this._drumGround(ctx, end, scene.words);
    this._marks(ctx, scene.music);
    this._grid(ctx, scene.music);
    clipped(ctx, KEYS, view.top, view.timeWidth, view.pitchHeight, () => {
      for (const track of scene.music.tracks) if (!track.drum) this._notes(ctx, track, scene.dimmed.has(track.id));
    });
    clipped(ctx, KEYS, view.bottom, view.timeWidth, view.height - view.bottom, () => {
      for (const track of scene.music.tracks) if (track.drum) this._notes(ctx, track, scene.dimmed.has(track.id));
    });
    this._ruler(ctx, scene);
    this._keys(ctx);
  }

  _ground(ctx, end) {
    const { view, hues } = this;
    const rows = [];
    for (let pitch = view.high; pitch >= view.low; pitch -= 1) rows.push(pitch);
    const top = view.y(view.high);
    ctx.fillStyle = hues.panel;
    ctx.fillRect(KEYS, view.top, end - KEYS, view.pitchHeight);
    ctx.fillStyle = hues.shade;
    for (const pitch of rows) if (BLACK.has(pitch % 12)) ctx.fillRect(KEYS, this.snap(view.y(pitch)), end - KEYS, view.row);
    ctx.fillStyle = hues.octave;
    for (const pitch of rows) {
      if (pitch % 12 === 0 || (view.row >= 9 && pitch % 12 === 5)) ctx.fillRect(KEYS, this.snap(view.y(pitch) + view.row), view.timeWidth, this.hair);
    }
    if (top > view.top) ctx.fillRect(KEYS, this.snap(top), end - KEYS, this.hair);
  }

  _drumGround(ctx, end, words) {
    const { view, hues } = this;
    ctx.font = SMALL;
    ctx.textAlign = "end";
    ctx.textBaseline = "middle";
    for (const [at, name] of view.drumRows.entries()) {
      const y = this.snap(view.drumY(name));
      ctx.fillStyle = at % 2 === 0 ? hues.shade : hues.panel;
      ctx.fillRect(KEYS, y, end - KEYS, view.drumRow);
      ctx.fillStyle = hues.muted;
      ctx.fillText(words[name] || "", KEYS - 6, y + view.drumRow / 2 + 0.5, KEYS - 8);
    }
  }

  _marks(ctx, music) {
    const { view, hues } = this;
    if (!view.marked) return;
    ctx.fillStyle = hues.ruler;
    ctx.fillRect(KEYS, RULER, view.timeWidth, MARKS);
    clipped(ctx, KEYS, RULER, view.timeWidth, view.height - RULER, () => {
      for (const mark of music.marks) {
        const [x, to] = [Math.max(view.x(mark.start_s), KEYS - 8), Math.min(view.x(mark.end_s), view.width + 8)];
        if (to < KEYS || x > view.width) continue;
        const hue = markColour(music.marks, mark, hues);
        ctx.fillStyle = hue;
        ctx.globalAlpha = mark.kind === "theme" ? 0.16 : 0.08;
        ctx.fillRect(x, view.top, to - x, view.height - view.top);
        ctx.globalAlpha = 1;
        ctx.beginPath();
        ctx.roundRect(x + 1, RULER + 2, Math.max(to - x - 2, 2), MARKS - 4, 4);
        ctx.fillStyle = mix(hue, hues.ruler, 0.45);
        ctx.fill();
        this._label(ctx, labelOf(mark), Math.max(x, KEYS) + 7, RULER + MARKS / 2 + 0.5, to - Math.max(x, KEYS) - 12);
      }
    });
  }

  _label(ctx, text, x, y, room) {
    ctx.font = STRONG;
    ctx.textAlign = "start";
    ctx.textBaseline = "middle";
    ctx.fillStyle = this.hues.text;
    let words = text;
    while (words && ctx.measureText(words).width > room) words = words.length > 2 ? `${words.slice(0, words.endsWith("…") ? -2 : -1)}…` : "";
    if (words) ctx.fillText(words, x, y);
  }

  _grid(ctx, music) {
    const { view, hues } = this;
    const lines = (list, hue, from, gap) => {
      let last = -Infinity;
      ctx.fillStyle = hue;
      for (let i = Math.max(0, firstAbove(list, view.left) - 1); i < list.length && list[i] <= view.left + view.span; i += 1) {
        const x = this.snap(view.x(list[i]));
        if (x < KEYS || x - last < gap) continue;
        last = x;
        ctx.fillRect(x, from, this.hair, view.bottom - from);
        if (view.drumRows.length > 0) ctx.fillRect(x, view.bottom + 6, this.hair, view.drumHeight - 6);
      }
    };
    lines(music.beats, hues.beat, view.top, 9);
    lines(music.bars, hues.bar, view.top, 5);
    lines(barsToCome(music, view), hues.beat, view.top, 5);
  }

  /** The rectangle of a note: [x, y, width, height]. */
  box(track, note) {
    const { view } = this;
    const x = view.x(note.start);
    if (track.drum) {
      const width = Math.max(2.5, Math.min(8, view.pps * 0.09));
      return [x, view.drumY(drumRow(note.pitch)) + 1.5, width, view.drumRow - 3];
    }
    const width = note.duration * view.pps;
    const gap = view.row >= 5 ? 1 : 0;
    return [x, view.y(note.pitch) + gap / 2, Math.max(1.6, width - (width > 4 ? 1 : 0)), view.row - gap];
  }

  _notes(ctx, track, dimmed) {
    const { view } = this;
    const until = view.left + view.span;
    const first = track.firstAt(view.left - (track.drum ? 9 / view.pps : 0));
    const last = firstAfter(track.notes, until);
    const round = last - first <= ROUND_AT_MOST && view.row >= 6;
    const named = view.row >= 15 && !track.drum && !dimmed;
    for (let i = first; i < last; i += 1) {
      const note = track.notes[i];
      const [x, y, width, height] = this.box(track, note);
      if (x + width < KEYS || y + height < view.top || (!track.drum && y > view.bottom)) continue;
      ctx.fillStyle = this._shade(track, note.velocity >> 4, dimmed);
      if (round && width > 3) {
        ctx.beginPath();
        ctx.roundRect(x, y, width, height, Math.min(3, height / 3, width / 2));
        ctx.fill();
      } else ctx.fillRect(x, y, width, height);
      if (named && width > 30) this._name(ctx, note, x, y, height);
      this.drawn += 1;
    }
  }

  _name(ctx, note, x, y, height) {
    ctx.font = SMALL;
    ctx.textAlign = "start";
    ctx.textBaseline = "middle";
    ctx.fillStyle = note.velocity >= 40 ? this.hues.panel : this.hues.text;
    ctx.fillText(pitchName(note.pitch), Math.max(x, KEYS) + 4, y + height / 2 + 0.5);
  }

  _ruler(ctx, { music, words }) {
    const { view, hues } = this;
    ctx.fillStyle = hues.ruler;
    ctx.fillRect(0, 0, view.width, RULER);
    ctx.fillRect(0, 0, KEYS, view.top);
    ctx.fillStyle = hues.bar;
    ctx.fillRect(0, view.top - this.hair, view.width, this.hair);
    ctx.textBaseline = "middle";
    ctx.textAlign = "start";
    const metres = new Map(music.metres.map(([bar, numerator, denominator]) => [bar, `${numerator}/${denominator}`]));
    clipped(ctx, KEYS, 0, view.timeWidth, RULER, () => this._numbers(ctx, music, metres));
    ctx.font = SMALL;
    ctx.fillStyle = hues.muted;
    ctx.textAlign = "end";
    ctx.fillText(words.bar || "", KEYS - 7, RULER / 2, KEYS - 10);
  }

  _numbers(ctx, music, metres) {
    const { view, hues } = this;
    const bars = [...music.bars.slice(0, -1), ...barsToCome(music, view)];
    const known = music.bars.length - 1;
    const typical = known > 0 ? (music.bars[known] / known) * view.pps : 60;
    let step = 1;
    while (typical * step < 40) step *= 2;
    let free = -Infinity;
    for (let i = Math.max(0, firstAbove(bars, view.left) - 2); i < bars.length && bars[i] <= view.left + view.span; i += 1) {
      const x = this.snap(view.x(bars[i]));
      const metre = i > 0 || metres.size > 1 ? metres.get(i) : "";
      ctx.fillStyle = hues.bar;
      if (i % step === 0) ctx.fillRect(x, RULER - 8, this.hair, 8);
      if ((i % step !== 0 && !metre) || x < free || x + 3 < KEYS) continue;
      ctx.font = STRONG;
      ctx.fillStyle = i < known ? hues.text : hues.muted;
      ctx.fillText(String(i + 1), x + 4, RULER / 2);
      free = x + 10 + ctx.measureText(String(i + 1)).width;
      if (metre) {
        ctx.font = SOFT;
        ctx.fillStyle = hues.muted;
        ctx.fillText(metre, free, RULER / 2);
        free += 8 + ctx.measureText(metre).width;
      }
    }
  }

  _keys(ctx) {
    const { view, hues } = this;
    ctx.fillStyle = hues.ruler;
    ctx.fillRect(0, view.top, KEYS, view.pitchHeight);
    clipped(ctx, 0, view.top, KEYS, view.pitchHeight, () => {
      for (let pitch = view.low; pitch <= view.high; pitch += 1) this.key(ctx, pitch, null);
    });
    ctx.fillStyle = hues.bar;
    ctx.fillRect(KEYS - this.hair, view.top, this.hair, view.height - view.top);
  }

  /** One key of the keyboard at the left, pressed in `colour` if there is one. */
  key(ctx, pitch, colour) {
    const { view, hues } = this;
    const y = view.y(pitch);
    const black = BLACK.has(pitch % 12);
    ctx.fillStyle = colour || (black ? hues["black-key"] : hues["white-key"]);
    if (black) ctx.fillRect(0, y, KEYS * 0.6, view.row);
    else {
      const above = BLACK.has((pitch + 1) % 12) && pitch < view.high ? view.row / 2 : 0;
      const below = BLACK.has((pitch + 11) % 12) && pitch > view.low ? view.row / 2 : 0;
      if (colour) {
        ctx.fillRect(0, y, KEYS - this.hair, view.row);
        ctx.fillRect(KEYS * 0.6, y - above, KEYS * 0.4 - this.hair, view.row + above + below);
      } else {
        ctx.fillRect(0, y, KEYS, view.row);
        ctx.fillRect(KEYS * 0.6, y - above, KEYS * 0.4, view.row + above + below);
        ctx.fillStyle = hues["key-line"];
        ctx.fillRect(below ? KEYS * 0.6 : 0, this.snap(y + view.row + below), KEYS, this.hair);
      }
    }
    if (pitch % 12 === 0 && view.row >= 4) {
      ctx.font = SMALL;
      ctx.fillStyle = colour ? hues.panel : "#3a4150";
      ctx.textAlign = "end";
      ctx.textBaseline = "middle";
      ctx.fillText(pitchName(pitch), KEYS - 5, y + view.row / 2 + 0.5);
    }
  }
}

/** Draw within a rectangle alone. */
export function clipped(ctx, x, y, width, height, draw) {
  ctx.save();
  ctx.beginPath();
  ctx.rect(x, y, width, height);
  ctx.clip();
  draw();
  ctx.restore();
}

/** Where the bars that are still to be composed will about begin. */
function barsToCome(music, view) {
  const known = music.bars.length - 1;
  if (!music.live || known < 1) return [];
  const length = music.bars[known] / known;
  const out = [];
  for (let i = 0; i < music.nBars - known; i += 1) {
    const at = music.bars[known] + i * length;
    if (at > view.left + view.span) break;
    out.push(at);
  }
  return out;
}
