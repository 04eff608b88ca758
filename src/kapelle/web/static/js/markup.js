/**
 * HTML from our own server (cards of models) as nodes: only elements and attributes of a list, rebuilt one by one. The server lets no
 * markup of others through; this is the second lock, beside the page's policy.
 */

const ALLOWED = new Set([
  "h1", "h2", "h3", "h4", "h5", "h6", "p", "ul", "ol", "li", "table", "thead", "tbody", "tr", "th", "td", "pre", "code", "em", "strong", "a", "br", "hr",
  "blockquote", "div", "span", "del", "sup", "sub",
]);

/** @param {string} html @returns {DocumentFragment} */
export function nodesOf(html) {
  const parsed = new DOMParser().parseFromString(html, "text/html"); // inert: no script runs, nothing is loaded
  const out = document.createDocumentFragment();
  out.append(...[...parsed.body.childNodes].map(copy).filter(Boolean));
  return out;
}

function copy(node) {
  if (node.nodeType === Node.TEXT_NODE) return document.createTextNode(node.data);
  const name = node.nodeName.toLowerCase();
  if (node.nodeType !== Node.ELEMENT_NODE || !ALLOWED.has(name)) return null;
  const made = document.createElement(name);
  if (name === "a") link(made, node.getAttribute("href") || "");
  if (name === "div" && node.className === "wide") Object.assign(made, { className: "wide", tabIndex: 0 });
  if (name === "th") made.scope = "col";
  if (["td", "th"].includes(name) && /^(left|right|center)$/.test(node.style.textAlign)) made.style.textAlign = node.style.textAlign;
  made.append(...[...node.childNodes].map(copy).filter(Boolean));
  return made;
}

function link(made, href) {
  if (!/^https?:\/\//i.test(href)) return;
  made.href = href;
  made.target = "_blank";
  made.rel = "noopener noreferrer";
}
