"""How far a model as judge agrees with people, and what its verdicts add to their figure."""
