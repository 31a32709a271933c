"""Native services: install, start, health, stop."""
