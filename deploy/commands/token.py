"""`meldpunt token`: a token of the local development issuer."""

import argparse
from datetime import timedelta

from deploy.commands.base import CommandError, Subparsers, add_command, data_root, emit
from deploy.issuer import LIFETIME, Issuer, IssuerRefused


def add_commands(subparsers: "Subparsers[argparse.ArgumentParser]") -> None:
    """Add `token`."""
    parser = add_command(
        subparsers,
        "token",
        _token,
        text="Print a token of the local development issuer; not in production.",
        example="meldpunt token partner --organisation veilig_thuis",
        data=data_root(),
    )
    parser.add_argument("role", metavar="ROLE", help="channel, partner, desk, auditor or operator")
    parser.add_argument("--organisation", metavar="ID", help="the partner's organisation")
    parser.add_argument(
        "--minutes",
        type=int,
        default=int(LIFETIME.total_seconds() // 60),
        metavar="N",
        help="how long it is valid (default: %(default)s, at most 1440)",
    )
    parser.add_argument(
        "--client", default="meldpunt-cli", metavar="NAME", help="the caller's name in the token"
    )


def _token(options: argparse.Namespace) -> int:
    try:
        made = Issuer.open(options.data).issue(
            options.role, options.organisation, options.client, timedelta(minutes=options.minutes)
        )
    except IssuerRefused as error:
        raise CommandError(str(error)) from None
    except OSError as error:
        raise CommandError(f"The key in {options.data}/auth cannot be used: {error}") from None
    emit(options, {"role": options.role, "token": made}, made)
    return 0
