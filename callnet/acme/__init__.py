"""Certificates by ACME (RFC 8555): when to order one, the program that does, and the answers to challenges."""
