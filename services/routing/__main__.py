"""`python -m services.routing` runs the service."""

from services.chassis.serve import serve
from services.routing.app import build
from services.routing.settings import RoutingSettings

# Processes that prove a register import this module as well, and must not serve.
if __name__ == "__main__":
    serve("routing", RoutingSettings, build)
