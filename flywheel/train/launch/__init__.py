"""Launchers: where the trainer program runs."""
