"""Modules of our pages that need no browser, run by Node.js."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any


def run(module: Path, function: str, argument: object) -> Any:
    """The result of a JavaScript function for a module and an argument."""
    program = f"""
        import * as module from {json.dumps(module.as_uri())};
        console.log(JSON.stringify((await ({function})(module, {json.dumps(argument)})) ?? null));
    """
    command = ("node", "--input-type=module")
    return json.loads(subprocess.run(command, input=program, capture_output=True, check=True, text=True).stdout)
