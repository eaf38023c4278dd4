/**
 * Says that the page does not start: in a browser that is too old for its modules, or if one of them is missing.
 * This is ES5, and no module, so that every browser runs it. Modules that can start have done so before `load`.
 */
window.addEventListener("load", function () {
  if (document.documentElement.getAttribute("data-started") !== null) return;
  document.getElementsByTagName("main")[0].hidden = true;
  document.getElementById("too-old").removeAttribute("hidden");
});
