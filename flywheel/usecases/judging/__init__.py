"""A model as judge: what it is asked, how far it agrees with people, and what its word does."""
