import pytest
import torch
from jaxtyping import install_import_hook

# Shapes in annotations are checked while tests run.
install_import_hook("nbam_pyro.functional", "beartype.beartype")


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)
    torch.set_num_threads(1)
