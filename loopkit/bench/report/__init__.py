"""The ways to show a result; each file takes a `Report` and knows nothing of how it came about."""
