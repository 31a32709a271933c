"""Ideas for better adapters from the same labels, each measured against the plain recipe."""
