"""Personal data found by content: the guard on every way in."""
