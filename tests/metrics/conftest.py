"""The oracles torchmetrics and torch-fidelity need torchvision, by whichever build of torch."""

from bloomdiff.encoders.timm_import import import_torchvision

import_torchvision()
