import torch

from tests.predict.conftest import bundle, fitted, plugs, store  # noqa: F401 - fixtures

torch.set_num_threads(1)
