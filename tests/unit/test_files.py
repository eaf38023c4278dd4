"""Files that are replaced as a whole."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from callnet.util import files


class FilesTestCase(SynchronousTestCase):
    """A folder."""

    def setUp(self) -> None:
        """An empty one."""
        self.folder = Path(self.mktemp())
        self.folder.mkdir()

    def there(self) -> dict[str, str]:
        """The content of each file in it."""
        return {path.name: path.read_text() for path in self.folder.iterdir()}


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
