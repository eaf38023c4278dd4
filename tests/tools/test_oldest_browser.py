"""The faults that ``make lint`` finds in the page for the oldest browser served (tools/oldest_browser)."""

from __future__ import annotations

from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from harness import ROOT
from tools.oldest_browser import Complaint, scripts, sheets
from tools.oldest_browser.__main__ import complaints_in, main


class ScriptTests(SynchronousTestCase):
    """Scripts."""

    def found(self, source: str) -> list[Complaint]:
        """The complaints about a script."""
        return list(scripts.check(source.encode()))

    def test_too_new(self) -> None:
        """Syntax that came after Chromium 80 is named, with its line and the Chromium that brought it."""
        for source, what, version in (
            ("class A { #m() {} }", "private method #m", 84),
            ("class A { static #m() {} }", "private method #m", 84),
            ("class A { get #m() { return 1; } }", "private method #m", 84),
            ("class A { async *#m() {} }", "private method #m", 84),
            ("class A { #x; has(a) { return #x in a; } }", "#x in", 91),
            ("class A { #x; of(a) { return a?.#x; } }", "?.#x", 84),
            ("class A { static { f(); } }", "static block", 94),
            ("a ||= b;", "||=", 85),
            ("a.b &&= c;", "&&=", 85),
            ("this.#a ??= b;", "??=", 85),
            ("await f();", "await outside", 89),
            ("if (a) { await f(); }", "await outside", 89),
            ("for await (const a of b) f();", "await outside", 89),
            ("const a = /b/d;", "flag d", 90),
            ("const a = /[b&&c]/v;", "flag v", 112),
            ("const a = /(?i:b)c/;", "modifiers", 125),
            ('import a from "./a.json" with { type: "json" };', "attribute of an import", 123),
            ('export { a as "b c" };', "in quotes", 88),
            ('import { "b c" as a } from "./a.js";', "in quotes", 88),
        ):
            (complaint,) = self.found(f"// first line\n{source}\n")
            self.assertEqual(2, complaint.line, source)
            self.assertIn(what, complaint.what)
            self.assertIn(f"Chromium {version}", complaint.what)

    def test_calls(self) -> None:
        """Calls that Chromium 80 does not have are named, unless they do without it."""
        for source, version in (
            ('a.replaceAll("b", "c");', 85),
            ("a.b.at(-1);", 92),
            ("Object.hasOwn(a, b);", 93),
            ("structuredClone(a);", 98),
            ("crypto.randomUUID();", 92),
            ("Promise.any(a);", 85),
            ("AbortSignal.timeout(5);", 103),
            ("a.replaceChildren();", 86),
        ):
            (complaint,) = self.found(source)
            self.assertIn(f"Chromium {version}", complaint.what, source)
        for source in (
            "a.replaceChildren?.();",
            "a.at;",
            "at(5);",
            "a.any(b);",
            "a.timeout(5);",
            "const a = { at() {} };",
        ):
            self.assertEqual([], self.found(source), source)

    def test_what_chromium_80_parses(self) -> None:
        """Everything that Chromium 80 parses is accepted."""
        for source in (
            "class A { #x = 1; y = 2; static #z = 3; get x() { return this.#x; } static m() {} }",
            "const a = b?.c?.[d]?.(e) ?? f;",
            "try { f(); } catch { g(); }",
            "const a = 1_000_000 + Number(10n);",
            "const a = /(?<=b)c(?<!d)(?<name>e)\\p{L}(?:f)(?=g)(?!h)/gimsuy;",
            'const a = import("./b.js"); const c = import.meta.url;',
            'export * as a from "./b.js";',
            "async function f() { await g(); for await (const a of b) await h(); }",
            "const f = async () => { await g(); };",
            "const a = { async m() { await g(); }, *n() { yield 1; }, async *o() { yield 2; } };",
            "for (const a of b) { label: for (;;) break label; }",
            "const { a, ...b } = c; const [d = 1, , ...e] = [...f]; const g = 2 ** 3; h **= 2;",
            "a = b || c && d; a |= b; a &= c;",
            'const a = `b ${c("d")} e`;',
            "import a, { b as c } from './d.js'; export { c as default };",
        ):
            self.assertEqual([], self.found(source), source)

    def test_what_is_no_javascript(self) -> None:
        """A script that does not parse at all is named, too."""
        for source in ("const = 5;", "a ||||= b;", "f(;", "const a = <div>b</div>;", "class A {", "@b class A {}"):
            self.assertTrue(self.found(source), source)

    def test_classic(self) -> None:
        """A script that old browsers run must be ES5."""
        for source in (
            "let a;",
            "f(() => 1);",
            "a = `b`;",
            "class A {}",
            "a = { b };",
            "a?.b;",
            "f(...a);",
            "a ||= b;",
        ):
            self.assertTrue(list(scripts.check_classic(source.encode())), source)
        self.assertEqual(
            [], list(scripts.check_classic(b"(function () { var a = { b: 1 }; if (a) f(a.b, /c/g); })();"))
        )


