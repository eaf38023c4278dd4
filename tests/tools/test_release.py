"""tools/release on a repository: git, towncrier and hatchling do their real work on a small project.

It has callnet's own ``pyproject.toml``, and next to nothing else.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Final
from zipfile import ZipFile

from packaging.metadata import Metadata
from twisted.trial.unittest import SynchronousTestCase

from harness import ROOT
from tools.release import Refused
from tools.release.building import SUMS, build
from tools.release.making import check, make
from tools.release.repository import Repository
from tools.release.versions import parse

COPIED: Final = (
    *(".git_archival.txt", ".gitattributes", ".gitignore", "CHANGELOG.md", "LICENSE", "README.md", "pyproject.toml"),
    *("hatch_build.py", "twisted/plugins/callnet_plugin.py"),
    *(f"clients/python/{name}" for name in ("LICENSE", "README.md", "pyproject.toml")),
)
FILES: Final = (
    *("callnet-{}-py3-none-any.whl", "callnet-{}.tar.gz"),
    *("callnet_client-{}-py3-none-any.whl", "callnet_client-{}.tar.gz"),
)
EACH_TIME_ANOTHER: Final = """
import time
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

class Hook(BuildHookInterface):
    def initialize(self, version, build_data):
        with open("callnet/when.txt", "w") as file:
            file.write(str(time.time_ns()))
        build_data["artifacts"].append("callnet/when.txt")
"""


class ReleaseCase(SynchronousTestCase):
    """A small project with one piece of news."""

    def setUp(self) -> None:
        """Commit it."""
        self.root = self.empty()
        self.git("init", "--quiet", "--initial-branch", "main")
        for setting, value in (("user.name", "Somebody"), ("user.email", "somebody@callnet.invalid")):
            self.git("config", setting, value)
        for name in COPIED:
            self.write(name, (ROOT / name).read_text())
        self.write("callnet/__init__.py", "")
        self.write("clients/python/callnet_client/__init__.py", "")
        for place in ("clients/javascript/index.js", "callnet/static/shared/look.js"):
            self.write(place, "")
        self.news()
        self.repository = Repository(self.root)

    def empty(self) -> Path:
        """A folder with nothing in it."""
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        return folder

    def git(self, *words: str) -> str:
        """The output of git."""
        command = ("git", "-C", str(self.root), *words)
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def write(self, name: str, text: str) -> None:
        """Write a file."""
        (self.root / name).parent.mkdir(parents=True, exist_ok=True)
        (self.root / name).write_text(text)

    def commit(self, message: str = "something") -> None:
        """Commit all there is."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)

    def go_on(self) -> None:
        """Commit something else."""
        self.write("callnet/more.py", "")
        self.commit()

    def news(self) -> None:
        """Commit one piece of them."""
        self.write("changes/1.feature.md", "Something can be done.\n")
        self.commit()

    def built(self, repository: Repository | None = None) -> dict[str, str]:
        """The files of the last commit, with their hashes."""
        self.target = self.empty()
        return dict(build(repository or self.repository, self.repository.commit(), self.target))

    def version(self, folder: Path) -> str:
        """The version of the tree in a folder."""
        command = (sys.executable, "-m", "hatchling", "version")
        return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


