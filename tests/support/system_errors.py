"""Errors of the operating system at one place of a program, raised by an audit hook, which cannot be removed again."""

from __future__ import annotations

import subprocess
import sys

_PROGRAM = """
import os, sys
def refuse(event, arguments):
    if event == {event!r} and {condition}:
        raise {error}
sys.addaudithook(refuse)
{program}
"""


def run_with_error(
    error: str, event: str, condition: str, program: str, *arguments: str
) -> subprocess.CompletedProcess[str]:
    """Run a Python program in which an operation fails.

    :param error: an expression: the exception.
    :param event: the operation, by its name as an audit event of Python, such as ``os.link``.
    :param condition: an expression with the event's ``arguments``: true if this one fails.
    """
    text = _PROGRAM.format(event=event, condition=condition, error=error, program=program)
    return subprocess.run([sys.executable, "-c", text, *arguments], capture_output=True, text=True, check=False)
