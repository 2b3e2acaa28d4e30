"""When sources run by themselves."""
