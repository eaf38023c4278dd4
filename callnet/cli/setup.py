"""``callnet setup``: this machine serves a name, by one command."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from stat import S_IROTH, S_IXOTH
from tempfile import NamedTemporaryFile
from typing import Any, Final

import click
from cryptography import x509

from callnet.cli.common import CommandError, read_phones
from callnet.cli.doctor import show
from callnet.config.load import load
from callnet.config.schema import AccountSettings, Settings
from callnet.doctor.findings import Level
from callnet.doctor.network import behind_nat
from callnet.errors import StartError
from callnet.frames.ice import is_stun_uri
from callnet.setup import steps
from callnet.setup.machine import System, check, gather
from callnet.setup.steps import Job, Record, Step, Wanted, is_name, read_record, settings_in

_CONTACT: Final = re.compile(r"[!-~]+@[!-~]+")


def _stun(context: click.Context, option: click.Parameter, uri: str) -> str:
    if uri and not is_stun_uri(uri):
        raise click.BadParameter("not a URI such as stun:stun.example.org:3478", context, option)
    return uri


@click.command()
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option("--contact", help="Give this mail address to the authority that signs certificates.")
@click.option("--phone", "phones", multiple=True, help="Make an account with this number, twice.  [default: 101, 102]")
@click.option("--stun", metavar="URI", default="", callback=_stun, help="Ask this STUN server for the public address.")
@click.option(
    "--external", "addresses", multiple=True, metavar="ADDRESS", help="Name the public address of a NAT in front."
)
@click.option("--directory", metavar="URL", help="Use the certificate authority with this ACME directory.")
@click.option(
    "--ca",
    type=click.Path(exists=True, dir_okay=False, resolve_path=True),
    metavar="FILE",
    help="Trust the authority in this PEM file at the directory.",
)
@click.option("--no-packages", is_flag=True, help="Install no packages.")
@click.option("--yes", is_flag=True, help="Ask nothing.")
@click.option("--dry-run", is_flag=True, help="Show what would be done, and change nothing.")
@click.option("--remove", is_flag=True, help="Undo what setup has done. Accounts are kept.")
@click.option("--purge", is_flag=True, help="With --remove: remove accounts and keys as well.")
@click.pass_context
def setup(
    context: click.Context,
    names: tuple[str, ...],
    contact: str | None,
    phones: tuple[str, ...],
    stun: str,
    addresses: tuple[str, ...],
    directory: str | None,
    ca: str | None,
    no_packages: bool,
    yes: bool,
    dry_run: bool,
    remove: bool,
    purge: bool,
) -> None:
    """Set up callnet on this machine for a NAME such as calls.example.org.

    Checks names, ports and NAT; then installs the relay coturn, writes the settings, starts the service and makes two
    accounts, whose QR codes it shows. Run as root. Run again it repairs what is wrong, with the answers of the last
    time, and changes nothing else.
    """
    if purge and not remove:
        raise click.UsageError("--purge needs --remove")
    system = context.obj or System()
    if not system.is_root:
        raise CommandError("run this as root")
    record = read_record(system)
    if remove:
        _remove(system, record, purge, yes)
        return
    given = {"contact": contact, "directory": directory, "ca": ca, "external": addresses or None}
    wanted = _wanted(record.answers, names, phones, given)
    _require_authority(wanted.ca)
    wanted = wanted.with_(phones=_phones(system, wanted.phones))
    if wanted.contact is None:
        wanted = wanted.with_(contact="" if yes else click.prompt("Mail address for the certificate", default=""))
    facts = gather(system, wanted.names, stun)
    found = list(check(facts, record.has_relay))
    for finding in found:
        show(finding)
    if any(finding.level is Level.BAD for finding in found):
        raise CommandError("nothing was changed; correct this, and run it again")
    wanted = wanted.with_(found=behind_nat(chain(*facts.resolved.values()), facts.addresses))
    _require_valid(wanted)
    job, plan = Job(system, wanted, facts, record, click.echo, not no_packages), steps.steps()
    todo = [sentence for step in plan if (sentence := step.look(job))]
    if not todo:
        click.echo("Nothing to do.")
        return
    click.echo("To do:" + "".join(f"\n  - {sentence}" for sentence in todo))
    if dry_run:
        return
    if not yes:
        click.confirm("Do this?", abort=True)
    record.answers = wanted
    _do(job, plan)


def _phones(system: System, texts: Sequence[str]) -> Sequence[str]:
    """The two numbers, as accounts have them."""
    which = settings_in(system.text(steps.SETTINGS) or "").get("accounts.phone_format", AccountSettings().phone_format)
    phones = read_phones(Settings(accounts=AccountSettings(phone_format=which)), *texts)
    if len(set(phones)) != 2:
        raise CommandError("--phone: give two different numbers")
    return phones


def _wanted(before: Wanted | None, names: Sequence[str], phones: Sequence[str], answers: Mapping[str, Any]) -> Wanted:
    """The answers: those given now, and else those of the last time."""
    for name in names:
        if not is_name(name):
            raise CommandError(f"{name!r} is not a host name such as calls.example.org")
    if before is None and not names:
        raise CommandError("name this machine as browsers will, for example: callnet setup calls.example.org")
    if answers["contact"] and not _CONTACT.fullmatch(answers["contact"]):
        raise CommandError("--contact: not a mail address such as operator@example.org")
    given = {name: value for name, value in answers.items() if value is not None}
    wanted = before or Wanted(names)
    return wanted.with_(**given, **({"names": names} if names else {}), **({"phones": phones} if phones else {}))


def _require_authority(path: str) -> None:
    """Check the file of ``--ca``, which the service reads as a user that may not exist yet.

    :raises CommandError: it is unusable.
    """
    if not path:
        return
    file = Path(path)
    try:
        x509.load_pem_x509_certificates(file.read_bytes())
        is_public = all(folder.stat().st_mode & S_IXOTH for folder in file.parents) and file.stat().st_mode & S_IROTH
    except OSError as error:
        raise CommandError(f"--ca: cannot read {path}: {error.strerror}") from None
    except ValueError:
        raise CommandError(f"--ca: {path} has no certificate in PEM") from None
    if not is_public:
        raise CommandError(f"--ca: {path} must be readable by everybody, and its folders open to them")


def _require_valid(wanted: Wanted) -> None:
    """Check the settings as the daemon does.

    :raises CommandError: it would not start with them.
    """
    if not wanted.external and len(wanted.found) > 1:
        raise CommandError(f"the names lead to {', '.join(wanted.found)}: give one of them with --external")
    with NamedTemporaryFile("w", encoding="utf-8", prefix="callnet-", suffix=".toml") as draft:
        draft.write(wanted.written())
        draft.flush()
        try:
            load(draft.name, {})
        except StartError as error:
            raise CommandError(str(error).removeprefix(f"{draft.name}: ")) from None


def _do(job: Job, plan: Sequence[Step]) -> None:
    try:
        for step in plan:
            sentence = step.look(job)
            if sentence:
                click.echo(f"{sentence} ...")
                step.do(job)
                job.keep()
    finally:
        job.keep()
    if not job.facts.has_systemd:
        click.echo(f"There is no systemd here. To start callnet, run as root:\n\n    {steps.by_hand(job.system)}\n")


def _remove(system: System, record: Record, purge: bool, yes: bool) -> None:
    if not yes:
        click.confirm("Undo what setup has done" + (", and remove all accounts?" if purge else "?"), abort=True)
    for sentence in steps.undo(system, record, purge) or ["Nothing to do."]:
        click.echo(sentence)
