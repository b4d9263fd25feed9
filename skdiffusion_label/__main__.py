"""``python -m skdiffusion_label``: the command line."""

import sys

from skdiffusion_label._cli import main

if __name__ == "__main__":
    sys.exit(main())
