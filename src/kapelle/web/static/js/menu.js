/**
 * A menu at a button: commands in a list over everything else, for mouse, finger, keyboard and screen reader.
 *
 * Arrows, Home and End move, letters jump, Enter chooses, Escape or a click elsewhere closes; the focus goes back to the button.
 */

import { el, icon } from "./dom.js";

/**
 * @typedef {{label: string, about?: string, icon?: string, href?: string, download?: string, danger?: boolean, disabled?: boolean,
 *   checked?: boolean, key?: string, run?: (event: Event) => void}|{heading: string}|null} Entry null: a line
 */

let opened = null;

/** Close the menu that is open, if one is. */
function closeMenu() {
  opened?.close();
}

/**
 * Make `button` open a menu.
 * @param {HTMLElement} button
 * @param {() => Entry[]|Promise<Entry[]>} entries asked for whenever it opens
 */
export function menuAt(button, entries) {
  button.setAttribute("aria-haspopup", "menu");
  button.setAttribute("aria-expanded", "false");
  button.addEventListener("click", async (event) => {
    event.stopPropagation();
    if (opened?.at === button) closeMenu();
    else openMenu(button, await entries());
  });
  button.addEventListener("keydown", async (event) => {
    if (event.key !== "ArrowDown") return;
    event.preventDefault();
    event.stopPropagation();
    openMenu(button, await entries());
  });
}

/**
 * Open a menu at an element now.
 * @param {HTMLElement} at
 * @param {Entry[]} entries
 * @param {{x: number, y: number}} [point] where, instead of below the element
 */
export function openMenu(at, entries, point) {
  closeMenu();
  const before = document.activeElement;
  const box = el("div", { class: "menu", role: "menu", popover: "manual", "aria-label": at.getAttribute("aria-label") || at.textContent });
  box.append(...entries.map((entry) => item(entry, close)));
  document.body.append(box);
  box.showPopover();
  place(box, point ? { left: point.x, right: point.x, top: point.y, bottom: point.y } : at.getBoundingClientRect());
  at.setAttribute("aria-expanded", "true");
  const outside = (event) => !box.contains(event.target) && !at.contains(event.target) && close(false);
  const moved = (event) => !box.contains(event.target) && close(false);
  box.addEventListener("keydown", (event) => keys(event, box, close));
  document.addEventListener("pointerdown", outside, true);
  window.addEventListener("resize", moved);
  document.addEventListener("scroll", moved, true);
  function close(back = true) {
    if (opened?.box !== box) return;
    opened = null;
    document.removeEventListener("pointerdown", outside, true);
    document.removeEventListener("scroll", moved, true);
    window.removeEventListener("resize", moved);
    at.setAttribute("aria-expanded", "false");
    box.remove();
    if (back) (at.isConnected && at.matches("button, a, [tabindex]") ? at : before)?.focus?.();
  }
  opened = { at, box, close };
  box.querySelector("[role^=menuitem]:not([aria-disabled])")?.focus();
}

function item(entry, close) {
  if (entry === null) return el("hr", { role: "separator" });
  if ("heading" in entry) return el("p", { class: "overline", role: "presentation", text: entry.heading });
  const attributes = {
    class: entry.danger ? "danger" : null,
    role: entry.checked === undefined ? "menuitem" : "menuitemcheckbox",
    "aria-checked": entry.checked === undefined ? null : String(entry.checked),
    "aria-disabled": entry.disabled ? "true" : null,
    tabindex: "-1",
  };
  const made = el(
    entry.href ? "a" : "button",
    { ...attributes, href: entry.href, download: entry.download, type: entry.href ? null : "button" },
    entry.icon ? icon(entry.icon) : null,
    el("span", {}, el("span", { class: "word", text: entry.label }), entry.about ? el("span", { class: "about", text: entry.about }) : null),
    entry.checked ? icon("check") : null,
    entry.key ? el("kbd", { text: entry.key }) : null,
  );
  made.addEventListener("click", (event) => {
    event.stopPropagation();
    if (entry.disabled) return event.preventDefault();
    close();
    entry.run?.(event);
  });
  return made;
}

function keys(event, box, close) {
  const all = [...box.querySelectorAll("[role^=menuitem]:not([aria-disabled])")];
  const at = all.indexOf(document.activeElement);
  const to = { ArrowDown: (at + 1) % all.length, ArrowUp: (at - 1 + all.length) % all.length, Home: 0, End: all.length - 1 }[event.key];
  event.stopPropagation();
  if (to !== undefined) {
    event.preventDefault();
    all[to]?.focus();
  } else if (event.key === "Escape" || event.key === "Tab") {
    event.preventDefault();
    close();
  } else if (event.key.length === 1 && event.key !== " " && !event.ctrlKey && !event.metaKey && !event.altKey) {
    const wanted = event.key.toLocaleLowerCase();
    const turned = [...all.slice(at + 1), ...all.slice(0, at + 1)];
    turned.find((one) => one.textContent.trim().toLocaleLowerCase().startsWith(wanted))?.focus();
  }
}

/** Below the place if there is room, else above it; never out of the window. */
function place(box, at) {
  const room = 8;
  const size = box.getBoundingClientRect();
  const below = window.innerHeight - at.bottom - room;
  const above = at.top - room;
  const up = size.height > below && above > below;
  box.style.maxBlockSize = `${Math.max(96, Math.floor(up ? above : below))}px`;
  const height = Math.min(size.height, up ? above : below);
  const left = Math.min(Math.max(room, at.right - size.width), Math.max(room, window.innerWidth - size.width - room));
  box.style.left = `${Math.round(at.left === at.right ? Math.min(at.left, window.innerWidth - size.width - room) : left)}px`;
  box.style.top = `${Math.round(up ? Math.max(room, at.top - height - 4) : at.bottom + 4)}px`;
}
