/**
 * What moves over the picture of the roll: loop, notes that arrive or sound, pressed keys, playhead; and the strip of the whole piece. Takes
 * a context of a canvas that is scaled to CSS pixels and a scene; the places and colours are those of roll-paint.js.
 */

import { mix } from "./colors.js";
import { firstAfter } from "./music.js";
import { BLACK, clipped, markColour } from "./roll-paint.js";
import { KEYS, RULER } from "./roll-view.js";

const RINGS_S = 0.11; // how long a drum is shown as struck

export class Motion {
  /** @param {import("./roll-paint.js").Painter} painter */
  constructor(painter) {
    this.painter = painter;
    this.view = painter.view;
  }

  get hues() {
    return this.painter.hues;
  }

  /**
   * Draw what lies over the picture.
   * @param {CanvasRenderingContext2D} ctx
   * @param {{music: any, dimmed: Set<string>, position: number, playing: boolean, loop: number[]|null, sparks: any[], now: number, front: boolean}} scene
   */
  moving(ctx, scene) {
    const { view } = this;
    ctx.clearRect(0, 0, view.width, view.height);
    clipped(ctx, KEYS, 0, view.timeWidth, view.height, () => {
      if (scene.loop) this._loop(ctx, scene.loop);
      if (scene.front) this._front(ctx, scene.music.end);
    });
    clipped(ctx, KEYS, view.top, view.timeWidth, view.height - view.top, () => {
      for (const spark of scene.sparks) this._spark(ctx, spark, scene.now);
      if (scene.playing) this._sounding(ctx, scene);
    });
    if (scene.playing) this._pressed(ctx, scene);
    if (scene.music.nNotes > 0) {
      clipped(ctx, KEYS - 7, 0, view.timeWidth + 7, view.height, () => this._playhead(ctx, view.x(scene.position)));
    }
  }

  _loop(ctx, [from, to]) {
    const { view, hues } = this;
    const [x, end] = [view.x(from), view.x(to)];
    ctx.fillStyle = hues.accent;
    ctx.globalAlpha = 0.1;
    ctx.fillRect(x, RULER, end - x, view.height - RULER);
    ctx.globalAlpha = 0.38;
    ctx.fillRect(x, 0, end - x, RULER - 1);
    ctx.globalAlpha = 1;
    ctx.fillStyle = hues.accentLine;
    ctx.fillRect(x, 0, 2, view.height);
    ctx.fillRect(end - 2, 0, 2, view.height);
  }

  _front(ctx, seconds) {
    const { view, hues } = this;
    const x = view.x(seconds);
    const glow = ctx.createLinearGradient(x - 60, 0, x, 0);
    glow.addColorStop(0, `${hues.accent}00`);
    glow.addColorStop(1, `${hues.accent}38`);
    ctx.fillStyle = glow;
    ctx.fillRect(x - 60, view.top, 60, view.height - view.top);
    ctx.fillStyle = hues.accentLine;
    ctx.fillRect(x - 1, view.top, 1, view.height - view.top);
  }

  _spark(ctx, { track, note, born, life }, now) {
    const left = 1 - (now - born) / life;
    if (left <= 0) return;
    const [x, y, width, height] = this.painter.box(track, note);
    const grown = 5 * left;
    ctx.globalAlpha = left * 0.42;
    ctx.fillStyle = track.color;
    ctx.beginPath();
    ctx.roundRect(x - grown, y - grown, width + 2 * grown, height + 2 * grown, grown + 1);
    ctx.fill();
    ctx.globalAlpha = left * 0.9;
    ctx.fillStyle = this.hues.spark;
    ctx.fillRect(x, y, width, height);
    ctx.globalAlpha = 1;
  }

  _sounding(ctx, { music, dimmed, position }) {
    for (const track of music.tracks) {
      if (dimmed.has(track.id)) continue;
      const list = track.drum ? struck(track, position) : track.sounding(position);
      for (const note of list) {
        const [x, y, width, height] = this.painter.box(track, note);
        ctx.globalAlpha = 0.3;
        ctx.fillStyle = track.color;
        ctx.fillRect(x - 3, y - 3, width + 6, height + 6);
        ctx.globalAlpha = 1;
        ctx.fillStyle = mix(track.color, this.hues.sounding, 0.7);
        ctx.fillRect(x - 1, y - 1, width + 2, height + 2);
      }
    }
  }

