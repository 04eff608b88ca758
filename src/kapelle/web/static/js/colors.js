/**
 * Colours of instruments: one hue per family of General MIDI, in a light and a dark form that both stand 3:1 or more off their ground.
 *
 * They are mixed in OKLCH, where equal lightness looks equal, and handed out as #rrggbb. A second instrument of one family gets a
 * neighbouring shade. Told by lightness as well as by hue, so that they differ for people who see few hues.
 */

/** Hue in degrees, chroma, and how much lighter or darker than the others. In the order of score/families.py, drums last. */
const FAMILIES = [
  ["piano", 258, 0.16, 0], ["chromatic", 205, 0.11, 0.04], ["organ", 300, 0.15, -0.02], ["guitar", 58, 0.15, 0.04],
  ["bass", 22, 0.18, -0.02], ["strings", 152, 0.14, 0.02], ["ensemble", 178, 0.1, -0.04], ["brass", 88, 0.13, 0.05],
  ["reed", 355, 0.17, 0.02], ["pipe", 232, 0.12, 0.05], ["lead", 328, 0.18, 0], ["pad", 280, 0.13, 0.04],
  ["effects", 312, 0.12, -0.04], ["ethnic", 40, 0.13, -0.03], ["percussive", 72, 0.1, -0.05], ["sounds", 120, 0.1, 0],
  ["drums", 262, 0.028, -0.02],
];
const LIGHTNESS = { light: 0.58, dark: 0.76 };
const known = new Map();

/** Light or dark, as the page is shown now. */
export const theme = () => (document.documentElement.dataset.theme === "dark" ? "dark" : "light");

/** The number of a program's family, 0 to 15; 16 for drums (-1). @param {number} program */
export const familyOf = (program) => (program < 0 ? 16 : Math.min(15, program >> 3));

/**
 * The colour of an instrument as #rrggbb.
 * @param {number} program 0 to 127, -1 for drums
 * @param {{variant?: number, shown?: "light"|"dark"}} [how] variant: 0 for the first instrument of a family, 1 for the next ...
 */
export function colorOf(program, { variant = 0, shown = theme() } = {}) {
  const key = `${familyOf(program)}/${variant % 4}/${shown}`;
  if (!known.has(key)) {
    const [, hue, chroma, lighter] = FAMILIES[familyOf(program)];
    const step = variant % 4;
    const turn = [0, 34, -34, 0][step];
    const lift = { dark: [0, 0.02, -0.05, 0.08], light: [0, -0.02, -0.06, -0.1] }[shown][step];
    known.set(key, hex(oklch(LIGHTNESS[shown] + lighter + lift, chroma, hue + turn)));
  }
  return known.get(key);
}

/**
 * `share` of colour `a`, the rest of colour `b`, as #rrggbb.
 * @param {string} a #rrggbb @param {string} b #rrggbb @param {number} share 0 to 1
 */
export function mix(a, b, share) {
  const [x, y] = [parts(a), parts(b)];
  return hex(x.map((value, i) => value * share + y[i] * (1 - share)));
}

const parts = (color) => [1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16) / 255);
const hex = (rgb) => `#${rgb.map((value) => Math.round(Math.min(1, Math.max(0, value)) * 255).toString(16).padStart(2, "0")).join("")}`;

/** sRGB of a colour in OKLCH (Björn Ottosson's OKLab, 2020); where a screen cannot show it, it is made paler until it can. */
function oklch(lightness, chroma, hue) {
  for (let paler = chroma; ; paler -= 0.005) {
    const rgb = linear(lightness, paler * Math.cos((hue * Math.PI) / 180), paler * Math.sin((hue * Math.PI) / 180));
    if (paler <= 0 || rgb.every((value) => value >= -0.0005 && value <= 1.0005)) return rgb.map(gamma);
  }
}

function linear(lightness, a, b) {
  const l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3;
  return [
    4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
    -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
    -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s,
  ];
}

const gamma = (value) => (value <= 0.0031308 ? 12.92 * value : 1.055 * Math.max(value, 0) ** (1 / 2.4) - 0.055);
