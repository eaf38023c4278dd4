"""Checks the words of pages: `python tools/check_words.py [FOLDER…]`.

FOLDER is `callnet/static`, of the phone, the call page and the page of guests, or `callnet/dashboard`. Each file in
the `words` of a page must have the keys and the placeholders of the English one, the plural forms that CLDR gives its
language, and no text that is empty or was left in English. Each key must be used by the scripts or the HTML of the
page, and each that these use must be there. Names each fault; exit status 1 if there are any.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence, Set
from pathlib import Path
from typing import Any, Final, NamedTuple

PLURALS: Final[Mapping[str, frozenset[str]]] = {
    language: frozenset(categories.split())
    for language, categories in {
        "en": "one other",
        "zh": "other",
        "es": "one many other",
        "de": "one other",
        "fr": "one many other",
        "pt": "one many other",
        "ru": "one few many other",
        "ja": "other",
        "ko": "other",
        "hi": "one other",
        "ar": "zero one two few many other",
    }.items()
}
"""The plural categories of cardinal numbers in each language (CLDR). A test compares them with ``Intl``."""

OF_ONE_NUMBER: Final[Mapping[str, Set[str]]] = {
    "en": {"one"},
    "es": {"one"},
    "de": {"one"},
    "ar": {"zero", "one", "two"},
}
"""The categories that stand for a single number, whose form may do without it, as "One message"."""

SCRIPTS: Final[Mapping[str, str]] = {
    "zh": "\u4e00-\u9fff",
    "ru": "\u0400-\u04ff",
    "ja": "\u3040-\u30ff\u4e00-\u9fff",
    "ko": "\uac00-\ud7a3",
    "hi": "\u0900-\u097f",
    "ar": "\u0600-\u06ff",
}
"""The letters of the languages that do not use Latin ones."""


class Page(NamedTuple):
    """A page that has words."""

    html: str
    scripts: str
    """The folder of its scripts, in which its folder ``words`` is."""


PAGES: Final = (
    Page("index.html", "phone"),
    Page("demo/direct_chat.html", "demo"),
    Page("guest/index.html", "guest"),
    Page("index.html", "."),
)
SHARED: Final = "shared"
"""The folder of the scripts of all pages."""
ROOT_NAMES: Final = {"lang"}
"""Names that ``shared/words.js`` adds to the words."""

_PLACEHOLDER: Final = re.compile(r"\{(\w*)\}")
_NAME: Final = re.compile(r"\bRedis\b")
"""The names that are the same in all languages."""
_ENGLISH_WORD: Final = re.compile(r"[A-Za-z]{5}")
_IN_HTML: Final = re.compile(r'data-(?:say|label)="([\w.]+)"')
_IN_SCRIPT: Final = re.compile(r"(?<![\w./])words((?:\.\w+)+)")
_COMMENT: Final = re.compile(r"/\*.*?\*/|^\s*//[^\n]*", re.MULTILINE | re.DOTALL)

Forms = Mapping[str, str]
"""The plural forms of a text by their category; a text without has one form, of category ``""``."""


def unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Make an object of JSON.

    :raises ValueError: it has a key twice.
    """
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"duplicate key {next(name for name in names if names.count(name) > 1)!r}")
    return made


def leaves(tree: Any, path: str = "") -> Iterator[tuple[str, Forms]]:
    """All texts, each with the path of its key."""
    match tree:
        case str():
            yield path, {"": tree}
        case {"plural": dict(forms)}:
            yield path, forms
        case dict() | list():
            for name, branch in tree.items() if isinstance(tree, dict) else enumerate(tree):
                yield from leaves(branch, f"{path}.{name}" if path else str(name))
        case _:
            yield path, {"": ""}


def placeholders(forms: Forms) -> set[str]:
    """The placeholders of all forms together."""
    return {name for text in forms.values() for name in _PLACEHOLDER.findall(text)}


def form_faults(language: str, forms: Forms) -> Iterator[str]:
    """The faults of one text by itself."""
    if "" not in forms and set(forms) != PLURALS[language]:
        yield f"plural forms {' '.join(sorted(forms))} instead of {' '.join(sorted(PLURALS[language]))}"
    for category, text in forms.items():
        if not text or text != text.strip():
            yield "empty, or space around it"
        if " …" in text:
            yield "an ellipsis that may begin a line: a no-break space stands before it"
        lacks = placeholders(forms) - placeholders({"": text})
        if category in OF_ONE_NUMBER.get(language, ()):
            lacks -= {"count"}
        if lacks:
            yield f"form {category!r} lacks {{{min(lacks)}}}"


def is_left_in_english(language: str, text: str, english: str) -> bool:
    """True if a text was probably not translated. A single word may be the same in both languages."""
    own = _NAME.sub("", _PLACEHOLDER.sub("", text))
    if language in SCRIPTS:
        return _ENGLISH_WORD.search(own) is not None and re.search(f"[{SCRIPTS[language]}]", own) is None
    return text == english and len(re.findall(r"[A-Za-z]{2,}", own)) > 1


