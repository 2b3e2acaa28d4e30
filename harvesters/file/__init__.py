"""Vector files, archives and folders, local or over HTTP."""
