"""Accounts: phones, devices, tokens, contacts."""
