"""``python -m napari_dycon.cli``."""

import sys

from napari_dycon.cli.app import main

sys.exit(main())
