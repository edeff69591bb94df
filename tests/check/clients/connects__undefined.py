"""Ends before it connects."""

serve = door  # noqa: F821 - this is the fault
