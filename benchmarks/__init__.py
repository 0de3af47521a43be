"""The pipeline measured beside its ceilings, a bare skeleton and a naive design, in one run."""
