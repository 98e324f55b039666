"""Checkpoints of the real architectures with random weights, written the way users get them."""

from pathlib import Path

import torch
import transformers
from pytorch_fid import inception as peer

TEXT = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 99}
VISION = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 32,
    "patch_size": 8,
}
MEAN = [0.48145466, 0.4578275, 0.40821073]
STD = [0.26862954, 0.26130258, 0.27577711]


def random_inception_state() -> dict[str, torch.Tensor]:
    """The state of pytorch-fid's own network with random weights and running statistics."""
    network = _untrained_peer()
    generator = torch.Generator().manual_seed(0)
    state: dict[str, torch.Tensor] = network.state_dict()
    for key, value in state.items():
        if key.endswith("running_var") or key.endswith("bn.weight"):
            value.copy_(0.5 + torch.rand(value.shape, generator=generator))
        elif value.ndim == 4:
            fan_in = value[0].numel()
            value.copy_(torch.randn(value.shape, generator=generator) * (2 / fan_in) ** 0.5)
        elif value.is_floating_point():
            value.copy_(0.1 * torch.randn(value.shape, generator=generator))
    return state


def _untrained_peer() -> torch.nn.Module:
    """pytorch-fid's `fid_inception_v3`, which always downloads and loads, without either."""
    download, load = peer.load_state_dict_from_url, torch.nn.Module.load_state_dict
    peer.load_state_dict_from_url = lambda *_, **__: {}
    torch.nn.Module.load_state_dict = lambda *_, **__: None
    try:
        return peer.fid_inception_v3()
    finally:
        peer.load_state_dict_from_url = download
        torch.nn.Module.load_state_dict = load


def save_clip(folder: Path, **vision: int) -> Path:
    torch.manual_seed(0)
    size = vision.get("image_size", 32)
    config = transformers.CLIPConfig(
        text_config={**TEXT, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 2},
        vision_config={**VISION, **vision},
        projection_dim=24,
    )
    transformers.CLIPModel(config).save_pretrained(folder)
    transformers.CLIPImageProcessor(
        size={"shortest_edge": size}, crop_size={"height": size, "width": size}, image_mean=MEAN, image_std=STD
    ).save_pretrained(folder)
    return folder


def save_siglip(folder: Path, *, bilinear: bool = False) -> Path:
    torch.manual_seed(1)
    config = transformers.SiglipConfig(text_config={**TEXT, "max_position_embeddings": 8}, vision_config=VISION)
    transformers.SiglipModel(config).save_pretrained(folder)
    square = {"height": 32, "width": 32}
    transformers.SiglipImageProcessor(size=square, resample=2 if bilinear else 3).save_pretrained(folder)
    return folder


def save_align(folder: Path) -> Path:
    torch.manual_seed(2)
    config = transformers.AlignConfig(
        text_config=TEXT,
        vision_config={
            "image_size": 40,
            "width_coefficient": 0.25,
            "depth_coefficient": 0.1,
            "hidden_dim": 128,
        },
        projection_dim=16,
    )
    transformers.AlignModel(config).save_pretrained(folder)
    transformers.EfficientNetImageProcessor(
        size={"height": 44, "width": 44},
        resample=2,
        do_center_crop=True,
        crop_size={"height": 40, "width": 40},
        rescale_factor=0.00784313725490196,
        rescale_offset=True,
        do_normalize=False,
        include_top=False,
    ).save_pretrained(folder)
    return folder


def save_dinov2(folder: Path) -> Path:
    torch.manual_seed(3)
    config = transformers.Dinov2Config(hidden_size=32, num_hidden_layers=2, num_attention_heads=2, image_size=56)
    transformers.Dinov2Model(config).save_pretrained(folder)
    transformers.BitImageProcessor(
        size={"shortest_edge": 64}, crop_size={"height": 56, "width": 56}, do_convert_rgb=True
    ).save_pretrained(folder)
    return folder


def save_siglip2_naflex(folder: Path) -> Path:
    torch.manual_seed(4)
    vision = {**VISION, "num_patches": 16}
    vision.pop("image_size")
    config = transformers.Siglip2Config(text_config={**TEXT, "max_position_embeddings": 8}, vision_config=vision)
    transformers.Siglip2Model(config).save_pretrained(folder)
    transformers.Siglip2ImageProcessor(patch_size=8, max_num_patches=16).save_pretrained(folder)
    return folder


SAVERS = {
    "clip": save_clip,
    "siglip": save_siglip,
    "siglip2": lambda folder: save_siglip(folder, bilinear=True),
    "align": save_align,
    "dinov2": save_dinov2,
}
