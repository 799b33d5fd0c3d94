"""The loss of labels in one graph of torch.compile. The backends need no C++ compiler."""

import subprocess
import sys

COMPILE = """
import torch
from nbam_pyro.losses import nbam_loss

torch.manual_seed(0)
K, N = 4, 9

def arguments(*more):
    logits = torch.randn(N, K, *more, requires_grad=True)
    target = torch.randint(K, (N, *more))
    target.view(-1)[0] = -100
    return logits, target, torch.randn(K, requires_grad=True), torch.randn(K, K - 1)

cases = [
    (arguments(), {}),
    (arguments(2, 3), {"reduction": "none"}),
    (arguments(), {"switch_logits": torch.linspace(-1, 1, N), "reduction": "sum"}),
]
for backend in ("eager", "aot_eager"):
    for given, options in cases:
        torch.compiler.reset()
        compiled = torch.compile(nbam_loss, fullgraph=True, backend=backend)
        found = []
        for loss in (compiled, nbam_loss):
            value = loss(*given, **options)
            learned = [one for one in given if one.requires_grad]
            found.append([value.detach(), *torch.autograd.grad(value.sum(), learned)])
        torch.testing.assert_close(*found)
given = arguments()
compiled = torch.compile(nbam_loss, fullgraph=True, backend="eager")
with torch.no_grad():
    given[0][1, 0] = torch.nan
    print(compiled(*given).isnan().item())
"""


def test_one_graph_has_the_same_values_and_gradients():
    # In a new process, since the shape checks of the test suite cannot be compiled.
    done = subprocess.run(
        [sys.executable, "-c", COMPILE], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "True"
