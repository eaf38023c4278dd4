"""Helpers that know nothing of calls: Deferreds, logging, files, timers, addresses."""
