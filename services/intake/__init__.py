"""Intake: takes reports, gives signed receipts, keeps what was said sealed, tells how it goes."""
