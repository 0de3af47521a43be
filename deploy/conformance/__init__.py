"""The conformance run: a sandbox before meldpunt, test cases of the real chain, and the checks."""
