"""What is known of the data: records, sources, runs, versions, region codes, audit.

This room is the ground floor. It imports nothing of ours, so errors, messages, settings and the
clock, which every other room needs, live here too. Where to look:

* `store`: `Catalog.open(url)`, the front door; it holds the books `runs`, `datasets`, `versions`,
  `regions` and `audit`.
* `tables`, `database`, `migrations`: how it is kept, alike on SQLite and PostgreSQL.
* `datasets` with `curation` (harvested + overlay = what readers see), `dataset_index` and `search`.
* `codes` (pure: read and write kode wilayah), `regions` with `region_rows` and `region_moves`.
* `config` with `sources`, `settings`, `yaml_file`, `secrets`: what a person writes in `config/`.
* `metadata` and `ckan`: the record in other formats, and the CKAN kept in step.
"""
