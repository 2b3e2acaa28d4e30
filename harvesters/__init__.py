"""In: one module per protocol, one HTTP client, one engine that keeps every run honest."""
