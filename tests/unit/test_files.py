"""Files that are replaced as a whole."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from callnet.util import files
from tests.support.system_errors import run_with_error


class FilesTestCase(SynchronousTestCase):
    """A folder."""

    def setUp(self) -> None:
        """An empty one."""
        self.folder = Path(self.mktemp())
        self.folder.mkdir()

    def there(self) -> dict[str, str]:
        """The content of each file in it."""
        return {path.name: path.read_text() for path in self.folder.iterdir()}


class OverwriteTests(FilesTestCase):
    """One file that is replaced."""

    def overwrite(self, error: str, event: str, condition: str) -> str:
        """Replace a file by a program in which an operation fails; returns the last line of its error."""
        path = self.folder / "key"
        path.write_text("old")
        program = "from callnet.util import files; files.overwrite(sys.argv[1], b'new', files.PRIVATE)"
        done = run_with_error(error, event, condition, program, str(path))
        self.assertEqual(1, done.returncode)
        return done.stderr.splitlines()[-1]

    def test_late_error(self) -> None:
        """An error after the file is in its place is the one that is raised."""
        is_directory = "arguments[2] & os.O_DIRECTORY"
        self.assertEqual(
            "OSError: [Errno 5] broken disk", self.overwrite("OSError(5, 'broken disk')", "open", is_directory)
        )
        self.assertEqual({"key": "new"}, self.there())

    def test_interrupted(self) -> None:
        """Nothing of a secret is left beside the file if the operator interrupts it."""
        self.overwrite("SystemExit('interrupted')", "os.rename", "True")
        self.assertEqual({"key": "old"}, self.there())


class DirectoryTests(SynchronousTestCase):
    """Directories, in which names are to outlast a power failure."""

    def test_cannot_be_synced(self) -> None:
        """That of a file system which cannot sync them is left to it."""
        files.sync_directory("/proc/self/status")


class ExchangeTests(FilesTestCase):
    """Files that take the places of others together."""

    def setUp(self) -> None:
        """Two places with something in them, and two drafts."""
        super().setUp()
        self.first, self.second, self.draft, self.other = (self.folder / name for name in ("1", "2", "draft", "other"))
        for path in (self.first, self.second, self.draft, self.other):
            path.write_text(path.name)

    def test_all(self) -> None:
        """Each draft is in its place, or nothing is there; nothing else is left."""
        files.exchange({self.first: self.draft, self.second: None, self.folder / "3": self.other})
        self.assertEqual({"1": "draft", "3": "other"}, self.there())

    def test_none(self) -> None:
        """If one cannot be put in its place, all are where they were."""
        before = self.there()
        drafts = {self.first: self.draft, self.second: None, self.folder / "none" / "3": self.other}
        self.assertRaises(FileNotFoundError, files.exchange, drafts)
        self.assertEqual(before, self.there())
