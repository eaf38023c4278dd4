"""Durable state: accounts, devices and contacts in SQL."""
