"""The commands of core/cli.py, a module each kind. Above everything else in core, as core/cli.py is."""
