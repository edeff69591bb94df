"""What watches the loop at work. Loaded on demand; nothing below imports it."""
