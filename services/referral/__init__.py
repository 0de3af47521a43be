"""Referral: who holds a case, who acts next, by when; offers to partners and their answers."""