class MakingTests(ReleaseCase):
    """A release."""

    def test_release(self) -> None:
        """The news is gathered, committed and tagged, and the files of that version are there with their hashes."""
        hashes = make(self.repository, "1.0.0")
        self.assertEqual("release 1.0.0", self.git("show", "--no-patch", "--format=%s", "v1.0.0^{commit}"))
        self.assertEqual(("tag", "v1.0.0"), (self.git("cat-file", "-t", "v1.0.0"), self.git("describe")))
        self.assertRegex((self.root / "CHANGELOG.md").read_text(), r"\n## 1\.0\.0 \(\d{4}-\d\d-\d\d\)\n")
        self.assertIn("\n- Something can be done. (issue 1)\n", (self.root / "CHANGELOG.md").read_text())
        self.assertEqual([], list(self.root.glob("changes/*")))
        self.assertEqual("", self.git("status", "--porcelain"))
        self.assertEqual([name.format("1.0.0") for name in FILES], list(hashes))
        subprocess.run(
            ["sha256sum", "--strict", "--check", SUMS], cwd=self.root / "dist", check=True, capture_output=True
        )

    def test_the_next_one(self) -> None:
        """News of the next release stands above those of the one before; in between, it has a version in between."""
        make(self.repository, "1.0.0")
        self.news()
        self.assertEqual(f"1.0.1.dev1+g{self.repository.commit()[:9]}", self.version(self.root))
        make(self.repository, "1.1.0rc1")
        text = (self.root / "CHANGELOG.md").read_text()
        self.assertLess(text.index("towncrier release notes start"), text.index("## 1.1.0rc1"))
        self.assertLess(text.index("## 1.1.0rc1"), text.index("## 1.0.0"))
        self.news()
        make(self.repository, "1.1.0")

    def assert_refused(self, why: str, version: str = "1.0.0") -> None:
        """It is not made, for this reason, and everything is as before."""
        before = (self.repository.commit(), self.repository.tags(), self.git("status", "--porcelain"))
        failure = self.assertRaises(Refused, make, self.repository, version)
        self.assertIn(why, str(failure))
        self.assertEqual(before, (self.repository.commit(), self.repository.tags(), self.git("status", "--porcelain")))
        self.assertFalse((self.root / "dist").exists())

    def test_what_is_not_committed(self) -> None:
        """Nothing that is not committed may be there, changed or new."""
        self.write("README.md", "changed\n")
        self.assert_refused("not committed: README.md")
        self.git("checkout", "README.md")
        self.write("callnet/new.py", "")
        self.assert_refused("not committed: callnet/new.py")

    def test_what_it_may_be_called(self) -> None:
        """Its version is one of a release, newer than the last, and has no tag yet."""
        self.assert_refused("no version of a release", "1.0")
        self.git("tag", "v1.0.0")
        self.assert_refused("there is a tag v1.0.0 already")
        for version in ("0.9.9", "1.0.0rc1"):
            self.assert_refused("not newer than 1.0.0", version)

    def test_an_older_line(self) -> None:
        """A release may be made of an older line when a newer one has gone on."""
        self.git("tag", "v1.0.0")
        self.git("branch", "older")
        self.go_on()
        self.git("tag", "v1.1.0")
        self.git("checkout", "--quiet", "older")
        check(self.repository, parse("1.0.1"))
        self.assertRaises(Refused, check, self.repository, parse("1.1.0"))

    def test_where(self) -> None:
        """It is made on a branch, of the whole history."""
        self.git("checkout", "--quiet", "--detach")
        self.assert_refused("not a symbolic ref")
        self.git("checkout", "--quiet", "main")
        shallow = Path(self.mktemp()).absolute()
        self.go_on()
        self.git("clone", "--quiet", "--depth", "1", f"file://{self.root}", str(shallow))
        failure = self.assertRaises(Refused, make, Repository(shallow), "1.0.0")
        self.assertIn("git fetch --unshallow --tags", str(failure))

    def test_no_news(self) -> None:
        """Without news there is nothing to release."""
        self.git("rm", "--quiet", "changes/1.feature.md")
        self.commit()
        self.assert_refused("no news")

    def test_what_cannot_be_built(self) -> None:
        """When it cannot be built, the commit and the tag are gone again, and the news is there."""
        self.git("rm", "--quiet", "LICENSE", "README.md")
        self.commit()
        self.assert_refused("-m build failed")
        self.assertTrue((self.root / "changes" / "1.feature.md").exists())

    def test_what_is_another_each_time(self) -> None:
        """The same holds if two builds differ."""
        self.write("hatch_build.py", EACH_TIME_ANOTHER)
        self.commit()
        self.assert_refused("it is not the same: callnet-1.0.0-py3-none-any.whl")


