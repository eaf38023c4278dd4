"""The manual pages: callnet(1) from the commands as they are, callnet.toml(5) from what ``etc/callnet.toml`` says."""