  _pressed(ctx, { music, dimmed, position }) {
    const { view } = this;
    clipped(ctx, 0, view.top, KEYS, view.pitchHeight, () => {
      const pressed = new Map();
      for (const track of music.tracks) {
        if (track.drum || dimmed.has(track.id)) continue;
        for (const { pitch } of track.sounding(position)) pressed.set(pitch, track.color);
      }
      const order = [...pressed.keys()].sort((a, b) => BLACK.has(a % 12) - BLACK.has(b % 12));
      for (const pitch of order) {
        this.painter.key(ctx, pitch, pressed.get(pitch));
        for (const beside of [pitch - 1, pitch + 1]) {
          if (!BLACK.has(pitch % 12) && BLACK.has((beside + 12) % 12)) this.painter.key(ctx, beside, pressed.get(beside) || null);
        }
      }
    });
  }

  _playhead(ctx, x) {
    const { view, hues } = this;
    ctx.fillStyle = hues.playhead;
    ctx.fillRect(x - 0.75, RULER - 6, 1.5, view.height - RULER + 6);
    ctx.beginPath();
    ctx.moveTo(x - 6, RULER - 13);
    ctx.lineTo(x + 6, RULER - 13);
    ctx.lineTo(x + 6, RULER - 8);
    ctx.lineTo(x, RULER - 2);
    ctx.lineTo(x - 6, RULER - 8);
    ctx.closePath();
    ctx.fill();
  }

  // -- the whole piece in a strip ---------------------------------------------------------------------------------------------------

  /** Draw all of the piece into a strip of this size. */
  strip(ctx, music, dimmed, width, height) {
    const { hues, view } = this;
    ctx.fillStyle = hues.ground;
    ctx.fillRect(0, 0, width, height);
    const [scale, pitches] = [width / Math.max(music.whole, 1), view.high - view.low + 1];
    for (const mark of music.marks) {
      ctx.fillStyle = markColour(music.marks, mark, hues);
      ctx.globalAlpha = mark.kind === "theme" ? 0.3 : 0.14;
      ctx.fillRect(mark.start_s * scale, 0, (mark.end_s - mark.start_s) * scale, height);
    }
    ctx.globalAlpha = 0.85;
    for (const track of music.tracks) {
      ctx.fillStyle = dimmed.has(track.id) ? mix(track.color, hues.ground, 0.2) : track.color;
      for (const { start, duration, pitch } of track.notes) {
        const share = track.drum ? 0.96 : (view.high - pitch) / pitches;
        ctx.fillRect(start * scale, 2 + share * (height - 5), Math.max(track.drum ? 0.8 : duration * scale, 0.8), 1.5);
      }
    }
    ctx.globalAlpha = 1;
  }

  /** The strip with the part that can be seen, the loop and the playhead. */
  stripNow(ctx, picture, { view, music, loop, position }, width, height) {
    const { hues } = this;
    const scale = width / Math.max(music.whole, 1);
    ctx.clearRect(0, 0, width, height);
    ctx.drawImage(picture, 0, 0, width, height);
    const [from, to] = [Math.max(0, view.left * scale), Math.min(width, (view.left + view.span) * scale)];
    ctx.fillStyle = hues.ground;
    ctx.globalAlpha = 0.55;
    ctx.fillRect(0, 0, from, height);
    ctx.fillRect(to, 0, width - to, height);
    ctx.globalAlpha = 1;
    ctx.strokeStyle = hues.muted;
    ctx.lineWidth = 1;
    ctx.strokeRect(from + 0.5, 0.5, Math.max(to - from - 1, 2), height - 1);
    if (loop) {
      ctx.fillStyle = hues.accentLine;
      ctx.fillRect(loop[0] * scale, height - 3, Math.max((loop[1] - loop[0]) * scale, 2), 3);
    }
    ctx.fillStyle = hues.playhead;
    ctx.fillRect(position * scale - 0.75, 0, 1.5, height);
  }
}

/** Drums ring on for a moment after they were struck. */
function struck(track, position) {
  const last = firstAfter(track.notes, position);
  const out = [];
  for (let i = last - 1; i >= 0 && position - track.notes[i].start < RINGS_S; i -= 1) out.push(track.notes[i]);
  return out;
}

