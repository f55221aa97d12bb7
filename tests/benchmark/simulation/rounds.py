"""A small simulation, and how it is run."""

from napari_dycon.benchmark.simulation import Protocol

TINY = {
    "patch_size": [32, 32, 32],
    "network": {"widths": [8, 16], "strides": [[2, 2, 2]]},
    "averaged": False,
}


def asked(scans):
    return Protocol(
        images=scans / "images",
        labels=scans / "labels",
        strategies=("random_foreground", "even"),
        rounds=1,
        per_round=3,
        first_iterations=4,
        iterations=3,
        device="cpu",
        overrides=TINY,
    )


def run(simulation, told):
    steps = simulation.run()
    while True:
        try:
            told.append(next(steps))
        except StopIteration as end:
            return end.value
