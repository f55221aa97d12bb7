"""``python -m napari_dycon``, the command ``dycon``."""

import sys

from napari_dycon.cli.app import main

sys.exit(main())