class BuildingTests(ReleaseCase):
    """The files of a commit."""

    def test_the_same(self) -> None:
        """In another clone, at another time and with another umask, they are the same to the byte."""
        clone = Path(self.mktemp()).absolute()
        self.git("clone", "--quiet", str(self.root), str(clone))
        here = self.built()
        self.addCleanup(os.umask, os.umask(0o077))
        self.assertEqual(here, self.built(Repository(clone)))
        self.assertEqual(len(FILES), len(here))
        digests = [hashlib.sha256((self.target / name).read_bytes()).hexdigest() for name in here]
        self.assertEqual(list(here.values()), digests)

    def test_what_is_not_in_them(self) -> None:
        """Uncommitted changes are not in the files, and do not change their version."""
        before = self.built()
        self.write("callnet/new.py", "")
        self.write("README.md", "changed\n")
        self.assertEqual(before, self.built())

    def test_what_the_environment_says(self) -> None:
        """The version is git's, whatever the environment says."""
        os.environ["SETUPTOOLS_SCM_PRETEND_VERSION_FOR_CALLNET"] = "9.9.9"
        self.addCleanup(os.environ.pop, "SETUPTOOLS_SCM_PRETEND_VERSION_FOR_CALLNET")
        self.assertEqual([], [name for name in self.built() if "9.9.9" in name])

    def test_sdist(self) -> None:
        """The sdist has all files of git, and its version is known wherever it is unpacked."""
        self.git("tag", "v1.2.3")
        self.built()
        with tarfile.open(self.target / "callnet-1.2.3.tar.gz") as archive:
            names = {name.removeprefix("callnet-1.2.3/") for name in archive.getnames()}
            archive.extractall(self.target, filter="data")
        known = set(self.git("ls-files").splitlines())
        self.assertEqual((known - {".git_archival.txt", ".gitattributes"}) | {"PKG-INFO"}, names)
        self.assertEqual("1.2.3", self.version(self.target / "callnet-1.2.3"))

    def test_client(self) -> None:
        """The client has the daemon's version, also where its sdist is unpacked, and the daemon requires just that."""
        self.git("tag", "v1.2.3")
        self.built()
        with tarfile.open(self.target / "callnet_client-1.2.3.tar.gz") as archive:
            archive.extractall(self.target, filter="data")
        command, folder = (
            (sys.executable, "-m", "hatchling", "metadata", "version"),
            self.target / "callnet_client-1.2.3",
        )
        told = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
        self.assertEqual("1.2.3", told.stdout.strip())
        with ZipFile(self.target / "callnet-1.2.3-py3-none-any.whl") as wheel:
            metadata = Metadata.from_email(wheel.read("callnet-1.2.3.dist-info/METADATA"))
        self.assertIn("callnet-client==1.2.3", map(str, metadata.requires_dist or ()))


class VersionTests(ReleaseCase):
    """The version of a tree that is not a release."""

    def test_without_a_tag(self) -> None:
        """Without a tag the commits are counted, in a shallow clone those that are there."""
        self.assertEqual(f"0.1.0.dev1+g{self.repository.commit()[:9]}", self.version(self.root))
        self.go_on()
        shallow = Path(self.mktemp()).absolute()
        self.git("clone", "--quiet", "--depth", "1", f"file://{self.root}", str(shallow))
        self.assertEqual(f"0.1.0.dev1+g{self.repository.commit()[:9]}", self.version(shallow))
        hashes = build(Repository(shallow), "HEAD", self.empty())
        self.assertIn(f"callnet-0.1.0.dev1+g{self.repository.commit()[:9]}.tar.gz", hashes)

    def exported(self, *words: str) -> Path:
        """The tree that ``git archive`` writes."""
        folder = self.empty()
        archive = subprocess.run(["git", "-C", str(self.root), "archive", *words], check=True, capture_output=True)
        subprocess.run(["tar", "--extract", "--directory", str(folder)], check=True, input=archive.stdout)
        return folder

    def test_exported(self) -> None:
        """An archive that git has written knows its version, of a release and of the commits after it."""
        self.git("tag", "--annotate", "v1.2.3", "--message", "it")
        self.assertEqual("1.2.3", self.version(self.exported("v1.2.3")))
        self.go_on()
        self.assertEqual(f"1.2.4.dev1+g{self.repository.commit()[:9]}", self.version(self.exported("HEAD")))

    def test_other_tags(self) -> None:
        """A tag that is none of a release counts for nothing."""
        self.git("tag", "v1.2.3")
        self.go_on()
        self.git("tag", "nightly-2026")
        self.assertTrue(self.version(self.root).startswith("1.2.4.dev1+g"))

    def test_without_git(self) -> None:
        """Where neither git nor an archive of its says so, it is the least of all; the environment may say."""
        folder = self.empty()
        for name in ("pyproject.toml", "README.md", "LICENSE"):
            shutil.copy(self.root / name, folder)
        shutil.copytree(self.root / "callnet", folder / "callnet")
        self.assertEqual("0.1.0.dev0", self.version(folder))
        os.environ["SETUPTOOLS_SCM_PRETEND_VERSION_FOR_CALLNET"] = "1.2.3"
        self.addCleanup(os.environ.pop, "SETUPTOOLS_SCM_PRETEND_VERSION_FOR_CALLNET")
        self.assertEqual("1.2.3", self.version(folder))
