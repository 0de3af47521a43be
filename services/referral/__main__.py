"""`python -m services.referral` runs the service."""

from services.chassis.serve import serve
from services.referral.app import build
from services.referral.settings import ReferralSettings

serve("referral", ReferralSettings, build)
