"""`python -m aigc` is `aigc`."""

import sys

from aigc.cli import main

sys.exit(main())
