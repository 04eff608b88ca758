/**
 * The page put together: mounts every module in its region, shows the room of the address, wires the open piece's head and the tabs.
 */

import { emit, on } from "./bus.js";
import { mountCandidates } from "./candidates.js";
import { mountComposer } from "./composer.js";
import { mountDetails } from "./details.js";
import { byId } from "./dom.js";
import { mountDownloads } from "./downloads.js";
import { mountHead } from "./head.js";
import { t } from "./i18n.js";
import { mountJudge } from "./judge.js";
import { mountKeyboard } from "./keyboard.js";
import { mountLibrary } from "./library.js";
import { mountMidiOut } from "./midi-out.js";
import { Player } from "./player.js";
import { mountRoll } from "./roll.js";
import { mountRooms } from "./rooms.js";
import { mountScore } from "./score.js";
import { session } from "./session.js";
import { mountSettings } from "./settings.js";
import { toast } from "./toast.js";
import { mountTracks } from "./tracks.js";
import { mountTransport } from "./transport.js";
import { mountUpload } from "./upload.js";

/** Every module of the page: its name, what mounts it, its region. A module gets (element, session, player). */
const MODULES = [
  ["settings", mountSettings, "tools"],
  ["midi", mountMidiOut, "tools"],
  ["composer", mountComposer, "composer"],
  ["head", mountHead, "piece"],
  ["downloads", mountDownloads, "piece-actions"],
  ["transport", mountTransport, "transport"],
  ["tracks", mountTracks, "tracks"],
  ["roll", mountRoll, "roll"],
  ["score", mountScore, "score"],
  ["candidates", mountCandidates, "candidates"],
  ["judge", mountJudge, "judge"],
  ["details", mountDetails, "details"],
  ["rooms", mountRooms, "room"],
  ["library", mountLibrary, "library"],
  ["upload", mountUpload, null],
  ["keyboard", mountKeyboard, null],
];

const ROOMS = new Set(["studio", "models", "studies"]);

async function start() {
  const player = new Player(session);
  window.kapelle = { session, player };
  const mounted = MODULES.map(async ([name, mount, region]) => {
    window.kapelle[name] = await mount(region ? byId(region) : null, session, player);
  });
  tabs();
  connection();
  on("asked", showStage);
  on("open", ({ job }) => job || showStage());
  window.addEventListener("hashchange", showRoom);
  showRoom();
  on("language", () => emit("room", room()));
  await Promise.all([...mounted, session.resume()]);
  document.documentElement.dataset.ready = "true"; // for tests: everything is mounted
}

/** Where one column is all there is, what is being made is below what asks for it: go there. */
function showStage() {
  if (window.matchMedia("(max-width: 47.99em)").matches) byId("stage").scrollIntoView({ block: "start" });
}

/** A calm line while the server does not answer. */
function connection() {
  const notice = byId("notice");
  let lost = false;
  on("connection", ({ ok }) => {
    if (lost && ok) toast(t("shell.online"), { kind: "ok" });
    lost = !ok;
    notice.hidden = ok;
    notice.textContent = ok ? "" : t("shell.offline");
  });
}

/** Which room the address names: {room, name}. */
export function room() {
  const [, first = "", ...rest] = window.location.hash.split("/");
  return { room: ROOMS.has(first) ? first : "studio", name: decodeURIComponent(rest.join("/")) };
}

function showRoom() {
  const { room: shown, name } = room();
  byId("studio").hidden = shown !== "studio";
  byId("room").hidden = shown === "studio";
  for (const link of byId("rooms").querySelectorAll("a")) {
    if (link.dataset.room === shown) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.body.dataset.room = shown;
  emit("room", { room: shown, name });
}

function tabs() {
  const all = [...byId("tabs").querySelectorAll("[role=tab]")];
  const choose = (tab, focus = false) => {
    for (const one of all) {
      const chosen = one === tab;
      one.setAttribute("aria-selected", String(chosen));
      one.tabIndex = chosen ? 0 : -1;
      byId(one.getAttribute("aria-controls")).hidden = !chosen;
    }
    if (focus) tab.focus();
    emit("tab", { tab: tab.getAttribute("aria-controls") });
  };
  for (const [at, tab] of all.entries()) {
    tab.addEventListener("click", () => choose(tab));
    tab.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (step) choose(all[(at + step + all.length) % all.length], true);
      else if (event.key === "Home") choose(all[0], true);
      else if (event.key === "End") choose(all.at(-1), true);
      else return;
      event.preventDefault();
      event.stopPropagation();
    });
  }
  on("show-tab", ({ tab }) => choose(byId(`tab-${tab}`)));
}

await start();
