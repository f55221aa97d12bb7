import subprocess
import sys

from napari_dycon.learning.catalogue import method_titles
from napari_dycon.learning.methods.base import get_method, method_names


def test_the_catalogue_says_what_the_methods_say():
    assert method_titles() == {name: get_method(name).title for name in method_names()}
    assert tuple(method_titles()) == method_names()


def test_reading_it_does_not_load_torch():
    code = "import sys; from napari_dycon.learning.catalogue import method_titles as m; m()"
    done = subprocess.run([sys.executable, "-c", f"{code}; sys.exit('torch' in sys.modules)"], check=False)
    assert done.returncode == 0
