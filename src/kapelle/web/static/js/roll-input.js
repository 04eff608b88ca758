/**
 * Hands and keys on the roll: drag to move, click to go there, shift-drag or drag on the ruler for a loop, wheel and pinch to zoom, arrows
 * and signs for those who use the keyboard, and the strip of the whole piece.
 */

import { t } from "./i18n.js";
import { programName } from "./instruments.js";
import { pitchName } from "./roll-paint.js";
import { drumRow, KEYS, MARKS, RULER } from "./roll-view.js";

const STILL_PX = 5; // a hand that moves less has clicked
const EDGE_PX = 8;
const SNAP_PX = 9;
const SHORTEST_LOOP_S = 0.1;
const calm = window.matchMedia("(prefers-reduced-motion: reduce)");

/** Let hands and keys reach `roll`. @param {any} roll */
export function takeInput(roll) {
  const { canvas } = roll;
  const hands = new Map();
  canvas.addEventListener("pointerdown", (event) => down(roll, hands, event));
  canvas.addEventListener("pointermove", (event) => move(roll, hands, event));
  canvas.addEventListener("pointerup", (event) => up(roll, hands, event));
  canvas.addEventListener("pointercancel", (event) => up(roll, hands, event, true));
  canvas.addEventListener("pointerleave", () => (roll.hint.hidden = true));
  canvas.addEventListener("dblclick", (event) => loopRegion(roll, place(canvas, event)));
  canvas.addEventListener("wheel", (event) => wheel(roll, event), { passive: false });
  canvas.addEventListener("keydown", (event) => key(roll, event) && event.preventDefault());
  strip(roll);
}

function place(canvas, event) {
  const box = canvas.getBoundingClientRect();
  return { x: event.clientX - box.left, y: event.clientY - box.top };
}

// -- pointers -----------------------------------------------------------------------------------------------------------------------

function down(roll, hands, event) {
  if (event.button !== 0 || roll.music.nNotes === 0) return;
  const at = place(roll.canvas, event);
  roll.canvas.setPointerCapture(event.pointerId);
  hands.set(event.pointerId, { ...at, first: at, moved: false, speed: 0, time: event.timeStamp, kind: kindOf(roll, at, event) });
  roll.held = true;
  roll.thrown = 0;
  roll.hint.hidden = true;
  if (hands.size === 2) for (const hand of hands.values()) [hand.moved, hand.kind] = [true, "pinch"];
}

function kindOf(roll, { x, y }, event) {
  const edge = roll.loop?.findIndex((seconds) => Math.abs(roll.view.x(seconds) - x) <= EDGE_PX) ?? -1;
  if (edge >= 0 && y <= RULER) return edge === 0 ? "loop-start" : "loop-end";
  return event.shiftKey || (y <= RULER && x >= KEYS) ? "loop" : "pan";
}

function move(roll, hands, event) {
  const at = place(roll.canvas, event);
  const hand = hands.get(event.pointerId);
  if (!hand) return point(roll, at, event);
  if (!hand.moved && Math.hypot(at.x - hand.first.x, at.y - hand.first.y) < STILL_PX) return undefined;
  hand.moved = true;
  if (hand.kind === "pinch") pinch(roll, hands, event.pointerId, at);
  else if (hand.kind === "pan") {
    roll.canvas.classList.add("panning");
    roll.pan(hand.x - at.x, hand.y - at.y);
    const passed = Math.max(event.timeStamp - hand.time, 1);
    hand.speed = 0.6 * ((hand.x - at.x) / passed) + 0.4 * hand.speed;
    hand.time = event.timeStamp;
  } else loop(roll, hand, at, event.altKey);
  [hand.x, hand.y] = [at.x, at.y];
  return undefined;
}

function up(roll, hands, event, broken = false) {
  const hand = hands.get(event.pointerId);
  hands.delete(event.pointerId);
  roll.canvas.classList.remove("panning");
  if (hands.size === 0) roll.held = false;
  if (!hand || broken) return;
  if (!hand.moved) click(roll, hand);
  else if (hand.kind === "pan" && event.pointerType === "touch" && event.timeStamp - hand.time < 60 && Math.abs(hand.speed) > 0.25 && !calm.matches) roll.thrown = hand.speed;
  else if (hand.kind.startsWith("loop") && roll.loop) {
    const [from, to] = roll.loop;
    roll.setLoop(to - from < SHORTEST_LOOP_S ? null : [from, to]);
  }
  roll.request();
}

