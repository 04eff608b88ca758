/**
 * Elements in one line each. Text always enters the page as text, never as markup: nothing here parses HTML.
 */

const SVG = "http://www.w3.org/2000/svg";

/** Where the studio stands: "/" or the path that a proxy gives it. */
export const ROOT = new URL("../../", import.meta.url).pathname;

/**
 * An element with attributes and children.
 *
 * Attributes: `class`, `for`, `aria-*`, `data-*` ... as in HTML; `true` sets an empty attribute, `false`, `null` and `undefined` leave it
 * out; `on: {click: fn}` listens; `text` is its text; `prop: {value: 3}` sets properties.
 * @param {string} tag
 * @param {Record<string, any>} [attributes]
 * @param {...(Node|string|null|undefined)} children
 * @returns {any}
 */
export function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "on") for (const [event, fn] of Object.entries(value)) made.addEventListener(event, fn);
    else if (name === "text") made.textContent = value;
    else if (name === "prop") Object.assign(made, value);
    else made.setAttribute(name, value === true ? "" : String(value));
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

/**
 * A drawing of icons.svg, in the colour of the text beside it; silent to screen readers.
 * @param {string} name
 * @returns {SVGSVGElement}
 */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  svg.setAttribute("focusable", "false");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `${ROOT}static/icons.svg#${name}`);
  svg.append(use);
  return svg;
}

/**
 * Change which drawing an icon shows.
 * @param {Element|null} svg
 * @param {string} name
 */
export function setIcon(svg, name) {
  svg?.querySelector("use")?.setAttribute("href", `${ROOT}static/icons.svg#${name}`);
}

/**
 * Name a control that shows no words: for screen readers, and for those who point at it.
 * @param {Element} control
 * @param {string} text
 */
export function named(control, text) {
  control.setAttribute("aria-label", text);
  control.title = text;
}

/**
 * A list of names and values.
 * @param {[string, string|Node][]} rows
 */
export function facts(rows) {
  return el("dl", { class: "facts" }, ...rows.flatMap(([name, value]) => [el("dt", { text: name }), el("dd", {}, value)]));
}

/** @param {string} id @returns {any} */
export const byId = (id) => document.getElementById(id);

/** Seconds as m:ss. @param {number} seconds */
export function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds || 0));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}
