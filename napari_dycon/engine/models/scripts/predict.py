"""Segment scans: python scripts/predict.py --out masks scan.nii.gz ...

The images of a case that has several are given with commas between them, in the order of metadata.json.
"""

import argparse
import logging
import sys
from pathlib import Path

from monai.bundle import ConfigParser

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    """Run configs/inference.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scans", nargs="+", help="NIfTI files, one a case or several with commas")
    parser.add_argument("--out", required=True, help="folder for the masks")
    parser.add_argument("--device", help="cpu or cuda; the graphics card by default, where there is one")
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    sys.path.insert(0, str(ROOT))
    config = ConfigParser()
    config.read_config(str(ROOT / "configs" / "inference.json"))
    config["bundle_root"] = str(ROOT)
    config["scans"] = given.scans
    config["output_dir"] = given.out
    if given.device:
        config["device"] = f"$torch.device({given.device!r})"
    config.get_parsed_content("run")


if __name__ == "__main__":
    main()
