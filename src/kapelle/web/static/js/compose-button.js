/**
 * The one big button: composes; while something is being composed it shows how far that is and cancels.
 */

import { on } from "./bus.js";
import { el, icon, setIcon } from "./dom.js";
import { t } from "./i18n.js";
import { announce, failed, toast } from "./toast.js";

/**
 * @param {any} session
 * @param {() => string} verb the verb that the composer is set to
 */
export function makeButton(session, verb) {
  const fill = el("span", { class: "fill" });
  const word = el("span", { class: "word", id: "compose-word" });
  const status = el("span", { class: "status", id: "compose-status" });
  const drawing = icon("compose");
  const button = el(
    "button",
    { type: "submit", id: "compose-button", class: "compose-button", "aria-keyshortcuts": "C", "aria-labelledby": word.id, "aria-describedby": status.id },
    fill,
    drawing,
    el("span", { class: "words" }, word, status),
    el("kbd", { "aria-hidden": "true", text: "C" }),
  );
  const bar = el("div", { role: "progressbar", class: "unseen", "aria-valuemin": 0, "aria-valuemax": 100 });
  const element = el("div", { class: "compose" }, button, bar);
  let left = null;

  const show = () => {
    const { job } = session;
    element.classList.toggle("busy", session.busy);
    element.classList.toggle("queued", session.busy && job.state !== "running");
    setIcon(drawing, session.busy ? "stop" : verb());
    word.textContent = session.busy ? t("composer.cancel") : t(`composer.verb.${verb()}`);
    bar.setAttribute("aria-label", t("composer.progress"));
    bar.hidden = !session.busy;
    progress(session.busy ? job.progress || 0 : 0);
    status.textContent = session.busy ? statusOf(job, left) : "";
  };
  const progress = (done) => {
    fill.style.transform = `scaleX(${done})`;
    bar.setAttribute("aria-valuenow", String(Math.round(done * 100)));
  };
  on("progress", ({ left_s: seconds, job }) => {
    left = job === session.job ? seconds : left;
    show();
  });
  for (const name of ["asked", "job", "state"]) on(name, show);
  on("asked", () => {
    left = null;
    announce(t("composer.started"));
  });
  on("idle", show);
  on("restarted", ({ job, attempt }) => {
    job.attempt = attempt;
    show();
  });
  on("done", ({ pieces, job }) => {
    announce(t("composer.done", { n: pieces.length }));
    if (session.current.job === job || pieces.length === 0) return; // it opens by itself
    toast(t("composer.done", { n: pieces.length }), { kind: "ok", action: { label: t("composer.open"), fn: () => session.open(pieces[0]) } });
  });
  on("failed", ({ error }) => failed(error || { message: t("common.error.unknown", { status: "" }) }));
  on("cancelled", () => toast(t("composer.cancelled")));
  return { element, show };
}

function statusOf(job, left) {
  if (job.state === "queued" && job.position > 1) return t("composer.queued", { n: job.position - 1 });
  if (job.state !== "running") return t("composer.starting");
  if (job.attempt > 1 && !(job.progress > 0.02)) return t("composer.attempt", { n: job.attempt });
  const percent = Math.round((job.progress || 0) * 100);
  if (left === null || left === undefined || !Number.isFinite(left)) return t("composer.percent", { n: percent });
  return left < 60 ? t("composer.left_s", { percent, n: Math.max(1, Math.round(left)) }) : t("composer.left_min", { percent, n: Math.round(left / 60) });
}
