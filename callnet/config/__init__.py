"""The settings: their schema, how they are loaded from TOML, and how they are reloaded."""
