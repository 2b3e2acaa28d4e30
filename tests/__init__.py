"""Tests, one folder per room; `servers/` starts the real upstream servers."""
