"""Keeps a CKAN in step with our catalog. CKAN is a register beside it: nothing of ours waits for it."""

from catalog.ckan.hook import after_run
from catalog.ckan.sync import SyncReport, sync

__all__ = ["SyncReport", "after_run", "sync"]
