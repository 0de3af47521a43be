"""What others may copy: example cases and programs for partners."""
