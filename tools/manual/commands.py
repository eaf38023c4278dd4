"""callnet(1): each command with its help and its options."""

from __future__ import annotations

from collections.abc import Iterator
from inspect import cleandoc
from typing import Final

import click

from tools.manual import roff

_END: Final = r"""
.SH "EXIT STATUS"
0 if it has done what was asked, 1 if not, 2 if the command was not understood.
.SH FILES
.TP
.I /etc/callnet/callnet.toml
The settings. As Debian's package installs it,
.B callnet
reads these unless
.B \-\-config
or
.B CALLNET_CONFIG
names others, and what root has it do is done as the user
.IR callnet .
.TP
.I /etc/callnet/secrets
Settings that hold secrets, a line each:
.BR CALLNET_REDIS_URL ,
.B CALLNET_DATABASE_URL
and
.BR CALLNET_SIGNING_KEY .
.TP
.I /var/lib/callnet
What the service keeps: the database, the keys, the certificate that it makes itself.
.SH "SEE ALSO"
.BR callnet.toml (5),
.IR /usr/share/doc/callnet/operating.md
"""


def page(main: click.Command, version: str) -> Iterator[str]:
    """The lines of the page."""
    context = click.Context(main, info_name="callnet")
    yield roff.heading("callnet", 1, version)
    yield from (".SH NAME", r"callnet \- tools for the callnet server, for one\-to\-one video calls")
    yield from (".SH SYNOPSIS", roff.bold("callnet"), roff.plain(" ".join(main.collect_usage_pieces(context))))
    yield from (".SH DESCRIPTION", *_help(main, ".PP"), "The server itself is a service: see systemctl(1).")
    yield from (".SH OPTIONS", *_options(context), ".SH COMMANDS")
    for each in _within(context):
        yield from _command(each)
    yield from _END.strip().splitlines()


def _within(context: click.Context) -> Iterator[click.Context]:
    """The commands of a group, and those of groups in it."""
    group = context.command
    if not isinstance(group, click.Group):
        return
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is not None and not command.hidden:
            inner = click.Context(command, info_name=name, parent=context)
            yield inner
            yield from _within(inner)


def _command(context: click.Context) -> Iterator[str]:
    usage = (context.command_path, *context.command.collect_usage_pieces(context))
    yield from (".TP", roff.bold(" ".join(usage)), *_help(context.command, ".IP"), ".RS", *_options(context), ".RE")


def _help(command: click.Command, between: str) -> Iterator[str]:
    return roff.paragraphs(cleandoc(command.help or "").splitlines(), between)


def _options(context: click.Context) -> Iterator[str]:
    """The options of a command. Each has ``--help``, which is described for the first alone."""
    command = context.command
    for parameter in command.params if context.parent else command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None and isinstance(parameter, click.Option):
            yield from (".TP", roff.bold(record[0]), *roff.paragraphs(record[1].splitlines()))
