"""How the chain is set up and run: the command line and the local stack."""
