/**
 * Runs in the head, before the module: chooses the language, asks for its words, and says so if the page does not
 * start. This is ES5, and no module, so that every browser runs it.
 *
 * Only a script knows what was chosen before, so the words cannot be named by the page as its module is. This one
 * comes first in the head, before the style sheet, which would hold it up: the words are asked for while the module is
 * still to come, and are there when it runs. shared/words.js reads the language from `<html lang>`, and its fetch finds
 * what is asked for here.
 */
(function () {
  var root = document.documentElement;
  var scripts = document.getElementsByTagName("script");
  var script = scripts[scripts.length - 1];
  /** The folder of the page's words: the script's address has the version of all files in it. */
  var words = script.src.replace(/shared\/start\.js$/, script.getAttribute("data-words"));
  var SPOKEN = ["en", "zh-CN", "es", "de", "fr", "pt-BR", "ru", "ja", "ko", "hi", "ar"];

  function nameOf(language) {
    return String(language).toLowerCase().split("-")[0];
  }

  function spoken(wanted) {
    return SPOKEN.filter(function (language) {
      return nameOf(language) === nameOf(wanted);
    })[0];
  }

  function chosen() {
    try {
      return JSON.parse(localStorage.getItem("callnet.language"));
    } catch (error) {
      return null;
    }
  }

  var asked = /[?&]lang=([^&]*)/.exec(location.search);
  var wanted = [asked && asked[1], chosen()].concat(navigator.languages || navigator.language);
  var language = wanted.map(spoken).filter(Boolean)[0] || "en";
  root.lang = language;
  root.dir = language === "ar" ? "rtl" : "ltr";
  root.setAttribute("data-words", words);

  var link = document.createElement("link");
  link.rel = "preload";
  link.as = "fetch";
  link.crossOrigin = "anonymous"; // as the fetch of a module
  link.href = words + nameOf(language) + ".json";
  document.head.appendChild(link);

  // In a browser that is too old for the module, or if it is missing. One that can start has by then.
  window.addEventListener("load", function () {
    if (root.getAttribute("data-started") !== null) return;
    document.getElementsByTagName("main")[0].hidden = true;
    document.getElementById("too-old").removeAttribute("hidden");
  });
})();