function click(roll, { first }) {
  if (first.x < KEYS) return;
  const mark = markAt(roll, first);
  roll.seek(mark ? mark.start_s : roll.view.time(first.x));
  roll.setFollow(true);
}

function markAt(roll, { x, y }) {
  if (!roll.view.marked || y <= RULER || y > RULER + MARKS) return null;
  const seconds = roll.view.time(x);
  return roll.music.marks.findLast((mark) => mark.start_s <= seconds && seconds < mark.end_s) || null;
}

function loopRegion(roll, at) {
  const mark = markAt(roll, at);
  if (mark) roll.setLoop([mark.start_s, mark.end_s]);
}

function loop(roll, hand, at, free) {
  const snapped = (x) => snap(roll, Math.max(x, KEYS), free);
  let [from, to] = [snapped(hand.first.x), snapped(at.x)];
  if (hand.kind !== "loop") {
    const other = hand.kind === "loop-start" ? roll.loop[1] : roll.loop[0];
    [from, to] = [other, snapped(at.x)];
    hand.kind = to < other ? "loop-start" : "loop-end";
  }
  roll.loop = [Math.min(from, to), Math.max(from, to)];
  roll.request();
}

/** The second at `x`, at a bar line or beat if one is near. */
function snap(roll, x, free) {
  const { view, music } = roll;
  const at = Math.max(0, Math.min(view.time(x), music.end));
  if (free) return at;
  const lines = music.beats.length > 0 && view.pps * (music.beats[1] || 1) > 3 * SNAP_PX ? music.beats : music.bars;
  const nearest = lines.reduce((best, line) => (Math.abs(line - at) < Math.abs(best - at) ? line : best), Infinity);
  return Math.abs(nearest - at) * view.pps <= SNAP_PX ? nearest : at;
}

function pinch(roll, hands, id, at) {
  const other = [...hands.entries()].find(([one]) => one !== id)?.[1];
  const hand = hands.get(id);
  if (!other) return;
  const spread = (one) => [Math.max(20, Math.abs(one.x - other.x)), Math.max(20, Math.abs(one.y - other.y))];
  const [before, now] = [spread(hand), spread(at)];
  const middle = { x: (at.x + other.x) / 2, y: (at.y + other.y) / 2 };
  roll.zoomTime(now[0] / before[0], middle.x);
  if (now[1] > 60) roll.zoomPitch(now[1] / before[1], middle.y);
  roll.pan((hand.x - at.x) / 2, (hand.y - at.y) / 2);
}

/** Say what is under the pointer. */
function point(roll, at, event) {
  const { view, music, canvas, hint } = roll;
  const onEdge = roll.loop?.some((seconds) => Math.abs(view.x(seconds) - at.x) <= EDGE_PX) && at.y <= RULER;
  canvas.style.cursor = onEdge ? "ew-resize" : at.y <= RULER ? "col-resize" : "";
  const found = event.pointerType === "mouse" && at.x >= KEYS ? noteAt(roll, at) : null;
  hint.hidden = !found;
  if (!found) return;
  const { track, note } = found;
  const what = track.drum ? t(`roll.drum.${drumRow(note.pitch)}`) : pitchName(note.pitch);
  hint.textContent = [what, programName(track.program), t("roll.hint", { bar: music.barAt(note.start) + 1, velocity: note.velocity })].join(" · ");
  const width = hint.offsetWidth;
  hint.style.transform = `translate(${Math.round(Math.min(at.x + 12, view.width - width - 6))}px, ${Math.round(Math.max(at.y - 32, 2))}px)`;
}

function noteAt(roll, { x, y }) {
  const { view, music, painter } = roll;
  const seconds = view.time(x);
  for (const track of [...music.tracks].reverse()) {
    for (let i = track.firstAt(seconds - 8 / view.pps); i < track.notes.length && track.notes[i].start <= seconds; i += 1) {
      const [left, top, width, height] = painter.box(track, track.notes[i]);
      if (x >= left && x <= left + width && y >= top && y <= top + height) return { track, note: track.notes[i] };
    }
  }
  return null;
}

