"""The OpenAPI document against a daemon: schemathesis makes requests from it, good ones and bad ones, and judges."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Final

from acceptance.daemon import CountedDaemon, running
from acceptance.proof import Outcome, Proof
from harness import ROOT
from harness.device import Device
from harness.wire import WebSocket, login, post

CHECKS: Final = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "positive_data_acceptance",
    "unsupported_method",
    "allow_header_conformance",
    "judged_by_error_code",
)
"""All that schemathesis has, but for those that need more than one call to tell, and one that ours stands for."""
EXAMPLES: Final = 600
"""For each call; a short slice has a sixth."""
SHOWN: Final = 20
PHONES: Final = ("13800000001", "13800000002", "13800000003")
UNREACHED: Final = (
    "/account/code",
    "/calls/refuse",
    "/devices/push/renew",
    *(f"/pairing/{call}" for call in ("look", "accept", "refuse")),
    *(f"/links/{call}" for call in ("list", "make", "change", "remove")),
)
"""Calls that can not succeed here: codes are sent where ``accounts.enrolment`` is ``otp``, and there nobody could log
in; tickets and subscriptions are of devices that are woken by Web Push; random letters are used up after five; and
links are for claimed devices.
"""
FOLDER: Final = "CALLNET_OPENAPI"
"""The variable of the environment that tells :mod:`acceptance.openapi_hooks` the folder in which these files are."""
SERVER: Final = "server"
"""The URL of the account service."""
PEOPLE: Final = "people.json"
"""Tokens by phone."""
DOCUMENT: Final = "openapi.json"
COUNTS: Final = "counts.json"
"""The counts, once all is over."""
_TELLING: Final = re.compile(r"^_+ [A-Z]+ /|^\s*- |^Error")
"""The lines in which schemathesis names a fault and its place."""
_EXECUTABLE: Final = Path(sys.executable).parent / "schemathesis"


async def furnish(daemon: CountedDaemon) -> dict[str, str]:
    """Log people in who know each other and have a past, so that answers have rows. Returns their tokens by phone."""
    port = daemon.ports["account"]
    tokens = {phone: await login(port, phone, "phone") for phone in PHONES}
    for phone, token in tokens.items():
        await login(port, phone, "tv")
        for contact in PHONES:
            if contact != phone:
                await post(port, "/contacts/add", {"token": token, "contact_phone": contact, "name": "朋友"})
    signaling = daemon.ports["signaling"]
    caller, callee = [Device(await WebSocket.open(signaling, tokens[phone]), (phone, "phone")) for phone in PHONES[:2]]
    caller.call(callee.address)
    called = await callee.next()
    callee.answer(called)
    await caller.next()
    caller.hang_up(callee, called["room_id"])
    await callee.next()
    for missed in (PHONES[2], PHONES[1]):
        caller.call((missed, "tv"))
        await caller.next()
    caller.close()
    callee.close()
    return tokens


def run(daemon: CountedDaemon, folder: Path, examples: int, seed: int) -> tuple[str, Counter[str]]:
    """Have schemathesis test the daemon. Returns its output if anything is wrong, and the counts."""
    server = f"http://127.0.0.1:{daemon.ports['account']}"
    (folder / SERVER).write_text(server)
    (folder / PEOPLE).write_text(json.dumps(asyncio.run(furnish(daemon))))
    shutil.copy(ROOT / "docs" / "openapi.json", folder / DOCUMENT)
    told = {"PYTHONPATH": str(ROOT), "SCHEMATHESIS_HOOKS": "acceptance.openapi_hooks", FOLDER: str(folder)}
    done = subprocess.run(
        [
            *(str(_EXECUTABLE), "run", DOCUMENT, "--url", server, "--checks", ",".join(CHECKS)),
            *("--max-examples", str(examples), "--seed", str(seed), "--continue-on-failure", "--no-color"),
            *("--suppress-health-check", "all", "--generation-database", "none"),
        ],
        cwd=folder,
        env={**os.environ, **told},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    counts = folder / COUNTS
    counted = Counter(json.loads(counts.read_text())) if counts.exists() else Counter()
    return (done.stdout if done.returncode else ""), counted


def misses_of(said: str, counts: Counter[str]) -> list[str]:
    """The misses, by schemathesis's output and the counts."""
    paths = json.loads((ROOT / "docs" / "openapi.json").read_text())["paths"]
    reached = {name.partition(": ")[0] for name in counts if name.endswith(": good data, errorCode 0")}
    found = [line.strip("_ -") for line in said.splitlines() if _TELLING.match(line)]
    return [
        *found[:SHOWN],
        *(["schemathesis failed"] if said and not found else []),
        *(f"{path} never succeeded" for path in paths if path not in reached and path not in UNREACHED),
    ]


def prove(brief: bool, seed: int) -> Outcome:
    """Make a minute's requests, or several thousand."""
    with running("") as daemon, tempfile.TemporaryDirectory() as folder:
        said, counts = run(daemon, Path(folder), EXAMPLES // 6 if brief else EXAMPLES, seed)
        complaints = daemon.complaints()
    print(said, end="")
    misses = [*misses_of(said, counts), *(f"the daemon logged {line}" for line in complaints[:SHOWN])]
    requests = sum(count for name, count in counts.items() if not name.endswith(": rows"))
    return Outcome({"requests": requests, "checks": ", ".join(CHECKS), **dict(sorted(counts.items()))}, misses)


PROOF: Final = Proof(
    "openapi",
    "the daemon does what docs/openapi.json says, whatever it is asked: good data, bad data, other methods",
    prove,
)
