/**
 * Sets the theme and the size of type before the first paint: what was chosen in the phone, else what the system and
 * the kind of device say. ES5, and no module: a module would come after it.
 */
(function () {
  var TELEVISION = /\bTV\b|SmartTV|SMART-TV|HbbTV|Tizen.*TV|Web0S|BRAVIA|\bAFT[A-Z]/;
  var root = document.documentElement;
  var light = window.matchMedia("(prefers-color-scheme: light)");

  /** What shared/memory.js has kept for all tabs. */
  function chosen(name) {
    try {
      return JSON.parse(localStorage.getItem("callnet." + name));
    } catch (error) {
      return null;
    }
  }

  function put(name, content) {
    var meta = document.querySelector('meta[name="' + name + '"]');
    if (meta !== null) meta.setAttribute("content", content);
  }

  function look() {
    var theme = chosen("theme") || (light.matches ? "light" : "dark");
    root.setAttribute("data-theme", theme);
    root.setAttribute("data-size", chosen("size") || (TELEVISION.test(navigator.userAgent) ? "television" : "normal"));
    put("color-scheme", theme);
    put("theme-color", getComputedStyle(root).getPropertyValue("--ground").trim());
  }

  look();
  // The phone says so of the page of a call, and of itself when it knows.
  if (/[?&]kiosk=1(&|$)/.test(location.search)) root.setAttribute("data-kiosk", "");
  light.onchange = look;
  // Another tab has chosen, or the phone around this page. What else they keep would have the style computed in a hurry.
  window.addEventListener("storage", function (event) {
    if (!event.key || /^callnet\.(theme|size)$/.test(event.key)) look();
  });
})();
