"""``python -m tools.release dist``, and ``python -m tools.release release VERSION``."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Final

import click

from tools.release import ROOT, making
from tools.release.building import build, deliver, sums
from tools.release.repository import Repository
from tools.release.versions import parse, tag_of

NEXT: Final = """
callnet {version} is committed and tagged here. Its files are in dist/, and the same when they are built twice:

{sums}
Nothing has been pushed or published. What is left:

  .ci/run       must pass at {tag}
  make audit    must say that nothing is known to be wrong with what is locked
  make deb      adds the Debian package to dist/
  git push --atomic REMOTE {branch} {tag}

and to publish what is in dist/ (docs/releases.md). To take it back, as long as nothing was pushed:

  git reset --hard {tag}^ && git tag --delete {tag}
"""


@click.group()
def main() -> None:
    """The files of a release, and the release."""


@main.command()
def dist() -> None:
    """Build the last commit into dist/."""
    repository = Repository(ROOT)
    with tempfile.TemporaryDirectory(prefix="callnet-dist-") as name:
        hashes = build(repository, repository.commit(), Path(name))
        deliver(Path(name), hashes, ROOT / making.DIST)
    if repository.changes():
        click.echo("What has been changed and not committed is not in them.")
    click.echo(sums(hashes), nl=False)


@main.command()
@click.argument("version")
def release(version: str) -> None:
    """Make the release VERSION of what is checked out."""
    repository = Repository(ROOT)
    hashes = making.make(repository, version)
    tag, branch = tag_of(parse(version)), repository.branch()
    click.echo(NEXT.format(version=version, sums=sums(hashes), tag=tag, branch=branch))


main()
