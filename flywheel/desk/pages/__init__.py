"""The pages of the release desk, a module for each."""
