import numpy as np
import pytest

from napari_dycon.io.layout import copy_in_order


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", [None, np.float32])
def test_a_copy_has_the_same_voxels_in_the_order_asked_for(order, dtype):
    source = np.random.default_rng(0).integers(0, 99, (5, 6, 7)).astype(">i2")
    for array in (source, np.asfortranarray(source), source[::-1, :, ::2]):
        copy = copy_in_order(array, order, dtype)
        assert np.array_equal(copy, array)
        assert copy.flags[f"{order}_CONTIGUOUS"]
        assert copy.dtype == (dtype or ">i2")
        assert not np.shares_memory(copy, array)
