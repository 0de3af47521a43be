"""`python -m services.routing` runs the service."""

from services.chassis.serve import serve
from services.routing.app import build
from services.routing.settings import RoutingSettings

serve("routing", RoutingSettings, build)
