"""Phones, devices, tokens and contacts."""
