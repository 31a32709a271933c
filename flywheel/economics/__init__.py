"""What answers, labels and trainings cost, and what a small model is worth: pure arithmetic."""
