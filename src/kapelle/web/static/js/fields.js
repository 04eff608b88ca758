/**
 * A control for one property of a JSON Schema: nothing here knows a model or an option.
 *
 * boolean: switch. enum: segments if they are few and short, else a list. number with minimum and maximum: slider and number. number
 * without: number. string with x-suggest: a list that also takes what is not in it, or several values if x-several. string with
 * contentEncoding base64: a place to drop a file. Other string: text. Labels come from x-label in the page's language; a short name for
 * an option stands in the texts under `composer.option.NAME` if there is one, and x-label is then the hint, unless `composer.hint.NAME` is.
 */

import { el, icon } from "./dom.js";
import { has, number, pick, t } from "./i18n.js";
import { toast } from "./toast.js";
import { refusal } from "./upload.js";
import { keyName } from "./words.js";

const FEW = 5;
const SHORT = 36; // characters of all segments together
const MOST_STEPS = 1000; // a slider with more is no use
const MOST_FILE = 140_000; // bytes of a file inside a request
let serial = 0;

/**
 * @typedef {{element: HTMLElement, name: string, value: any, wide: boolean, wrong: (text: string) => void}} Control
 * @param {string} name
 * @param {any} schema
 * @param {any} value
 * @param {() => void} changed
 * @returns {Control}
 */
export function control(name, schema, value, changed) {
  const id = `field-${++serial}`;
  const kind = kindOf(schema);
  const made = KINDS[kind]({ id, name, schema, changed, ...words(name, schema) });
  const error = el("p", { class: "error", id: `${id}-error`, role: "alert", hidden: true });
  made.element.append(error);
  made.element.dataset.option = name;
  made.set(value ?? schema.default ?? null);
  return {
    element: made.element,
    name,
    wide: made.wide ?? true,
    get value() {
      return made.get();
    },
    set value(wanted) {
      made.set(wanted);
    },
    wrong(text) {
      error.textContent = text;
      error.hidden = !text;
      made.element.classList.toggle("wrong", Boolean(text));
      made.focus?.setAttribute("aria-invalid", String(Boolean(text)));
      if (text) made.focus?.focus();
    },
  };
}

/** Which kind of control a property gets. @param {any} schema */
export function kindOf(schema) {
  const types = [schema.type].flat();
  if (types.includes("boolean")) return "switch";
  if (schema.enum) return fits(schema.enum.map((one) => nameOf(one, schema["x-names"]))) ? "segments" : "list";
  if (types.includes("number") || types.includes("integer")) return slides(schema) ? "slider" : "number";
  if (schema.contentEncoding === "base64") return "file";
  if (schema["x-suggest"]) return schema["x-several"] ? "several" : "list";
  return "text";
}

function fits(choices) {
  return choices.length <= FEW && choices.map((one) => one.length + 2).reduce((a, b) => a + b, 0) <= SHORT;
}

function slides({ minimum, maximum, "x-step": step = 1 }) {
  return minimum !== undefined && maximum !== undefined && (maximum - minimum) / step <= MOST_STEPS;
}

/** The name of an option and what more there is to say: {label, hint}. @param {string} name @param {any} schema */
export function words(name, schema) {
  const told = pick(schema["x-label"]);
  if (has(`composer.option.${name}`)) {
    const label = t(`composer.option.${name}`);
    const rest = told.toLowerCase().startsWith(label.toLowerCase()) ? told.slice(label.length).replace(/^[\s,;:]+/, "") : told;
    return { label, hint: has(`composer.hint.${name}`) ? t(`composer.hint.${name}`) : capital(rest) };
  }
  const [, first, rest] = /^(.+?)(?:[:;] |, (?:such as|например) )(.+)$/.exec(told) || [null, told || name.replaceAll("_", " "), ""];
  return { label: capital(first), hint: capital(rest) };
}

const capital = (text) => (text ? text[0].toLocaleUpperCase() + text.slice(1) : "");

function labelled(about, focus, ...children) {
  const unit = about.schema["x-unit"];
  if (focus) focus.id = about.id;
  return el(
    "div",
    { class: "field" },
    el("label", { class: "label", for: about.id }, about.label, unit ? el("span", { class: "unit", text: `, ${unitOf(unit)}` }) : null),
    ...children,
    hintOf(about, focus),
  );
}

function hintOf(about, focus) {
  if (!about.hint) return null;
  focus?.setAttribute("aria-describedby", `${about.id}-hint`);
  return el("p", { class: "hint", id: `${about.id}-hint`, text: about.hint });
}

const unitOf = (unit) => (has(`composer.unit.${unit}`) ? t(`composer.unit.${unit}`) : unit);

