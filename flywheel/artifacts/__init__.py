"""What stages hand each other: dataset snapshots, base models and adapters, typed and hashed."""
