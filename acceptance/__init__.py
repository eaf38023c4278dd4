"""Proofs on the whole: real daemons, real sockets, real newcomers. ``python -m acceptance --help`` tells more."""
