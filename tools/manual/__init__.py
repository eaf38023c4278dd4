"""The manual pages: callnet(1) from the commands, callnet.toml(5) from ``etc/callnet.toml``.

click-man was tried for the first. It makes a page of each command, without exit status, files and ``--help``, cuts the
line of its name, drops lines of a help text that begin with a dot, and does not see commands that are imported late.
"""
