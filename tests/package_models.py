"""Models of packages that people use, each with what makes it and the shape of its input without the batch.

The packages are installed without what they depend on (`pip install --no-deps --target FOLDER -r …`): five small ones in
`data/packages-small.txt`, which CI reads, all in `data/packages.txt`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Any, NamedTuple

from torch import nn

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # nothing is loaded from elsewhere


class _Absent(ModuleType):
    """Stands for torchaudio, whose compiled operators go with one build of PyTorch: packages import it for features."""

    __version__ = "2.11.0"

    def __getattr__(self, name: str) -> Any:
        return type(name, (nn.Module,), {})


def without_torchaudio(make: Callable[[], nn.Module]) -> Callable[[], nn.Module]:
    """The same, with what stands for torchaudio while it is imported."""
    parts = ("", ".transforms", ".functional", ".functional.functional", ".models", ".compliance", ".io", ".backend")

    def made() -> nn.Module:
        absent = {name: _Absent(name) for part in parts if (name := f"torchaudio{part}") not in sys.modules}
        sys.modules.update(absent)
        try:
            return make()
        finally:
            for name in absent:
                del sys.modules[name]

    return made


class Model(NamedTuple):
    """A model: its package, what it is called here, what makes it, what it is called with."""

    package: str
    name: str
    make: Callable[[], nn.Module]
    shape: Any


def of(path: str, *args: Any, **kwargs: Any) -> Callable[[], nn.Module]:
    """What makes `package.module:Name(…)`, when it is called."""

    def make() -> nn.Module:
        module, _, name = path.partition(":")
        found: Any = import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
        made: nn.Module = found(*args, **kwargs)
        return made

    return make


class Part(nn.Module):
    """One method or part of a module as a module: what it returns, or one entry of that."""

    def __init__(self, module: nn.Module, call: Callable[[Any, Any], Any]) -> None:
        super().__init__()
        self.module = module
        self._call = call

    def forward(self, x: Any) -> Any:
        return self._call(self.module, x)


def part(make: Callable[[], nn.Module], call: Callable[[Any, Any], Any]) -> Callable[[], nn.Module]:
    return lambda: Part(make(), call)


def configured(model: str, config: str, **fields: Any) -> Callable[[], nn.Module]:
    """A model of transformers, from a small configuration."""

    def make() -> nn.Module:
        library: Any = import_module("transformers")
        made: nn.Module = getattr(library, model)(getattr(library, config)(**fields))
        return made

    return make


def yolo(name: str) -> Callable[[], nn.Module]:
    def make() -> nn.Module:
        import logging

        logging.getLogger("ultralytics").setLevel(logging.ERROR)
        tasks: Any = import_module("ultralytics.nn.tasks")
        kind = "SegmentationModel" if "-seg" in name else "PoseModel" if "-pose" in name else "DetectionModel"
        kind = "ClassificationModel" if "-cls" in name else "RTDETRDetectionModel" if "rtdetr" in name else kind
        made: nn.Module = getattr(tasks, kind)(f"{name}.yaml", verbose=False)
        return made

    return make


SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
IMAGE = {**SMALL, "image_size": 64, "patch_size": 16}
SMP = "segmentation_models_pytorch"
MONAI = "monai.networks.nets"
UNET_OF_DIFFUSERS = {
    "sample_size": 16,
    "block_out_channels": (32, 64),
    "norm_num_groups": 8,
    "layers_per_block": 1,
}
BLOCKS_2D = {"down_block_types": ("DownBlock2D", "AttnDownBlock2D"), "up_block_types": ("AttnUpBlock2D", "UpBlock2D")}
VAE = {"block_out_channels": (16, 32), "norm_num_groups": 8, "layers_per_block": 1}
VAE_BLOCKS = {"down_block_types": ("DownEncoderBlock2D",) * 2, "up_block_types": ("UpDecoderBlock2D",) * 2}
TCN = {"num_channels": [16, 16, 16], "kernel_size": 3}
NNUNET = {
    "n_stages": 4,
    "features_per_stage": [8, 16, 32, 64],
    "kernel_sizes": 3,
    "strides": [1, 2, 2, 2],
    "norm_op_kwargs": {"affine": True},
    "conv_bias": True,
    "nonlin": nn.LeakyReLU,
}


def nnunet(name: str, dims: int, **more: Any) -> Callable[[], nn.Module]:
    convs, norms = (nn.Conv2d, nn.Conv3d), (nn.InstanceNorm2d, nn.InstanceNorm3d)
    op = {"conv_op": convs[dims - 2], "norm_op": norms[dims - 2]}
    counts = {"n_blocks_per_stage" if "Res" in name else "n_conv_per_stage": [1, 2, 2, 2]}
    decoder = {"n_conv_per_stage_decoder": [1, 1, 1], "num_classes": 3}
    return of(
        f"dynamic_network_architectures.architectures.unet:{name}", 1, **NNUNET, **op, **counts, **decoder, **more
    )


SMALL_PACKAGES = ("pytorch-tcn", "snac", "dynamic-network-architectures", "efficientnet-pytorch", "vit-pytorch")
MODELS: list[Model] = [
    *(Model("pytorch-tcn", f"TCN {kind}", of("pytorch_tcn:TCN", 4, **TCN, **more), (4, 100)) for kind, more in {
        "causal": {},
        "not causal": {"causal": False},
        "skip connections": {"use_skip_connections": True},
        "batch norm": {"use_norm": "batch_norm"},
        "gated": {"use_gate": True},
    }.items()),
    Model("snac", "SNAC encoder", part(of("snac:SNAC"), lambda m, x: m.encoder(x)), (1, 14112)),
    Model("snac", "SNAC decoder", part(of("snac:SNAC", noise=False, attn_window_size=None), lambda m, x: m.decoder(x)), (1024, 8)),
    Model("vocos", "backbone", without_torchaudio(of("vocos.models:VocosBackbone", 16, 32, 64, 3)), (16, 50)),
    Model("vocos", "ResNet backbone", without_torchaudio(of("vocos.models:VocosResNetBackbone", 16, 32, 2)), (16, 50)),
    Model("encodec", "SEANet encoder", without_torchaudio(of("encodec.modules:SEANetEncoder", n_filters=8, ratios=[4, 2])), (1, 1600)),
    Model("encodec", "SEANet decoder", without_torchaudio(of("encodec.modules:SEANetDecoder", n_filters=8, ratios=[4, 2])), (128, 40)),
    Model("encodec", "SEANet encoder, causal", without_torchaudio(of("encodec.modules:SEANetEncoder", n_filters=8, ratios=[4, 2], causal=True)), (1, 1600)),
    Model("dynamic-network-architectures", "PlainConvUNet 2D", nnunet("PlainConvUNet", 2), (1, 64, 64)),
    Model("dynamic-network-architectures", "PlainConvUNet 3D", nnunet("PlainConvUNet", 3), (1, 32, 32, 32)),
    Model("dynamic-network-architectures", "ResidualEncoderUNet 2D", nnunet("ResidualEncoderUNet", 2), (1, 64, 64)),
    Model("dynamic-network-architectures", "ResidualEncoderUNet 3D", nnunet("ResidualEncoderUNet", 3), (1, 32, 32, 32)),
    # segmentation
    *(Model(SMP, f"{kind} {encoder}", of(f"{SMP}:{kind}", encoder, encoder_weights=None), (3, 64, 64)) for kind, encoder in [
        *((k, "resnet18") for k in ("Unet", "UnetPlusPlus", "MAnet", "Linknet", "FPN", "PSPNet", "DeepLabV3", "DeepLabV3Plus", "UPerNet")),
        *(("Unet", e) for e in ("mobilenet_v2", "efficientnet-b0", "vgg11_bn", "densenet121", "mit_b0", "xception", "dpn68", "se_resnet50", "inceptionv4", "timm-regnetx_002")),
        ("Segformer", "resnet18"),
    ]),
    Model(SMP, "PAN resnet18", of(f"{SMP}:PAN", "resnet18", encoder_weights=None), (3, 128, 128)),
    *(Model("monai", name, make, shape) for name, make, shape in [
        ("UNet", of(f"{MONAI}:UNet", 2, 1, 3, (8, 16, 32), (2, 2), num_res_units=2), (1, 64, 64)),
        ("UNet 3D", of(f"{MONAI}:UNet", 3, 1, 3, (8, 16, 32), (2, 2)), (1, 32, 32, 32)),
        ("BasicUNet", of(f"{MONAI}:BasicUNet", 2, 1, 2, (8, 8, 16, 16, 32, 8)), (1, 64, 64)),
        ("BasicUNetPlusPlus", part(of(f"{MONAI}:BasicUNetPlusPlus", 2, 1, 2, (8, 8, 16, 16, 32, 8)), lambda m, x: m(x)[0]), (1, 64, 64)),
        ("AttentionUnet", of(f"{MONAI}:AttentionUnet", 2, 1, 2, (8, 16, 32), (2, 2)), (1, 64, 64)),
        ("VNet", of(f"{MONAI}:VNet", 3, 1, 2), (1, 32, 32, 32)),
        ("SegResNet", of(f"{MONAI}:SegResNet", 2, 8, 1, 2), (1, 64, 64)),
        ("SegResNetDS", of(f"{MONAI}:SegResNetDS", 2, 8, 1, 2), (1, 64, 64)),
        ("DynUNet", of(f"{MONAI}:DynUNet", 2, 1, 2, [3, 3, 3], [1, 2, 2], [2, 2]), (1, 64, 64)),
        ("HighResNet", of(f"{MONAI}:HighResNet", 2, 1, 2), (1, 32, 32)),
        ("DenseNet121", of(f"{MONAI}:DenseNet121", 2, 1, 4), (1, 64, 64)),
        ("SEResNet50", of(f"{MONAI}:SEResNet50", spatial_dims=2, in_channels=1, num_classes=4), (1, 64, 64)),
        ("EfficientNet", of(f"{MONAI}:EfficientNetBN", "efficientnet-b0", False, spatial_dims=2, in_channels=1), (1, 64, 64)),
        ("ResNet18 3D", of(f"{MONAI}:resnet18", spatial_dims=3, n_input_channels=1, num_classes=3), (1, 32, 32, 32)),
        ("UNETR", of(f"{MONAI}:UNETR", 1, 2, (32, 32), 8, 32, 64, 4, spatial_dims=2), (1, 32, 32)),
        ("SwinUNETR", of(f"{MONAI}:SwinUNETR", 1, 2, feature_size=12, spatial_dims=2), (1, 64, 64)),
        ("ViT", part(of(f"{MONAI}:ViT", 1, (32, 32), (16, 16), 32, 64, 2, 4, spatial_dims=2), lambda m, x: m(x)[0]), (1, 32, 32)),
        ("ViTAutoEnc", part(of(f"{MONAI}:ViTAutoEnc", 1, (32, 32), (16, 16), hidden_size=32, mlp_dim=64, num_layers=4, num_heads=4, spatial_dims=2), lambda m, x: m(x)[0]), (1, 32, 32)),
        ("AutoEncoder", of(f"{MONAI}:AutoEncoder", 2, 1, 1, (8, 16), (2, 2)), (1, 64, 64)),
        ("FlexibleUNet", of(f"{MONAI}:FlexibleUNet", 3, 2, "efficientnet-b0"), (3, 64, 64)),
        ("RegUNet", of(f"{MONAI}:RegUNet", 2, 1, 8, 2), (1, 64, 64)),
        ("MedNeXt", of(f"{MONAI}:MedNeXt", 2, 8, 1, 2), (1, 64, 64)),
    ]),
    # vision, audio and detection of transformers
    *(Model("transformers", name, make, shape) for name, make, shape in [
        ("ViT", configured("ViTModel", "ViTConfig", **IMAGE), (3, 64, 64)),
        ("DeiT", configured("DeiTModel", "DeiTConfig", **IMAGE), (3, 64, 64)),
        ("BEiT", configured("BeitModel", "BeitConfig", **IMAGE), (3, 64, 64)),
        ("DINOv2", configured("Dinov2Model", "Dinov2Config", hidden_size=32, num_hidden_layers=2, num_attention_heads=2, image_size=64, patch_size=16), (3, 64, 64)),
        ("Swin", configured("SwinModel", "SwinConfig", image_size=64, embed_dim=16, depths=[2, 2], num_heads=[2, 4], window_size=4), (3, 64, 64)),
        ("Swinv2", configured("Swinv2Model", "Swinv2Config", image_size=64, embed_dim=16, depths=[2, 2], num_heads=[2, 4], window_size=4), (3, 64, 64)),
        ("ConvNext", configured("ConvNextModel", "ConvNextConfig", hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 2, 1]), (3, 64, 64)),
        ("ConvNextV2", configured("ConvNextV2Model", "ConvNextV2Config", hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 2, 1]), (3, 64, 64)),
        ("ResNet", configured("ResNetModel", "ResNetConfig", embedding_size=8, hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 2, 1]), (3, 64, 64)),
        ("RegNet", configured("RegNetModel", "RegNetConfig", embedding_size=8, hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 2, 1], groups_width=8), (3, 64, 64)),
        ("Segformer", configured("SegformerForSemanticSegmentation", "SegformerConfig", hidden_sizes=[8, 16, 32, 64], depths=[1, 1, 1, 1], decoder_hidden_size=16), (3, 64, 64)),
        ("PoolFormer", configured("PoolFormerModel", "PoolFormerConfig", hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 1, 1]), (3, 64, 64)),
        ("MobileNetV2", configured("MobileNetV2Model", "MobileNetV2Config", depth_multiplier=0.25), (3, 64, 64)),
        ("MobileViT", configured("MobileViTModel", "MobileViTConfig", image_size=64, hidden_sizes=[16, 24, 32], neck_hidden_sizes=[8, 8, 16, 16, 24, 32, 64], num_attention_heads=2), (3, 64, 64)),
        ("EfficientNet", configured("EfficientNetModel", "EfficientNetConfig", width_coefficient=0.25, image_size=64, hidden_dim=320), (3, 64, 64)),
        ("LeViT", configured("LevitModel", "LevitConfig", image_size=64, hidden_sizes=[16, 32, 48], num_attention_heads=[2, 2, 2], key_dim=[8, 8, 8], depths=[1, 1, 1]), (3, 64, 64)),
        ("CvT", configured("CvtModel", "CvtConfig"), (3, 64, 64)),
        ("PVTv2", configured("PvtV2Model", "PvtV2Config", image_size=64, hidden_sizes=[8, 16, 24, 32], num_attention_heads=[1, 2, 3, 4]), (3, 64, 64)),
        ("FocalNet", configured("FocalNetModel", "FocalNetConfig", image_size=64, embed_dim=16, depths=[1, 1, 1, 1]), (3, 64, 64)),
        ("DPT", configured("DPTForDepthEstimation", "DPTConfig", **{**IMAGE, "num_hidden_layers": 4}, backbone_out_indices=[0, 1, 2, 3], neck_hidden_sizes=[8, 16, 32, 32], fusion_hidden_size=16, is_hybrid=False), (3, 64, 64)),
        ("UPerNet", configured("UperNetForSemanticSegmentation", "UperNetConfig"), (3, 64, 64)),
        ("GLPN", configured("GLPNForDepthEstimation", "GLPNConfig", hidden_sizes=[8, 16, 32, 64], num_attention_heads=[1, 2, 4, 8], depths=[1, 1, 1, 1], decoder_hidden_size=16), (3, 64, 64)),
        ("Swin2SR", configured("Swin2SRForImageSuperResolution", "Swin2SRConfig", image_size=32, embed_dim=16, depths=[2], num_heads=[2], window_size=4), (3, 32, 32)),
        ("Wav2Vec2", configured("Wav2Vec2Model", "Wav2Vec2Config", **SMALL, conv_dim=[16] * 7, num_conv_pos_embeddings=16, num_conv_pos_embedding_groups=2), (4000,)),
        ("HuBERT", configured("HubertModel", "HubertConfig", **SMALL, conv_dim=[16] * 7, num_conv_pos_embeddings=16, num_conv_pos_embedding_groups=2), (4000,)),
        ("Whisper encoder", part(configured("WhisperModel", "WhisperConfig", d_model=32, encoder_layers=2, encoder_attention_heads=2, encoder_ffn_dim=64, decoder_layers=1, decoder_attention_heads=2, num_mel_bins=16, max_source_positions=50), lambda m, x: m.encoder(x)), (16, 100)),
        ("AST", configured("ASTModel", "ASTConfig", **SMALL, num_mel_bins=32, max_length=64), (64, 32)),
        ("YOLOS", configured("YolosForObjectDetection", "YolosConfig", **SMALL, image_size=[64, 64], patch_size=16, num_detection_tokens=5), (3, 64, 64)),
        ("SAM encoder", part(configured("SamModel", "SamConfig", vision_config={"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 64, "output_channels": 16, "window_size": 2, "global_attn_indexes": [1], "mlp_dim": 64}), lambda m, x: m.get_image_embeddings(x)), (3, 64, 64)),
        ("EnCodec", part(configured("EncodecModel", "EncodecConfig", num_filters=8, hidden_size=32, num_residual_layers=1), lambda m, x: m.encoder(x)), (1, 1600)),
        ("DAC encoder", part(configured("DacModel", "DacConfig", encoder_hidden_size=8, decoder_hidden_size=64), lambda m, x: m.encoder(x)), (1, 2048)),
        ("SuperPoint encoder", part(configured("SuperPointForKeypointDetection", "SuperPointConfig"), lambda m, x: m.encoder(x[:, :1])[0]), (1, 64, 64)),
    ]),
    *(Model("diffusers", name, make, shape) for name, make, shape in [
        ("UNet2DModel", part(of("diffusers:UNet2DModel", in_channels=3, out_channels=3, **UNET_OF_DIFFUSERS, **BLOCKS_2D), lambda m, x: m(x, 1).sample), (3, 16, 16)),
        ("AutoencoderKL encoder", part(of("diffusers:AutoencoderKL", **VAE, **VAE_BLOCKS), lambda m, x: m.encoder(x)), (3, 32, 32)),
        ("AutoencoderKL decoder", part(of("diffusers:AutoencoderKL", **VAE, **VAE_BLOCKS), lambda m, x: m.decoder(x)), (4, 16, 16)),
        ("AutoencoderTiny", of("diffusers:AutoencoderTiny", encoder_block_out_channels=(8, 8, 8, 8), decoder_block_out_channels=(8, 8, 8, 8)), (3, 32, 32)),
        ("VQModel", part(of("diffusers:VQModel", **VAE, **VAE_BLOCKS), lambda m, x: m.decoder(m.encoder(x))), (3, 32, 32)),
        ("AutoencoderDC", part(of("diffusers:AutoencoderDC", latent_channels=4, encoder_block_out_channels=(8, 16), decoder_block_out_channels=(8, 16), encoder_block_types="ResBlock", decoder_block_types="ResBlock", encoder_layers_per_block=(1, 1), decoder_layers_per_block=(1, 1), encoder_qkv_multiscales=((), ()), decoder_qkv_multiscales=((), ())), lambda m, x: m.encoder(x)), (3, 32, 32)),
        ("Kandinsky MOVQ encoder", part(of("diffusers:VQModel", **VAE, **VAE_BLOCKS), lambda m, x: m.encoder(x)), (3, 32, 32)),
    ]),
    *(Model("ultralytics", name, yolo(name), (3, 64, 64)) for name in ("yolov3-tiny", "yolov5n", "yolov6n", "yolov8n", "yolov8n-seg", "yolov8n-pose", "yolov8n-cls", "yolov9t", "yolov10n", "yolo11n", "yolo12n")),
    *(Model("kornia", name, make, shape) for name, make, shape in [
        ("DISK", part(of("kornia.feature:DISK"), lambda m, x: m.unet(x)), (3, 64, 64)),
    ]),
    *(Model("pytorchvideo", name, make, shape) for name, make, shape in [
        ("X3D", of("pytorchvideo.models.x3d:create_x3d", input_clip_length=4, input_crop_size=64), (3, 4, 64, 64)),
        ("SLOW R50", of("pytorchvideo.models.resnet:create_resnet", model_depth=50, head_pool_kernel_size=(4, 2, 2)), (3, 4, 64, 64)),
        ("R(2+1)D", of("pytorchvideo.models.r2plus1d:create_r2plus1d", dropout_rate=0.0, head_pool_kernel_size=(1, 4, 4)), (3, 8, 128, 128)),
        ("CSN", of("pytorchvideo.models.csn:create_csn", head_pool_kernel_size=(1, 2, 2)), (3, 8, 64, 64)),
    ]),
    *(Model("efficientnet-pytorch", f"b{i}", (lambda i=i: import_module("efficientnet_pytorch").EfficientNet.from_name(f"efficientnet-b{i}", image_size=64)), (3, 64, 64)) for i in (0, 1)),
    *(Model("pretrainedmodels", name, of(f"pretrainedmodels.models:{name}", pretrained=None), shape) for name, shape in [
        ("xception", (3, 96, 96)), ("dpn68", (3, 224, 224)), ("se_resnet50", (3, 224, 224)), ("inceptionresnetv2", (3, 299, 299)), ("polynet", (3, 331, 331)), ("cafferesnet101", (3, 224, 224)),
    ]),
    *(Model("vit-pytorch", name, make, shape) for name, make, shape in [
        ("ViT", of("vit_pytorch:ViT", image_size=64, patch_size=16, num_classes=5, dim=32, depth=2, heads=2, mlp_dim=64), (3, 64, 64)),
        ("SimpleViT", of("vit_pytorch:SimpleViT", image_size=64, patch_size=16, num_classes=5, dim=32, depth=2, heads=2, mlp_dim=64), (3, 64, 64)),
        ("CCT", of("vit_pytorch.cct:CCT", img_size=64, embedding_dim=32, n_conv_layers=2, num_layers=2, num_heads=2, mlp_ratio=2, num_classes=5), (3, 64, 64)),
        ("CvT", of("vit_pytorch.cvt:CvT", num_classes=5, s1_emb_dim=16, s2_emb_dim=16, s3_emb_dim=32, s1_depth=1, s2_depth=1, s3_depth=1, s2_heads=1, s3_heads=2), (3, 64, 64)),
        ("LeViT", of("vit_pytorch.levit:LeViT", image_size=64, num_classes=5, stages=2, dim=(16, 32), depth=1, heads=(2, 2), mlp_mult=2), (3, 64, 64)),
        ("CrossFormer", of("vit_pytorch.crossformer:CrossFormer", num_classes=5, dim=(32, 32, 64, 64), depth=(1, 1, 1, 1), global_window_size=(4, 2, 2, 1), local_window_size=2), (3, 64, 64)),
        ("MobileViT", of("vit_pytorch.mobile_vit:MobileViT", image_size=(64, 64), dims=[16, 24, 32], channels=[8, 8, 16, 16, 24, 24, 32, 32, 32, 32, 64], num_classes=5), (3, 64, 64)),
        ("MaxViT", of("vit_pytorch.max_vit:MaxViT", num_classes=5, dim_conv_stem=16, dim=16, dim_head=8, depth=(1, 1), window_size=4), (3, 64, 64)),
    ]),
    *(Model("open-clip-torch", name, make, shape) for name, make, shape in [
        ("ModifiedResNet", of("open_clip.modified_resnet:ModifiedResNet", (1, 1, 1, 1), 16, 2, 64, 8), (3, 64, 64)),
        ("VisionTransformer", of("open_clip.transformer:VisionTransformer", 64, 16, 32, 2, 2, 4.0, output_dim=16), (3, 64, 64)),
    ]),
]  # fmt: skip
