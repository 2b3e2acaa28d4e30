"""Queries turned into SQL, the same for both stores."""
