"""A plan with small stand-ins for services, so that the supervisor is tested without them."""

import sys
from collections.abc import Sequence

from contracts.topics import TopicSpec
from deploy.local.environment import StackContext, service_environment
from deploy.local.plan import StackPlan
from deploy.local.process import Program

SERVICES = ("intake", "referral")
TOPICS = (TopicSpec("standin", 2, 60_000, "intake"),)

# Answers /livez and /readyz; /break makes it answer 503 from then on.
SOURCE = """
import http.server, os, sys
class Handler(http.server.BaseHTTPRequestHandler):
    well = True
    def do_GET(self):
        if self.path == "/break":
            Handler.well = False
        self.send_response(200 if Handler.well else 503)
        self.end_headers()
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


def programs(context: StackContext) -> Sequence[Program]:
    return [_program(service, context) for service in SERVICES]


def _program(service: str, context: StackContext) -> Program:
    url = context.base_url(service)
    return Program(
        service,
        (sys.executable, "-c", SOURCE, str(context.ports[service])),
        service_environment(service, context),
        context.ports[service],
        f"{url}/livez",
        f"{url}/readyz",
    )


PLAN = StackPlan(programs, SERVICES, TOPICS, "standin")
REFERENCE = f"{__name__}:PLAN"
