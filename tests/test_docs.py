"""The documentation says what the program does now."""

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from napari_dycon.cli import app

ROOT = Path(__file__).parents[1]
GENERATE = [sys.executable, "-m", "typer", "napari_dycon.cli.app", "utils", "docs", "--name", "dycon"]


def test_the_reference_of_the_command_line_is_current():
    printed = subprocess.run(GENERATE, capture_output=True, text=True, check=True, cwd=ROOT).stdout
    written = (ROOT / "docs" / "reference" / "cli.md").read_text(encoding="utf-8")
    assert printed.strip() == written.strip(), (
        f"regenerate it: python {' '.join(GENERATE[1:])} --output docs/reference/cli.md"
    )


@pytest.mark.parametrize(
    "page",
    [
        "README.md",
        "docs/how-to/headless.md",
        "docs/how-to/import.md",
        "docs/how-to/exams.md",
        "docs/how-to/export.md",
        "docs/how-to/models.md",
        "docs/how-to/readers.md",
        "docs/how-to/remote.md",
    ],
)
def test_commands_in_the_documentation_exist(page):
    lines = (ROOT / page).read_text(encoding="utf-8").splitlines()
    commands = {line.split()[1] for line in lines if line.startswith("dycon ")}
    assert commands
    for command in commands:
        assert CliRunner().invoke(app, [command, "--help"]).exit_code == 0, command


def test_the_top_level_manifest_is_the_one_in_the_package():
    assert (ROOT / "napari.yaml").read_bytes() == (ROOT / "napari_dycon" / "napari.yaml").read_bytes()