function grouped(about, ...children) {
  return el(
    "div",
    { class: "field", role: "group", "aria-labelledby": `${about.id}-label` },
    el("span", { class: "label", id: `${about.id}-label`, text: about.label }),
    ...children,
    hintOf(about, null),
  );
}

/** A choice as people read it: a name given with the schema, a text of the page, or the value itself. */
function nameOf(choice, names = {}) {
  if (names[choice ?? ""] !== undefined) return names[choice ?? ""];
  if (choice === "" || choice === null) return t("composer.any");
  return capital(has(`composer.value.${choice}`) ? t(`composer.value.${choice}`) : keyName(String(choice)));
}

function segments(about) {
  const box = el("div", { class: "segments" });
  const inputs = about.schema.enum.map((choice) => {
    const input = el("input", { type: "radio", name: about.id, on: { change: about.changed } });
    box.append(el("label", {}, input, el("span", { text: nameOf(choice, about.schema["x-names"]) })));
    return { input, choice };
  });
  const element = grouped({ ...about, hint: "" }, box);
  if (about.hint) element.title = about.hint; // the choices say it themselves
  return {
    element,
    focus: inputs[0].input,
    get: () => inputs.find(({ input }) => input.checked)?.choice ?? null,
    set: (value) => inputs.forEach(({ input, choice }) => (input.checked = choice === (value ?? ""))),
  };
}

function list(about) {
  const { schema } = about;
  const free = schema.enum === undefined;
  const choices = free ? ["", ...schema["x-suggest"]] : schema.enum;
  const select = el("select", { class: "select", on: { change: () => (select.value === "…" ? ask() : (other.hidden = true), about.changed()) } });
  const other = el("input", { class: "input", hidden: true, "aria-label": `${about.label}: ${t("composer.other")}`, on: { input: about.changed } });
  const ask = () => {
    other.hidden = false;
    other.focus();
  };
  for (const choice of choices) select.append(el("option", { value: choice ?? "", text: nameOf(choice, schema["x-names"]) }));
  if (free) select.append(el("option", { value: "…", text: t("composer.other") }));
  return {
    element: labelled({ ...about, hint: free ? "" : about.hint }, select, select, other),
    focus: select,
    wide: !free && choices.length > 12 ? true : false,
    get: () => (select.value === "…" ? other.value.trim() : select.value),
    set: (value) => {
      const known = choices.includes(value ?? "");
      select.value = known ? (value ?? "") : "…";
      other.hidden = known;
      other.value = known ? "" : value;
    },
  };
}

function several(about) {
  const { schema } = about;
  const chosen = [];
  const chips = el("div", { class: "row several" });
  const add = el("select", { class: "select", on: { change: () => insert(add.value) } });
  add.append(el("option", { value: "", text: t("composer.add") }), ...schema["x-suggest"].map((one) => el("option", { value: one, text: nameOf(one) })));
  add.append(el("option", { value: "…", text: t("composer.other") }));
  const other = el("input", { class: "input", hidden: true, "aria-label": `${about.label}: ${t("composer.other")}` });
  const insert = (name) => {
    add.value = "";
    other.hidden = name !== "…";
    if (name === "…") return other.focus();
    if (name) chosen.push(name);
    show();
    return about.changed();
  };
  const show = () =>
    chips.replaceChildren(
      ...chosen.map((name, at) =>
        el(
          "button",
          { class: "chip", type: "button", "aria-label": t("composer.remove", { name }), title: t("composer.remove", { name }), on: { click: () => drop(at) } },
          nameOf(name),
          icon("close"),
        ),
      ),
    );
  const drop = (at) => {
    chosen.splice(at, 1);
    show();
    (chips.children[Math.min(at, chosen.length - 1)] || add).focus();
    about.changed();
  };
  other.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    insert(other.value.trim());
    other.value = "";
    other.hidden = true;
  });
  other.addEventListener("blur", () => {
    if (other.value.trim()) insert(other.value.trim());
    other.value = "";
    other.hidden = true;
  });
  return {
    element: labelled({ ...about, hint: about.hint.replace(/(, such as|, например|:)[^;]*/, "") }, add, chips, add, other), // examples are in the list
    focus: add,
    get: () => chosen.join(","),
    set: (value) => {
      chosen.splice(0, chosen.length, ...String(value ?? "").split(",").map((one) => one.trim()).filter(Boolean));
      show();
    },
  };
}

function numberInput(about, attributes = {}) {
  const { schema } = about;
  const whole = [schema.type].flat().includes("integer");
  const step = schema["x-step"] ?? (whole ? 1 : "any");
  return el("input", {
    class: "input",
    type: "number",
    inputmode: whole ? "numeric" : "decimal",
    min: schema.minimum,
    max: schema.maximum,
    step: whole ? step : "any",
    placeholder: mayBeNull(schema) ? t("composer.auto") : null,
    ...attributes,
  });
}

