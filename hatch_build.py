"""The build hook that makes a wheel of the daemon require the client of its own version."""

from __future__ import annotations

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ClientOfTheSameVersion(BuildHookInterface[Any]):
    """Adds the dependency on callnet-client, whose version is known when both are built."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002
        """Add it to the metadata of the wheel."""
        build_data["dependencies"].append(f"callnet-client=={self.metadata.version}")
