"""Runs audit: `python -m services.audit`."""

from services.audit.app import build
from services.audit.settings import AuditSettings
from services.chassis.serve import serve

serve("audit", AuditSettings, build)
