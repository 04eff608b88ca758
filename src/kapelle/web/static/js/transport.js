/**
 * The bar that plays: to the start, play or pause, loop, position, time, volume, all bound to the player.
 */

import { emit, on } from "./bus.js";
import { clock, el, icon, named, setIcon } from "./dom.js";
import { t } from "./i18n.js";
import { failed } from "./toast.js";

/** @param {HTMLElement} element @param {any} session @param {any} player */
export function mountTransport(element, session, player) {
  const parts = build(player);
  element.append(parts.start, parts.play, parts.loop, parts.elapsed, parts.position, parts.total, parts.sound);
  const duration = () => session.current.music?.duration || 0;
  let seeking = false;

  const show = (seconds) => {
    const whole = duration();
    const at = Math.min(seconds, whole);
    parts.elapsed.textContent = clock(at);
    if (!seeking) set(parts.position, whole ? (at / whole) * 1000 : 0);
    parts.position.setAttribute("aria-valuetext", t("transport.at", { at: clock(at), of: clock(whole) }));
  };
  const grown = () => {
    parts.total.textContent = clock(duration());
    const empty = duration() === 0;
    element.classList.toggle("is-empty", empty && !session.busy);
    for (const one of [parts.play, parts.start, parts.position]) one.disabled = empty;
    show(player.position());
  };
  parts.position.addEventListener("input", () => {
    seeking = true;
    parts.elapsed.textContent = clock((parts.position.value / 1000) * duration());
    fill(parts.position);
  });
  parts.position.addEventListener("change", () => {
    seeking = false;
    player.seek((parts.position.value / 1000) * duration());
  });
  on("position", ({ seconds }) => show(seconds));
  on("loop", ({ loop }) => parts.loop.setAttribute("aria-pressed", String(Boolean(loop))));
  on("music", grown);
  on("music-grown", grown);
  for (const name of ["playing", "paused", "ended", "waiting"]) on(name, () => playing(parts.play, player, name));
  on("language", () => {
    label(parts, player);
    grown();
  });
  label(parts, player);
  grown();
}

function build(player) {
  const button = (drawing, press, more = {}) => el("button", { type: "button", class: "icon-button", on: { click: press }, ...more }, icon(drawing));
  const volume = Number(localStorage.getItem("kapelle.volume") ?? 80);
  const parts = {
    start: button("start", () => player.seek(0), { class: "icon-button to-start" }),
    play: button("play", () => Promise.resolve(player.toggle()).catch(failed), { class: "icon-button play" }),
    loop: button("loop", () => {
      const wanted = parts.loop.getAttribute("aria-pressed") !== "true";
      parts.loop.setAttribute("aria-pressed", String(wanted));
      player.setLoop(wanted);
      emit("loop", { loop: wanted || null });
    }, { class: "icon-button loop", "aria-pressed": "false" }),
    elapsed: el("output", { class: "time", text: "0:00", "aria-live": "off" }),
    position: el("input", { type: "range", class: "position", min: 0, max: 1000, step: 1, value: 0 }),
    total: el("span", { class: "time number", text: "0:00" }),
    mute: button("volume", () => mute(), { "aria-pressed": "false" }),
    volume: el("input", { type: "range", min: 0, max: 100, step: 1, value: volume }),
  };
  const loudness = () => {
    const silent = parts.mute.getAttribute("aria-pressed") === "true";
    player.volume = silent ? 0 : (Number(parts.volume.value) / 100) ** 2; // the ear hears squares as even steps
    setIcon(parts.mute.querySelector("svg"), silent || Number(parts.volume.value) === 0 ? "muted" : "volume");
    fill(parts.volume);
    localStorage.setItem("kapelle.volume", parts.volume.value);
  };
  const mute = () => {
    parts.mute.setAttribute("aria-pressed", String(parts.mute.getAttribute("aria-pressed") !== "true"));
    loudness();
  };
  parts.volume.addEventListener("input", () => {
    parts.mute.setAttribute("aria-pressed", "false");
    loudness();
  });
  loudness();
  parts.sound = el("div", { class: "sound" }, parts.mute, parts.volume);
  return parts;
}

function playing(button, player, name) {
  const sounding = name === "playing" || name === "waiting" || (name !== "paused" && name !== "ended" && player.playing);
  setIcon(button.querySelector("svg"), sounding ? "pause" : "play");
  button.classList.toggle("waiting", name === "waiting");
  named(button, t(sounding ? "transport.pause" : "transport.play"));
}

function label(parts, player) {
  for (const name of ["start", "loop", "mute"]) named(parts[name], t(`transport.${name}`));
  parts.position.setAttribute("aria-label", t("transport.position"));
  parts.volume.setAttribute("aria-label", t("transport.volume"));
  parts.total.setAttribute("title", t("transport.length"));
  playing(parts.play, player, "");
}

function set(range, value) {
  range.value = value;
  fill(range);
}

function fill(range) {
  range.style.setProperty("--fill", `${((range.value - range.min) / (range.max - range.min)) * 100}%`);
}
