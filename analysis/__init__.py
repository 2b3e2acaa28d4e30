"""The ministry's questions: plain functions over tables and geometries (issue 2 of the plan)."""
