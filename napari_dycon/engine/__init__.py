"""Training, prediction and evaluation: everything between a study on disk and a trained model.

Nothing here prints, shows or asks. Long work is a generator of :mod:`napari_dycon.engine.events`.
"""

import os

# Idle OpenMP threads otherwise spin and starve the interface; only read when torch is first imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
