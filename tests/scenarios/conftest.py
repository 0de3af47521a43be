"""The services that a hard scenario needs, each on a real PostgreSQL."""

from tests.component.referral.conftest import world

__all__ = ["world"]
