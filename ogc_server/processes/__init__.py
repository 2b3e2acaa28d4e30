"""OGC API - Processes: the ministry's questions over HTTP, answered at once or as a job."""
