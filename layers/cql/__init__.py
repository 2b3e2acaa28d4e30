"""CQL2 text and JSON read into one syntax tree, bounded in depth and length."""