const mayBeNull = (schema) => [schema.type].flat().includes("null");
const numberOf = (input) => (input.value === "" ? null : Number(input.value));

function numeric(about) {
  const input = numberInput(about, { on: { input: about.changed } });
  return { element: labelled(about, input, input), focus: input, wide: false, get: () => numberOf(input), set: (value) => (input.value = value ?? "") };
}

function slider(about) {
  const { schema } = about;
  const { minimum: low, maximum: high, "x-step": step = 1 } = schema;
  const rest = schema.default ?? (low + high) / 2;
  const range = el("input", { type: "range", min: low, max: high, step, "aria-label": about.label });
  const input = numberInput(about);
  const show = (value) => {
    range.value = value ?? rest;
    range.classList.toggle("unset", value === null);
    range.style.setProperty("--fill", `${value === null ? 0 : ((range.value - low) / (high - low)) * 100}%`);
    range.setAttribute("aria-valuetext", value === null ? t("composer.auto") : number(Number(range.value)));
  };
  range.addEventListener("input", () => {
    input.value = range.value;
    show(Number(range.value));
    about.changed();
  });
  input.addEventListener("input", () => {
    show(numberOf(input));
    about.changed();
  });
  input.addEventListener("blur", () => {
    if (input.value === "" && !mayBeNull(schema)) input.value = schema.default ?? low;
    show(numberOf(input));
    about.changed();
  });
  return {
    element: labelled(about, input, el("div", { class: "slider" }, range, input)),
    focus: input,
    get: () => numberOf(input),
    set: (value) => {
      input.value = value ?? "";
      show(value ?? null);
    },
  };
}

function switched(about) {
  const input = el("input", { type: "checkbox", role: "switch", id: about.id, on: { change: about.changed } });
  const text = el("span", {}, el("span", { class: "label", text: about.label }), about.hint ? el("span", { class: "hint", text: about.hint }) : null);
  return {
    element: el("div", { class: "field" }, el("label", { class: "switch" }, input, text)),
    focus: input,
    get: () => input.checked,
    set: (value) => (input.checked = Boolean(value)),
  };
}

function text(about) {
  const input = el("input", { class: "input", type: "text", maxlength: 200, autocomplete: "off", spellcheck: "false", on: { input: about.changed } });
  return { element: labelled(about, input, input), focus: input, get: () => input.value.trim(), set: (value) => (input.value = value ?? "") };
}

/** A place to drop a file, or to choose one. @param {{label: string, accept: string, taken: (file: File) => any}} about */
export function dropZone({ label, accept, taken }) {
  const input = el("input", { type: "file", accept, class: "unseen", tabindex: "-1", "aria-hidden": "true" });
  const words_ = el("span", { text: label });
  const button = el("button", { type: "button", class: "drop-zone", on: { click: () => input.click() } }, icon("upload"), words_);
  const zone = el("div", { class: "drop-field" }, button, input);
  input.addEventListener("change", () => {
    if (input.files[0]) taken(input.files[0]);
    input.value = "";
  });
  zone.addEventListener("dragover", (event) => {
    event.preventDefault();
    event.stopPropagation();
    button.classList.add("over");
  });
  zone.addEventListener("dragleave", () => button.classList.remove("over"));
  zone.addEventListener("drop", (event) => {
    event.preventDefault();
    event.stopPropagation();
    button.classList.remove("over");
    document.dispatchEvent(new CustomEvent("kapelle-dropped"));
    if (event.dataTransfer.files[0]) taken(event.dataTransfer.files[0]);
  });
  return { zone, button, say: (text_) => (words_.textContent = text_) };
}

function file(about) {
  let held = "";
  let label = "";
  const drop = dropZone({ label: t("composer.drop_midi"), accept: ".mid,.midi,audio/midi", taken: (given) => take(given) });
  const clear = el("button", { type: "button", class: "button quiet small", text: t("composer.take_out"), hidden: true });
  const show = () => {
    drop.say(held ? label || t("composer.file_given") : t("composer.drop_midi"));
    clear.hidden = !held;
  };
  const take = async (given) => {
    const why = await refusal(given, MOST_FILE);
    if (why) {
      toast(why.message, { kind: "error", hint: why.hint });
      return;
    }
    const bytes = new Uint8Array(await given.arrayBuffer());
    held = btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
    label = given.name;
    show();
    about.changed();
  };
  clear.addEventListener("click", () => {
    held = "";
    show();
    about.changed();
  });
  drop.button.id = about.id;
  return {
    element: grouped(about, drop.zone, clear),
    focus: drop.button,
    get: () => held,
    set: (value) => {
      held = value || "";
      show();
    },
  };
}

const KINDS = { segments, list, several, number: numeric, slider, switch: switched, text, file };
