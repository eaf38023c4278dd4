"""Checks the language of comments, docstrings, texts and documents: `python tools/check_language.py PATH…`.

Rejects the words of :data:`BANNED` and docstrings that begin with a relative clause. Names each as `file:line: text`;
exit status 1 if there are any. Code is not checked; a string without a space is a name and counts as code.
"""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from collections.abc import Callable, Iterator, Mapping
from itertools import accumulate
from pathlib import Path
from typing import Final

BANNED: Final = re.compile(
    r"\banew\b|\bwhom\b|\bbe\s+it\b|\blest\b|\bso\s+many\b|\b(is|are|was|were)\s+no\s+good\b|\bin\s+vain\b"
    r"|\bof\s+late\b|\bthat\s+is\s+all\b|\b(comes?|came)\s+to\s+nothing\b",
    re.IGNORECASE,
)
CLAUSE: Final = re.compile(r"\s*(What|How|Who|Whose|Whether|Whom)\b")
EXEMPT: Final = {"vendor", "zh", "CHANGELOG.md"}
"""Files of other projects, the Chinese pages, and released versions."""
MARKDOWN_CODE: Final = re.compile(
    r"^[ >]*(`{3,}|~{3,}).*?^[ >]*\1|(?<!`)(`+)(?!`)(?:(?!\n\n).)+?(?<!`)\2(?!`)", re.MULTILINE | re.DOTALL
)
TOML: Final = re.compile(r'"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\'|#.*|\S')
PROSE: Final = {tokenize.COMMENT, tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING)}


def blank(code: str) -> str:
    """Replace code by dots. Lines and columns stay the same."""
    return re.sub(r"\S", "·", code)


def python(text: str) -> str:
    """Blank all of a Python file except comments and strings."""
    prose = list(blank(text))
    starts = [0, *accumulate(map(len, io.StringIO(text)))]
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type in PROSE and " " in token.string:
            (first, column), (last, end) = token.start, token.end
            place = slice(starts[first - 1] + column, starts[last - 1] + end)
            prose[place] = re.sub("[#\"']", " ", text[place])
    return "".join(prose)


def markdown(text: str) -> str:
    """Blank the code of a Markdown file."""
    return MARKDOWN_CODE.sub(lambda code: blank(code[0]), text)


def toml(text: str) -> str:
    """Blank all of a TOML file except comments."""
    return TOML.sub(lambda part: part[0].replace("#", " ") if part[0][0] == "#" else blank(part[0]), text)


READERS: Final[Mapping[str, Callable[[str], str]]] = {".md": markdown, ".py": python, ".toml": toml}


def clauses(text: str) -> Iterator[int]:
    """The lines of docstrings that begin with a relative clause, those of attributes included."""
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Expr(value=ast.Constant(value=str(docstring))) if CLAUSE.match(docstring):
                yield node.lineno


def faults(path: Path) -> Iterator[str]:
    """Check one file."""
    text = path.read_text(encoding="utf-8")
    reader = READERS.get(path.suffix) or (python if re.match("#!.*python", text) else None)
    if reader is None:
        return
    prose = reader(text)
    found = {prose.count("\n", 0, match.start()) + 1 for match in BANNED.finditer(prose)}
    if reader is python:
        found.update(clauses(text))
    lines = text.split("\n")
    for number in sorted(found):
        yield f"{path}:{number}: {lines[number - 1].strip()}"


def files(path: Path) -> Iterator[Path]:
    """All files to check at a path.

    :raises FileNotFoundError: there is nothing at this path.
    """
    for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if (file.suffix in READERS or not file.suffix) and not file.is_dir() and not EXEMPT.intersection(file.parts):
            yield file


def main() -> None:
    """Check the files and folders that the command line names."""
    found = [fault for path in sys.argv[1:] for file in files(Path(path)) for fault in faults(file)]
    sys.exit("\n".join(found) or None)


if __name__ == "__main__":
    main()
