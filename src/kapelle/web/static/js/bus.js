/**
 * The page's one bus: modules tell each other what happened by name and never import each other for it.
 *
 * `on(name, fn)` calls `fn(detail)`: the detail itself, not the Event. What is told, by whom and with which detail, stands in
 * the heads of the modules that tell it (session.js, music.js, player.js, settings.js ...).
 */

export const bus = new EventTarget();

/**
 * Tell everyone who listens that `name` happened.
 * @param {string} name
 * @param {object} [detail]
 */
export function emit(name, detail = {}) {
  bus.dispatchEvent(new CustomEvent(name, { detail }));
}

/**
 * Call `fn(detail)` whenever `name` happens.
 * @param {string} name
 * @param {(detail: any) => void} fn
 * @returns {() => void} ends the listening
 */
export function on(name, fn) {
  const listener = (event) => fn(event.detail);
  bus.addEventListener(name, listener);
  return () => bus.removeEventListener(name, listener);
}
