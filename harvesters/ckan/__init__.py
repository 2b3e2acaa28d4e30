"""CKAN as a source: packages, file resources, datastore tables."""
