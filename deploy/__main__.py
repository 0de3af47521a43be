"""`python -m deploy` is `meldpunt`."""

import sys

from deploy.cli import main

sys.exit(main())
