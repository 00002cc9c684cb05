"""``python -m streams.cli``: the ``driftline`` command where no script is installed."""

import sys

from streams.cli.main import main

sys.exit(main())
