"""The engine that keeps runs honest: leases, staging, verification, guards, versions, notices."""
