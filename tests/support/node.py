"""Modules of our pages that need no browser, run by Node.js."""

from __future__ import annotations

import json
import subprocess
from functools import cache
from pathlib import Path
from typing import Any, Final

_SERVER: Final = """
const { Worker } = require("node:worker_threads");
const programs = require("node:readline").createInterface({ input: process.stdin });
programs.on("line", (program) => {
    const worker = new Worker(JSON.parse(program), { eval: true });
    worker.on("message", console.log);
    worker.on("error", (error) => console.log(JSON.stringify({ error: error.stack })));
});
"""
"""Runs programs, each with modules and a global object of its own: a thread costs less than another Node.js."""


@cache
def _node() -> subprocess.Popen[str]:
    """The process. It ends with this one."""
    return subprocess.Popen(("node", "--eval", _SERVER), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def run(module: Path, function: str, argument: object) -> Any:
    """The result of a JavaScript function for a module and an argument."""
    program = f"""
        import({json.dumps(module.as_uri())}).then(async (module) => {{
            const result = await ({function})(module, {json.dumps(argument)});
            require("node:worker_threads").parentPort.postMessage(JSON.stringify({{ result: result ?? null }}));
        }});
    """
    node = _node()
    assert node.stdin is not None
    assert node.stdout is not None
    print(json.dumps(program), file=node.stdin, flush=True)
    answer = json.loads(node.stdout.readline())
    assert "error" not in answer, answer["error"]
    return answer["result"]