// -- wheel --------------------------------------------------------------------------------------------------------------------------

function wheel(roll, event) {
  if (roll.music.nNotes === 0) return;
  const unit = event.deltaMode === 1 ? 18 : event.deltaMode === 2 ? roll.view.height : 1;
  const at = place(roll.canvas, event);
  let [dx, dy] = [event.deltaX * unit, event.deltaY * unit];
  if (event.ctrlKey || event.metaKey) {
    const factor = Math.exp(-Math.max(-90, Math.min(90, dy || dx)) * (event.deltaMode === 0 && Math.abs(dy) < 40 ? 0.01 : 0.004));
    if (event.shiftKey || event.altKey || at.x < KEYS) roll.zoomPitch(factor, at.y);
    else roll.zoomTime(factor, Math.max(at.x, KEYS));
    event.preventDefault();
    return;
  }
  if (event.shiftKey && dx === 0) [dx, dy] = [dy, 0];
  const page = document.scrollingElement;
  const scrolls = page.scrollHeight > page.clientHeight + 1 && getComputedStyle(document.body).overflowY !== "hidden";
  if (Math.abs(dx) < Math.abs(dy) && !roll.view.tall) {
    if (scrolls) return; // the page's own scrolling
    [dx, dy] = [dy, 0];
  }
  const before = [roll.view.left, roll.view.scroll];
  if (Math.abs(dx) >= Math.abs(dy)) roll.pan(dx, 0);
  else roll.pan(0, dy);
  if (!scrolls || before[0] !== roll.view.left || before[1] !== roll.view.scroll) event.preventDefault();
}

// -- keys ---------------------------------------------------------------------------------------------------------------------------

function key(roll, event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return false;
  const step = event.shiftKey ? { ArrowLeft: -1, ArrowRight: 1 }[event.key] : undefined;
  const acts = {
    "+": () => roll.zoomTime(1.35),
    "=": () => roll.zoomTime(1.35),
    "-": () => roll.zoomTime(1 / 1.35),
    _: () => roll.zoomTime(1 / 1.35),
    0: () => roll.fit(),
    ArrowUp: () => (event.shiftKey ? roll.zoomPitch(1.2) : roll.pan(0, -3 * roll.view.row)),
    ArrowDown: () => (event.shiftKey ? roll.zoomPitch(1 / 1.2) : roll.pan(0, 3 * roll.view.row)),
    PageUp: () => roll.pan(-roll.view.timeWidth * 0.8, 0),
    PageDown: () => roll.pan(roll.view.timeWidth * 0.8, 0),
    Enter: () => roll.setFollow(true),
    Escape: () => roll.setLoop(null),
    "[": () => roll.setLoop([roll.position, Math.max(roll.loop?.[1] ?? roll.music.end, roll.position + SHORTEST_LOOP_S)]),
    "]": () => roll.setLoop([Math.min(roll.loop?.[0] ?? 0, roll.position), Math.max(roll.position, SHORTEST_LOOP_S)]),
  };
  const act = step ? () => roll.pan(step * roll.view.timeWidth * 0.25, 0) : acts[event.key];
  act?.();
  return Boolean(act);
}

// -- the strip ----------------------------------------------------------------------------------------------------------------------

function strip(roll) {
  const { map } = roll;
  let grabbed = null;
  const seconds = (event) => ((event.clientX - map.getBoundingClientRect().left) / map.getBoundingClientRect().width) * Math.max(roll.music.whole, 1);
  map.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    map.setPointerCapture(event.pointerId);
    const at = seconds(event);
    const { left, span } = roll.view;
    grabbed = at >= left && at <= left + span ? at - left : span / 2;
    roll.pan((at - grabbed - left) * roll.view.pps, 0);
  });
  map.addEventListener("pointermove", (event) => {
    if (grabbed !== null) roll.pan((seconds(event) - grabbed - roll.view.left) * roll.view.pps, 0);
  });
  for (const name of ["pointerup", "pointercancel"]) map.addEventListener(name, () => (grabbed = null));
}
