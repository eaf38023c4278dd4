"""Hooks of schemathesis beside the document: the devices to be, and this service's refusals of bad data.

Schemathesis loads this module in a process of its own, which :mod:`acceptance.openapi` starts.
"""

from __future__ import annotations

import atexit
import json
import os
import re
import urllib.request
import zlib
from collections import Counter
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Any, Final

import schemathesis
from jsonschema_rs import Draft202012Validator
from schemathesis import Case, CheckContext, HookContext, Response

from acceptance.openapi import COUNTS, DOCUMENT, FOLDER, PEOPLE, SERVER

_folder: Final = Path(os.environ[FOLDER])
_document: Final[Mapping[str, Any]] = json.loads((_folder / DOCUMENT).read_text())
_tokens: Final[Mapping[str, str]] = json.loads((_folder / PEOPLE).read_text())
_phones: Final = sorted(_tokens)
_counts: Final[Counter[str]] = Counter()
_cursors: Final[dict[str, str]] = {}
"""The last ``next`` that each call has answered."""

_leaving: Final = count()
_OF_ITSELF: Final = ("/account/logout", "/devices/configure", "/devices/logout", "/devices/remove", "/devices/rename")
"""Calls after which a device may not be there any more: each is of one that has just logged in."""
_ILL_FORMED: Final = re.compile(r" is missing$| must be |^the body is not ")
"""The service's error about data that is not of the form that the document asks for."""


def _validator(path: str) -> Draft202012Validator:
    body = _document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
    return Draft202012Validator({**body, "components": _document["components"]})


_validators: Final = {path: _validator(path) for path, item in _document["paths"].items() if "post" in item}


@schemathesis.hook
def before_call(_context: HookContext, case: Case[Any], _options: dict[str, Any]) -> None:
    """Be somebody, three times in four: random phones and tokens alone would be refused before anything is done.

    What is replaced was a string before, and is one after: data that are bad stay bad.
    """
    if case.method != "POST" or not isinstance(case.body, dict):
        return
    draw = zlib.crc32(json.dumps(case.body, sort_keys=True, default=repr).encode())
    if draw % 4 == 0:
        return
    phone = _phones[draw // 4 % len(_phones)]
    is_leaving = case.operation.path in _OF_ITSELF
    leaving = f"leaving {next(_leaving)}"
    token = _login(phone, leaving)["token"] if is_leaving else _tokens[phone]
    other = _phones[(draw // 4 + 1) % len(_phones)]
    known = {
        "phone": phone,
        "device_id": leaving if is_leaving else f"device {draw % 20}" if draw % 3 else None,
        "token": token,
        "contact_phone": other,
        "after": _cursors.get(case.operation.path),
        "name": "Anna" if case.operation.path == "/links/enter" else None,  # few random texts are a guest's name
    }
    body: dict[str, Any] = {name: _known(value, known.get(name)) for name, value in case.body.items()}
    answered, quiet = body.get("auto_answer"), body.get("do_not_disturb")
    if isinstance(answered, list):
        body["auto_answer"] = [_known(value, other) for value in answered]
    if isinstance(quiet, dict) and "time_zone" in quiet:
        body["do_not_disturb"] = {**quiet, "time_zone": _known(quiet["time_zone"], "Asia/Shanghai")}
    case.body = body
    if "security" in case.operation.definition.raw and draw % 2:
        case.headers["Authorization"] = f"Bearer {token}"


def _known(value: Any, known: str | None) -> Any:
    return known if isinstance(value, str) and known is not None else value


def _login(phone: str, device_id: str) -> Mapping[str, Any]:
    """Log in beside everything else."""
    server = (_folder / SERVER).read_text()
    body = json.dumps({"phone": phone, "device_id": device_id}).encode()
    with urllib.request.urlopen(f"{server}/account/login", body) as answer:  # noqa: S310
        answered: Mapping[str, Any] = json.loads(answer.read())
    return answered


@schemathesis.check
def judged_by_error_code(_context: CheckContext, response: Response, case: Case[Any]) -> None:
    """Data that the document does not allow are answered with ``errorCode`` 2, and those that it allows are not.

    This stands for schemathesis' own ``negative_data_rejection``, which looks at the status: protocol §1 says 200.
    """
    if response.status_code != 200:
        _counts[f"status {response.status_code}"] += 1
        return
    path, answer = case.operation.path, response.json()
    code = answer["errorCode"]
    if isinstance(answer.get("next"), str):
        _cursors[path] = answer["next"]
    rows = sum(len(field) for field in answer.values() if isinstance(field, list))
    if rows:
        _counts[f"{path}: rows"] += rows
    allowed = _is_allowed(path, response.request.body)
    _counts[f"{path}: {'good' if allowed else 'bad'} data, errorCode {code}"] += 1
    if not allowed and code != 2:
        raise AssertionError(f"bad data were answered with errorCode {code}")
    if allowed and code == 2 and answer["message"] != "token is missing" and _ILL_FORMED.search(answer["message"]):
        raise AssertionError(f"good data were answered with: {answer['message']}")


def _is_allowed(path: str, body: Any) -> bool:
    if path not in _validators:
        return True  # nothing is asked there
    try:
        return _validators[path].is_valid(json.loads(body or "", parse_constant=_refuse))
    except ValueError:
        return False


def _refuse(constant: str) -> None:
    raise ValueError(constant)


@atexit.register
def _keep_counts() -> None:
    (_folder / COUNTS).write_text(json.dumps(_counts))