class SheetTests(SynchronousTestCase):
    """Style sheets."""

    def found(self, source: str) -> list[Complaint]:
        """The complaints about a style sheet."""
        return list(sheets.check(source.encode()))

    def test_too_new(self) -> None:
        """Anything that Chromium 80 ignores is named, if nothing older stands beside it."""
        for source, what, version in (
            ("a { inset: 0; }", "inset", 87),
            ("a { aspect-ratio: 16 / 9; }", "aspect-ratio", 88),
            ("a { display: flex; gap: 1rem; }", "gap", 84),
            ("a { gap: 1rem; }", "gap", 84),
            ("a { display: flex; } @media (min-width: 5px) { a { gap: 1rem; } }", "gap", 84),
            ("a { height: 100dvh; }", "dvh", 108),
            ("a { height: calc(100svh - 1px); }", "svh", 108),
            ("a:is(b, c) { color: red; }", ":is()", 88),
            ("a :where(b) { color: red; }", ":where()", 88),
            ("a:not(:has(b)) { color: red; }", ":has()", 105),
            ("a:not(b, c) { color: red; }", ":not()", 88),
            ("a:not(b c) { color: red; }", ":not()", 88),
            ("a:not(.b:hover) { color: red; }", ":not()", 88),
            ("a:not(b[c]) { color: red; }", ":not()", 88),
            ("a:not(:disabled:hover) { color: red; }", ":not()", 88),
            ("a:hover, a:focus-visible { color: red; }", ":focus-visible", 86),
            ("a { color: color-mix(in srgb, red, blue); }", "color-mix", 111),
            ("a { b { color: red; } }", "rule within a rule", 112),
            ("a { &:hover { color: red; } }", "rule within a rule", 112),
            ("@layer a { b { color: red; } }", "@layer", 99),
            ("@media (width >= 5px) { a { color: red; } }", "range", 104),
            ("@media print { a { inset: 0; } }", "inset", 87),
        ):
            complaints = self.found(f"/* first line */\n{source}")
            self.assertEqual(1, len(complaints), (source, complaints))
            self.assertEqual(2, complaints[0].line)
            self.assertIn(what, complaints[0].what)
            self.assertIn(f"Chromium {version}", complaints[0].what)

    def test_with_something_older_beside_it(self) -> None:
        """A fallback for older browsers may come first, and ``@supports`` may guard newer properties."""
        for source in (
            "a { top: 0; right: 0; bottom: 0; left: 0; inset: 0; }",
            "a { height: 5rem; aspect-ratio: 1; }",
            "a { height: 100vh; height: 100dvh; }",
            "@supports (inset: 0) { a { inset: 0; height: 100dvh; } }",
            "a { color: red; color: color-mix(in srgb, red, blue); }",
        ):
            self.assertEqual([], self.found(source), source)
        self.assertTrue(self.found("a { height: 100dvh; height: 100vh; }"))
        self.assertTrue(self.found("@supports (gap: 1px) { a { display: flex; gap: 1px; } }"))

    def test_what_chromium_80_knows(self) -> None:
        """Everything that Chromium 80 knows is accepted."""
        for source in (
            "a { display: grid; gap: 1rem; } @media (max-width: 5px) { a { column-gap: 0; } }",
            "a:focus-visible { outline: none; } a:focus-visible .b, b:focus-visible { color: red; }",
            ":root { --a: clamp(1rem, min(2vw, 3vh), max(1px, 2em)); color: rgb(0 0 0 / 50%); }",
            "a:not( b ) { color: red; } a:not([b]):not(#c):not(:d):not(*):not(:nth-child(2n + 1)) { color: red; }",
            "a:not(.b):focus-within { margin-inline-start: 1px; text-wrap: balance; }",
            "@media (prefers-reduced-motion: reduce) and (min-width: 5px) { * { animation: none !important; } }",
            '@font-face { font-family: "A"; src: url("a.woff2"); }',
            "@keyframes a { from { opacity: 0; } 50% { opacity: 1; } }",
            "@supports (display: grid) { a { color: red; } }",
        ):
            self.assertEqual([], self.found(source), source)

    def test_what_is_no_css(self) -> None:
        """A style sheet that does not parse at all is named, too."""
        for source in ("a { color }", "a { : red; }", "}"):
            self.assertTrue(self.found(source), source)


class FolderTests(SynchronousTestCase):
    """Whole folders."""

    def test_the_page(self) -> None:
        """The oldest browser understands the pages."""
        for folder in ("callnet/static", "callnet/dashboard", "clients/javascript"):
            self.assertEqual([], list(complaints_in(ROOT / folder)))

    def test_a_page(self) -> None:
        """Every script and style sheet is looked at; those that are no modules must be ES5."""
        folder = Path(self.mktemp())
        (folder / "inner").mkdir(parents=True)
        for name, text in {
            "page.html": '<script src="old.js"></script><script type="module" src="inner/new.js"></script>',
            "old.js": "let a;",
            "inner/new.js": "let a;\na ||= 1;",
            "inner/new.css": "a { inset: 0; }",
        }.items():
            (folder / name).write_text(text, encoding="utf-8")
        found = {(path.relative_to(folder).as_posix(), complaint.line) for path, complaint in complaints_in(folder)}
        self.assertEqual({("old.js", 1), ("inner/new.js", 2), ("inner/new.css", 1)}, found)
        with redirect_stdout(StringIO()) as printed:
            self.assertEqual((1, 0), (main([str(folder)]), main([str(folder / "nothing")])))
        self.assertIn("new.js:2: `||=`: since Chromium 85", printed.getvalue())
