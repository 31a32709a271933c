"""Erasing a person: `erase` in `run` is where to start; each store is a function in `stores`."""
