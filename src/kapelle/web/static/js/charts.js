/**
 * Small drawings of figures as SVG: bars of a series, and bars by name. Every figure stands in a text alternative too, so that a drawing
 * is one picture with a name to a screen reader.
 */

import { el } from "./dom.js";

const SVG = "http://www.w3.org/2000/svg";

function draw(tag, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
  made.append(...children);
  return made;
}

/**
 * A series as bars, one beside the other, with a line at the mean.
 * @param {number[]} values
 * @param {{label: string, names?: (at: number) => string, mean?: number, every?: number}} how names: below a bar, each `every` of them
 */
export function bars(values, { label, names = (at) => String(at + 1), mean = undefined, every = 0 }) {
  const [width, height, foot] = [600, 96, 16];
  const most = Math.max(...values, 1e-9);
  const step = width / Math.max(values.length, 1);
  const svg = draw("svg", { viewBox: `0 0 ${width} ${height + foot}`, class: "chart", role: "img", "aria-label": label, preserveAspectRatio: "none" });
  svg.append(
    ...values.map((value, at) => {
      const tall = (height - 4) * (value / most);
      const bar = draw("rect", { x: at * step + Math.min(1, step / 6), y: height - tall, width: Math.max(step - Math.min(2, step / 3), 0.6), height: tall, class: "bar" });
      bar.append(draw("title", {}, `${names(at)}: ${Math.round(1000 * value) / 1000}`));
      return bar;
    }),
  );
  if (mean) svg.append(draw("line", { x1: 0, x2: width, y1: height - (height - 4) * (mean / most), y2: height - (height - 4) * (mean / most), class: "mean" }));
  const gap = every || Math.max(1, Math.ceil(values.length / 16));
  const feet = values.map((_, at) => at).filter((at) => at % gap === 0);
  return el("figure", { class: "bars" }, svg, el("div", { class: "feet", "aria-hidden": "true" }, ...feet.map((at) => foot_(names(at), (at + 0.5) / values.length))));
}

function foot_(text, at) {
  const made = el("span", { text });
  made.style.insetInlineStart = `${100 * at}%`;
  return made;
}

/**
 * Shares by name, the largest first if `sorted`, as rows of name, bar and figure.
 * @param {[string, number][]} rows
 * @param {{label: string, show: (value: number) => string, most?: number}} how
 */
export function shares(rows, { label, show, most = 0 }) {
  const top = most || Math.max(...rows.map(([, value]) => value), 1e-9);
  return el(
    "dl",
    { class: "shares", "aria-label": label },
    ...rows.flatMap(([name, value]) => {
      const inner = el("span");
      inner.style.inlineSize = `${Math.max(0, Math.min(100, (100 * value) / top))}%`;
      return [el("dt", { text: name }), el("dd", {}, el("span", { class: "meter", "aria-hidden": "true" }, inner), el("span", { class: "number", text: show(value) }))];
    }),
  );
}
