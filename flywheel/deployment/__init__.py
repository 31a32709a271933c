"""A deployment's own life: how it begins, is checked, moved, backed up and run as programs."""
