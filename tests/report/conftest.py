from tests.engine.conftest import make_study, train

__all__ = ["make_study", "train"]
