"""Where in its images a stream finds what its features add to a score: Grad-CAM and HiResCAM.

Selvaraju et al. 2017, "Grad-CAM: visual explanations from deep networks via gradient-based
localization", Eqs. 1 and 2; Draelos and Carin 2020, "Use HiResCAM instead of Grad-CAM for faithful
explanations of convolutional neural networks". Own code: here the score is a sum over images, so
that one step back gives the maps of all, and only the layers behind the maps are passed.
"""

import torch
from torch import Tensor, nn

from vfer.predict.settings import Cam

_GOES_ON = (nn.BatchNorm2d, nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.GELU, nn.SiLU)
"""Layers that belong to the convolution before them."""


def last_maps(stream: nn.Module, image: Tensor) -> nn.Module | None:
    """Return the layer that gives the maps of the last convolution; None without any.

    Normalisation and rectification are included, where they are layers of their own.

    Args:
        stream: Images to features.
        image: ``(1, 3, S, S)``, to see in which order the layers are called.
    """
    called: list[nn.Module] = []

    def note(layer: nn.Module, *_: object) -> None:
        called.append(layer)

    layers = [m for m in stream.modules() if isinstance(m, nn.Conv2d) or not list(m.children())]
    hooks = [layer.register_forward_hook(note) for layer in layers]
    try:
        with torch.no_grad():
            stream(image)
    finally:
        for hook in hooks:
            hook.remove()
    convolutions = [at for at, layer in enumerate(called) if isinstance(layer, nn.Conv2d)]
    if not convolutions:
        return None
    last = convolutions[-1]
    while last + 1 < len(called) and isinstance(called[last + 1], _GOES_ON):
        last += 1
    return called[last]


def class_maps(
    stream: nn.Module, layer: nn.Module, images: Tensor, weights: Tensor, cam: Cam
) -> Tensor:
    """Return maps of what in each image raises a score: the positive part of slopes times maps.

    Args:
        stream: Images to features, in evaluation mode, without trainable parameters.
        layer: Of it, as `last_maps` gives it.
        images: ``(N, 3, S, S)``, 0…1.
        weights: ``(N, features)``: image n's part of the score is its features times these.
        cam: ``gradcam`` takes of each map's slopes the mean over all places, as behind a global
            average pooling; ``hirescam`` takes each place's own, as fully connected layers do.

    Returns:
        ``(N, h, w)``, at least 0, of the size of the layer's maps.
    """
    kept: list[Tensor] = []

    def tap(_layer: nn.Module, _given: object, output: Tensor) -> Tensor:
        kept.append(output.detach().requires_grad_())
        return kept[-1].clone()  # the next layer may work in place

    hook = layer.register_forward_hook(tap)
    try:
        with torch.enable_grad():
            score = (stream(images) * weights).sum()
            (slopes,) = torch.autograd.grad(score, kept[-1])
    finally:
        hook.remove()
    if cam == "gradcam":
        slopes = slopes.mean(dim=(2, 3), keepdim=True)  # (N, C, 1, 1)
    return (slopes * kept[-1].detach()).sum(dim=1).relu()
