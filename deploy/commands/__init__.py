"""The command groups of `meldpunt`; each module has `add_commands(subparsers)`."""
