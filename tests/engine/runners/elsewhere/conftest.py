"""Another machine."""

from tests.far_machine import ssh

__all__ = ["ssh"]
