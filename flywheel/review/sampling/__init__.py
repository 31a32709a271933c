"""Which answers people are asked about, when, and how many."""
