"""CSV and XLSX: encoding, delimiter and types found in the bytes."""
