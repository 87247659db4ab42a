"""python -m int8x: the same as the int8x command."""

import sys

from int8x.cli import main

if __name__ == "__main__":
    sys.exit(main())
