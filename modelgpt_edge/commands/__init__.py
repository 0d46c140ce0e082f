"""Thin commands: each parses its options, calls the API, and prints; nothing is decided here."""
