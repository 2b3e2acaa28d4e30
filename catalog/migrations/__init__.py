"""Migrations of the catalog database, packaged with it and run when it is opened."""
