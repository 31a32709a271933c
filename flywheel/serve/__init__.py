"""Serving: adapters of the ModelServer port."""
