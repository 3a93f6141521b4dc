"""`python -m aigc.sweep.child PID WORDS...`: `aigc WORDS` that ends with the process PID, its parent.

It asks the kernel itself. A preexec_fn would run in a fork of a worker, whose heartbeat is another thread.
"""

import os
import sys

from aigc.core import process

if __name__ == "__main__":
    process.die_with_parent()
    if os.getppid() != int(sys.argv.pop(1)):
        sys.exit(1)
    from aigc.cli import main

    sys.exit(main(sys.argv[1:]))
