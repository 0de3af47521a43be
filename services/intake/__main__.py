"""`python -m services.intake`."""

from services.chassis.serve import serve
from services.intake.app import build
from services.intake.settings import IntakeSettings

if __name__ == "__main__":
    serve("intake", IntakeSettings, build)
