/* Light or dark before the first paint: a plain script in the head. settings.js changes the wish; this file keeps the page true to it. */
(function () {
  "use strict";
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  function wish() {
    try {
      return localStorage.getItem("kapelle.theme") || "auto";
    } catch {
      return "auto";
    }
  }
  function show() {
    const wanted = wish();
    const shown = wanted === "auto" ? (dark.matches ? "dark" : "light") : wanted;
    document.documentElement.dataset.theme = shown;
    const bar = document.querySelector('meta[name="theme-color"]');
    if (bar) bar.content = shown === "dark" ? "#14171c" : "#ffffff";
  }
  dark.addEventListener("change", show);
  window.addEventListener("kapelle-theme", show);
  window.addEventListener("storage", show);
  show();
})();
