"""The four seams where two real implementations exist, and the values that cross them."""
