"""The one HTTP client: time-outs, retries, limits, address policy, secrets, cancel."""
