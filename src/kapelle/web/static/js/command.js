/**
 * The command line that makes a piece of the library again: with its settings where they fit on a line, and from its recipe in any case.
 * Words are quoted for a POSIX shell.
 */

const VERBS = { compose: "compose", vary: "compose", again: "compose", interpolate: "compose" };

/**
 * @param {any} record
 * @param {string} stem of the names of files
 * @returns {{direct: string, recipe: string}} direct is empty where the piece needs a file, which only the recipe holds
 */
export function compose(record, stem) {
  const out = quoted(`${stem}.mid`);
  const recipe = `kapelle compose --from ${quoted(`${stem}.json`)} -o ${out}`;
  const { options = {}, sampling, length, band, max_copied_notes: limit } = record.request || {};
  const values = { ...options, ...sampling };
  const file = record.request?.prompt || record.request?.lead || record.request?.theme || Object.values(values).some(isFile);
  const towards = options.towards !== undefined && options.towards !== null;
  if (file || towards || !VERBS[record.verb] || record.source !== "composed") return { direct: "", recipe };
  const words = ["kapelle compose", "--model", quoted(record.model), "--seed", String(record.seed)];
  if (length) words.push(`--${length.unit}`, String(length.amount));
  for (const [name, value] of Object.entries(values)) words.push(...flag(name, value));
  if (band) words.push(`--band=${quoted(band)}`); // behind a blank it would be taken for a file
  if (limit) words.push("--max-copied-notes", String(limit));
  return { direct: [...words, "-o", out].join(" "), recipe };
}

const isFile = (value) => (typeof value === "object" && value !== null && "bytes" in value) || (typeof value === "string" && value.length > 500);

function flag(name, value) {
  const word = `--${name.replace(/_+$/, "").replaceAll("_", "-")}`;
  if (value === null || value === undefined || value === "") return [];
  if (value === true) return [word];
  if (value === false) return [`--no-${word.slice(2)}`];
  return [word, quoted(Array.isArray(value) ? value.join(",") : String(value))];
}

/** @param {string} text */
function quoted(text) {
  return /^[\w@%+=:,./-]+$/.test(text) && !text.startsWith("-") ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
