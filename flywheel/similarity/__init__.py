"""Text similarity shared by review, dataset and drift: same text, nearly the same, same meaning."""
