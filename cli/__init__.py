"""The `satudata` command: one thin module per command."""