def row_faults(texts: Mapping[str, Forms]) -> Iterator[str]:
    """The texts of a list that occur twice: they are to be told from each other."""
    first: dict[tuple[str, str], str] = {}
    for path, forms in texts.items():
        row, _, place = path.rpartition(".")
        if place.isdigit() and (same := first.setdefault((row, forms[""]), path)) != path:
            yield f"{path}: the same as {same}"


def language_faults(language: str, own: Mapping[str, Forms], english: Mapping[str, Forms]) -> Iterator[str]:
    """Compare the words of a language with the English ones."""
    for path in sorted(own.keys() ^ english.keys()):
        yield f"{path}: {'missing' if path in english else 'not in English'}"
    yield from row_faults(own)
    for path in (path for path in own if path in english):
        forms, model = own[path], english[path]
        for fault in form_faults(language, forms):
            yield f"{path}: {fault}"
        if ("" in forms) != ("" in model):
            yield f"{path}: plural forms in one language and none in the other"
        if placeholders(forms) != placeholders(model):
            yield f"{path}: placeholders {sorted(placeholders(forms))} instead of {sorted(placeholders(model))}"
        if language != "en" and any(
            is_left_in_english(language, text, english_text)
            for text in forms.values()
            for english_text in model.values()
        ):
            yield f"{path}: left in English"


def is_used(path: str, said: set[str], script: str) -> bool:
    """True if a page uses a key: its HTML by the path, or a script by its last name or by one that is computed.

    :param said: the paths in the HTML.
    :param script: what the page runs, without comments.
    """
    *groups, name = [step for step in path.split(".") if not step.isdigit()]
    if path in said or re.search(rf"\b{name}\b", script):
        return True
    return any(re.search(rf"\b{group}(\[|\.\$\{{)", script) for group in groups)


def missing(path: str, words: Mapping[str, Any]) -> bool:
    """True if there is no such word. What follows a text is a method of its own."""
    branch: Any = words
    for name in path.split("."):
        if not isinstance(branch, dict) or "plural" in branch:
            return False
        if name not in branch:
            return True
        branch = branch[name]
    return False


def use_faults(folder: Path, page: Page, english: Mapping[str, Any]) -> Iterator[str]:
    """The keys that a page does not use, and the ones that it uses and that do not exist."""
    said = set(_IN_HTML.findall((folder / page.html).read_text(encoding="utf-8")))
    script = source(folder / page.scripts) + source(folder / SHARED)
    called = {chain.removeprefix(".") for chain in _IN_SCRIPT.findall(script)}
    for path in sorted(said | {path for path in called if path.split(".")[0] not in ROOT_NAMES}):
        if missing(path, english):
            yield f"{path}: used and missing"
    for path, _ in leaves(english):
        if not is_used(path, said, script):
            yield f"{path}: not used"


def source(folder: Path, pattern: str = "*.js") -> str:
    """All scripts of a folder, without their comments."""
    texts = [path.read_text(encoding="utf-8") for path in sorted(folder.glob(pattern))]
    return _COMMENT.sub("", "\n".join(texts))


def list_faults(folder: Path, languages: set[str]) -> Iterator[str]:
    """The scripts that list the languages must list the files."""
    lists = {"start.js": (r"SPOKEN = \[(.*?)\]", r'"(\w+)'), "words.js": (r"LANGUAGES = \{(.*?)\n\}", r"^ *\"?(\w+)")}
    for name, (whole, each) in lists.items():
        text = source(folder / SHARED, name)
        found = re.search(whole, text, re.DOTALL)
        listed = set(re.findall(each, found[1], re.MULTILINE)) if found else set()
        if listed != languages:
            yield f"{SHARED}/{name}: lists {' '.join(sorted(listed))}; there are {' '.join(sorted(languages))}"


def page_faults(folder: Path, page: Page) -> Iterator[str]:
    """All faults of the words of a page."""
    trees: dict[str, Any] = {}
    where = Path(page.scripts, "words")
    for path in sorted((folder / where).glob("*.json")):
        try:
            trees[path.stem] = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=unique)
        except ValueError as error:
            yield f"{where}/{path.name}: {error}"
            return
    english = dict(leaves(trees["en"]))
    for language, tree in trees.items():
        if language not in PLURALS:
            yield f"{where}/{language}.json: a language whose plural forms are not known"
            continue
        for fault in language_faults(language, dict(leaves(tree)), english):
            yield f"{where}/{language}.json: {fault}"
    for fault in use_faults(folder, page, trees["en"]):
        yield f"{where}/en.json: {fault}"
    yield from list_faults(folder, set(trees))


def faults(folder: Path) -> Iterator[str]:
    """All faults of the words of the pages in a folder."""
    for page in PAGES:
        if (folder / page.scripts / "words").is_dir():
            yield from page_faults(folder, page)


def main(arguments: Sequence[str]) -> int:
    """Print the faults. Returns the exit status."""
    found = [f"{folder}/{fault}" for folder in arguments for fault in faults(Path(folder))]
    for fault in found:
        print(fault)  # noqa: T201
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or ["callnet/static", "callnet/dashboard"]))
