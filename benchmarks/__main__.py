"""`python -m benchmarks` is `meldpunt bench`."""

import argparse
import sys

from benchmarks.cli import add_commands
from deploy.commands.base import CommandError, say


def main() -> int:
    """Run the command; status 0 when every requirement is met."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    add_commands(parser.add_subparsers(required=True))
    options = parser.parse_args(["bench", *sys.argv[1:]])
    try:
        return int(options.run(options))
    except CommandError as error:
        say(str(error))
    except KeyboardInterrupt:
        say("Interrupted.")
    return 1


if __name__ == "__main__":
    sys.exit(main())
