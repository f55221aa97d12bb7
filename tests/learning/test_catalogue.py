import ast
import subprocess
import sys
from importlib.metadata import EntryPoint

from napari_dycon.learning import catalogue
from napari_dycon.learning.catalogue import method_titles
from napari_dycon.learning.methods import GROUP
from napari_dycon.learning.methods.base import get_method, method_names


def test_the_catalogue_says_what_the_methods_say():
    assert method_titles() == {name: get_method(name).title for name in method_names()}
    assert tuple(method_titles()) == method_names()


def test_reading_it_does_not_load_torch():
    code = "import sys; from napari_dycon.learning.catalogue import method_titles as m; m()"
    done = subprocess.run([sys.executable, "-c", f"{code}; sys.exit('torch' in sys.modules)"], check=False)
    assert done.returncode == 0


def test_reading_it_builds_no_syntax_tree(monkeypatch):
    """Trees built in two threads at a time make each other fail; the window reads titles in its worker."""

    def refuse(*arguments, **options):
        raise SystemError("AST constructor recursion depth mismatch")

    with monkeypatch.context() as patched:
        patched.setattr(ast, "parse", refuse)
        titles = method_titles()
    assert "dycon" in titles


def test_methods_of_other_packages_are_told_from_their_source(tmp_path, monkeypatch):
    sources = {
        "kind_method": '@register("kind")\nclass Kind:\n    title = "Kind: of others"\n',
        "untitled_method": "@register('plain')\nclass Plain(\n    Base,\n):\n    pass\n\n\ntitle = 'no'\n",
        "broken_method": "class:",
    }
    for name, source in sources.items():
        (tmp_path / f"{name}.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    entries = [EntryPoint(name, name, GROUP) for name in (*sources, "absent_method")]
    monkeypatch.setattr(catalogue, "entry_points", lambda group: entries if group == GROUP else [])
    found = catalogue.method_titles()
    assert found["kind"] == "Kind: of others"
    assert found["plain"] == "plain"
    assert "dycon" in found
    assert not set(sources) & set(sys.modules)
