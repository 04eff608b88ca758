/* What tests/web/test_accessibility.py asks of the page as it is drawn. Each function gives a list of faults, empty if there are none. */
(() => {
  const CONTROLS = "a[href], button, input, select, textarea, summary, [role=button], [role=slider], [role=tab], [tabindex]:not([tabindex='-1'])";
  const FLOWING = "p, dd, td, [role=tabpanel] > p"; // links there are as large as the text around them
  const all = (selector) => [...document.querySelectorAll(selector)];

  const shown = (one) => one.checkVisibility({ visibilityProperty: true }) && !one.closest("[aria-hidden=true], [inert]");

  function textOf(one) {
    const part = (node) => {
      if (node.nodeType === Node.TEXT_NODE) return node.data;
      if (node.nodeType !== Node.ELEMENT_NODE || node.getAttribute("aria-hidden") === "true") return "";
      return node.getAttribute("alt") || textOf(node);
    };
    return [...one.childNodes].map(part).join(" ").replace(/\s+/g, " ").trim();
  }

  function nameOf(one) {
    const ids = (one.getAttribute("aria-labelledby") || "").split(/\s+/).filter(Boolean);
    if (ids.length > 0) return ids.map((id) => textOf(document.getElementById(id))).join(" ").trim();
    const labels = [...(one.labels || [])].map(textOf).join(" ").trim();
    return one.getAttribute("aria-label") || labels || textOf(one) || one.title || "";
  }

  function say(one) {
    const classes = String(one.className?.baseVal ?? one.className).trim().replaceAll(" ", ".");
    return `${one.tagName.toLowerCase()}${one.id && `#${one.id}`}${classes && `.${classes}`} "${nameOf(one).slice(0, 30)}"`;
  }

  // -- colours -------------------------------------------------------------------------------------------------------------------

  const pixel = Object.assign(document.createElement("canvas"), { width: 1, height: 1 }).getContext("2d", { willReadFrequently: true });

  function rgba(color) {
    pixel.clearRect(0, 0, 1, 1);
    pixel.fillStyle = color;
    pixel.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = pixel.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  }

  const over = (top, below) => [...top.slice(0, 3).map((value, i) => value * top[3] + below[i] * (1 - top[3])), 1];

  function luminance([r, g, b]) {
    const linear = [r, g, b].map((value) => (value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
  }

  function contrast(a, b) {
    const [high, low] = [luminance(a), luminance(b)].sort((x, y) => y - x);
    return (high + 0.05) / (low + 0.05);
  }

  function ground(one) {
    const layers = [];
    for (let at = one; at; at = at.parentElement) layers.unshift(rgba(getComputedStyle(at).backgroundColor));
    return layers.reduce((below, layer) => over(layer, below), [255, 255, 255, 1]);
  }

  // -- what is asked -------------------------------------------------------------------------------------------------------------

  window.audit = {
    nameless: () => all(CONTROLS).filter((one) => shown(one) && !nameOf(one)).map(say),

    broken() {
      const out = [];
      const ids = all("[id]").map((one) => one.id);
      for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) out.push(`twice: ${id}`);
      for (const name of ["aria-labelledby", "aria-describedby", "aria-controls", "for"]) {
        for (const one of all(`[${name}]`).filter(shown)) {
          for (const id of one.getAttribute(name).split(/\s+/)) if (!document.getElementById(id)) out.push(`${name} of ${say(one)} leads nowhere`);
        }
      }
      for (const one of all("img:not([alt])")) out.push(`no alt: ${say(one)}`);
      for (const one of all("button button, button a, a button, label label")) out.push(`nested: ${say(one)}`);
      for (const one of all("form button:not([type])")) out.push(`submits by accident: ${say(one)}`);
      return out;
    },

    outline() {
      const levels = all("h1, h2, h3, h4, h5, h6").filter(shown).map((one) => ({ level: Number(one.tagName[1]), text: textOf(one) }));
      return {
        h1: levels.filter(({ level }) => level === 1).length,
        skips: levels.filter(({ level }, at) => at > 0 && level > levels[at - 1].level + 1).map(({ text }) => text),
        empty: levels.filter(({ text }) => !text).length,
        main: all("main").filter(shown).length,
        header: all("body > header").length,
        nav: all("nav[aria-label]").length,
        live: all("[aria-live=polite]").length,
        lang: document.documentElement.lang,
      };
    },

    pale() {
      const out = new Set();
      const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
      for (let node = walker.nextNode(); node; node = walker.nextNode()) {
        const one = node.parentElement;
        if (!node.data.trim() || one.closest("svg, .unseen, .skip, noscript, option, :disabled, [aria-disabled=true]") || !shown(one)) continue;
        const style = getComputedStyle(one);
        const color = rgba(style.color);
        for (let at = one; at; at = at.parentElement) color[3] *= Number(getComputedStyle(at).opacity);
        const size = parseFloat(style.fontSize);
        const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
        const below = ground(one);
        const found = contrast(over(color, below), below);
        if (found < (large ? 3 : 4.5)) out.add(`${found.toFixed(2)} ${say(one)} "${node.data.trim().slice(0, 30)}"`);
      }
      return [...out];
    },

    small(least) {
      const out = [];
      for (const one of all(CONTROLS)) {
        if (!shown(one) || one.closest(`.unseen, .skip, ${FLOWING}`) || one.matches("[role=tabpanel], code, pre")) continue; // scrolled, not pressed
        const pressed = one.matches("input[type=radio], input[type=checkbox]") ? one.closest("label") || one : one;
        const { width, height } = pressed.getBoundingClientRect();
        if (width < least - 0.5 || height < least - 0.5) out.push(`${Math.round(width)}x${Math.round(height)} ${say(one)}`);
      }
      return out;
    },

    cut() {
      const out = [];
      const { scrollWidth } = document.documentElement;
      if (scrollWidth > window.innerWidth + 1) out.push(`the page is ${scrollWidth} wide, of ${window.innerWidth}`);
      for (const one of all("button, .button, .chip, .label, h1, h2, h3, summary, .segments span, [role=tab]")) {
        const style = getComputedStyle(one);
        if (!shown(one) || one.closest(".unseen, .skip") || style.textOverflow === "ellipsis" || style.display === "inline") continue;
        if (one.clientWidth > 0 && one.scrollWidth > one.clientWidth + 2) out.push(`${say(one)} needs ${one.scrollWidth} of ${one.clientWidth}`);
      }
      return out;
    },

    focused() {
      const one = document.activeElement;
      if (!one || one === document.body) return null;
      one.dataset.reached = "yes";
      const places = [one, one.nextElementSibling, one.parentElement].filter(Boolean).map((at) => getComputedStyle(at));
      return { name: say(one), marked: places.some((style) => style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2) };
    },

    missed() {
      const reachable = (one) => shown(one) && one.tabIndex >= 0 && !one.disabled && !(one.type === "radio" && !one.checked);
      return all(CONTROLS).filter((one) => reachable(one) && !one.dataset.reached && !one.closest("dialog")).map(say);
    },
  };
})();
