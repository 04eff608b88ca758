/**
 * A piece at a glance: its notes drawn small, in the colours of their instruments. Drawn when it comes into sight, from notes that are
 * fetched once, a few at a time, and kept for as many pieces as fit on several screens.
 */

import { get } from "./api.js";
import { on } from "./bus.js";
import { el } from "./dom.js";
import { colorOf } from "./music.js";

const KEPT = 400; // pieces whose notes are remembered
const AT_ONCE = 3; // requests under way
const MOST = 1500; // notes drawn of one piece: more than pixels, mostly
const kept = new Map();
const waiting = [];
let running = 0;

/**
 * A canvas that shows a piece.
 * @param {string} id
 * @param {{label?: string}} [options]
 */
export function miniature(id, { label = "" } = {}) {
  const canvas = el("canvas", { class: "miniature", "data-piece": id, role: "img", "aria-label": label || null, "aria-hidden": label ? null : "true" });
  seen.observe(canvas);
  return canvas;
}

const seen = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    target.inSight = isIntersecting;
    if (isIntersecting) want(target);
  }
}, { rootMargin: "80px" });

const sizes = new ResizeObserver((entries) => {
  for (const { target } of entries) if (target.inSight && kept.has(target.dataset.piece)) draw(target, kept.get(target.dataset.piece));
});

function want(canvas) {
  const id = canvas.dataset.piece;
  if (kept.has(id)) return show(canvas, kept.get(id));
  if (!waiting.includes(canvas)) waiting.push(canvas);
  next();
}

function next() {
  while (running < AT_ONCE && waiting.length > 0) {
    const canvas = waiting.pop(); // the newest: where the user is now
    if (!canvas.isConnected || !canvas.inSight) continue;
    running += 1;
    fetchNotes(canvas.dataset.piece)
      .then((shape) => show(canvas, shape), () => canvas.classList.add("failed"))
      .finally(() => {
        running -= 1;
        next();
      });
  }
}

async function fetchNotes(id) {
  if (!kept.has(id)) {
    remember(id, shapeOf(await get(`/pieces/${id}/notes`)));
  }
  return kept.get(id);
}

function remember(id, shape) {
  kept.set(id, shape);
  if (kept.size > KEPT) kept.delete(kept.keys().next().value);
}

/** What is drawn: notes as [start 0..1, length 0..1, pitch 0..1, program], at most `MOST`. */
function shapeOf({ tracks, duration_s: duration }) {
  const all = tracks.flatMap((track) => track.notes.map(([start, length, pitch]) => [start, length, pitch, track.program]));
  const step = Math.max(1, Math.ceil(all.length / MOST));
  const some = all.filter((_, at) => at % step === 0);
  const pitches = some.filter((note) => note[3] >= 0).map((note) => note[2]);
  let [low, high] = pitches.length ? [Math.min(...pitches), Math.max(...pitches)] : [36, 84];
  if (high - low < 24) [low, high] = [(low + high) / 2 - 12, (low + high) / 2 + 12];
  const whole = Math.max(duration, 0.001);
  const height = (pitch, program) => (program < 0 ? 0 : 0.08 + (0.92 * (pitch - low)) / (high - low));
  return { notes: some.map(([start, length, pitch, program]) => [start / whole, length / whole, height(pitch, program), program]) };
}

function show(canvas, shape) {
  sizes.observe(canvas);
  draw(canvas, shape);
}

/** Draw a shape into a canvas, as large as it stands on the page. */
export function draw(canvas, shape) {
  const { clientWidth: width, clientHeight: height } = canvas;
  if (!width || !height) return;
  const ratio = Math.min(window.devicePixelRatio || 1, 3);
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const pen = canvas.getContext("2d");
  pen.scale(ratio, ratio);
  const thick = Math.max(1, Math.min(3, height / 22));
  for (const [start, length, pitch, program] of shape.notes) {
    pen.fillStyle = colorOf(program);
    pen.globalAlpha = program < 0 ? 0.55 : 0.9;
    pen.fillRect(start * width, (1 - pitch) * (height - thick), Math.max(1, length * width - 0.3), thick);
  }
  canvas.dataset.drawn = String(shape.notes.length);
}

function redraw() {
  for (const canvas of document.querySelectorAll("canvas.miniature")) {
    if (kept.has(canvas.dataset.piece)) draw(canvas, kept.get(canvas.dataset.piece));
  }
}

on("theme", redraw);
window.addEventListener("kapelle-theme", () => requestAnimationFrame(redraw));
window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => requestAnimationFrame(redraw));
