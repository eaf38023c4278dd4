"""Wakes devices that sleep when they are called: by the operator's gateway, or by Web Push."""
