"""The VGG family against the paper and the lecture: exact figures, names, receptive fields."""

from __future__ import annotations

import pytest

import rfcalc

# Table 2 of the paper, millions of parameters as printed, and weight layers of Table 1.
PUBLISHED = {
    "vgg11": (133, 11),
    "vgg11-lrn": (133, 11),
    "vgg13": (133, 13),
    "vgg16-c": (134, 16),
    "vgg16": (138, 16),
    "vgg19": (144, 19),
}


def test_vgg16_to_the_digit() -> None:
    totals = rfcalc.analyze("vgg16").totals
    assert totals.params == 138_357_544
    assert totals.weights == 138_344_128
    assert totals.macs == 15_470_264_320
    assert totals.values == 15_237_608
    assert totals.bytes == 60_950_432
    assert totals.weight_layers == 16


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_parameters_and_depth(name) -> None:
    totals = rfcalc.analyze(name).totals
    millions, layers = PUBLISHED[name]
    assert (totals.params + 500_000) // 1_000_000 == millions
    assert totals.weight_layers == layers


def test_vgg16_receptive_fields() -> None:
    report = rfcalc.analyze("vgg16")
    sizes = {row.name: row.receptive_field.size[0] for row in report if row.kind in ("conv", "maxpool")}
    assert list(sizes.values()) == [3, 5, 6, 10, 14, 16, 24, 32, 40, 44, 60, 76, 92, 100, 132, 164, 196, 212]
    pool5 = report["pool5"].receptive_field
    assert (pool5.status, pool5.size, pool5.stride, pool5.padding) == ("exact", (212, 212), (32, 32), (90, 90))
    assert str(pool5.center[0]) == "31/2"
    assert report["conv5_3"].receptive_field.size == (196, 196)


def test_fully_connected_sees_the_whole_input_and_as_a_convolution_404() -> None:
    fc6 = rfcalc.analyze("vgg16")["fc6"].receptive_field
    assert (fc6.status, fc6.size, fc6.through) == ("global", (None, None), ("flatten",))
    assert fc6.spans == ((-90, 313), (-90, 313))
    assert fc6.sees_whole_input()
    dense = rfcalc.analyze("vgg16-dense")["fc6"].receptive_field
    assert (dense.status, dense.size, dense.stride) == ("exact", (404, 404), (32, 32))


def test_seen_from_the_last_spatial_layer() -> None:
    report = rfcalc.analyze("vgg16")
    assert report.network.nodes[report.last_spatial - 1].name == "pool5"
    seen = [report.seen(report[n].position)[0] for n in ("pool5", "conv5_3", "conv5_2", "conv5_1", "pool4", "conv4_3")]
    assert seen == [1, 2, 4, 6, 8, 16]
    assert report.seen(0) == (212, 212)


@pytest.mark.parametrize(("image", "score"), [("3x224x224", (1, 1)), ("3x384x384", (6, 6)), ("3x256x480", (2, 9))])
def test_dense_evaluation_gives_a_score_map(image, score) -> None:
    report = rfcalc.analyze("vgg16-dense", image)
    assert report.outputs[0].output_shape == (1000, *score)
    assert report.totals.params == 138_357_544


def test_other_images_need_the_adaptive_pool() -> None:
    with pytest.raises(rfcalc.RfcalcError) as caught:
        rfcalc.analyze("vgg16", "3x256x256")
    assert "fc6" in str(caught.value)
    assert "25088" in str(caught.value)
    assert rfcalc.analyze("vgg16-torchvision", "3x256x256").totals.params == 138_357_544


def test_torchvision_saves_what_was_measured() -> None:
    # measured with torch's saved_tensors_hooks on a CPU, batch 1, float32, training mode
    assert rfcalc.analyze("vgg16-torchvision").totals.saved_bytes == 73_355_264


def test_batch_norm_adds_two_parameters_and_two_buffers_a_channel() -> None:
    plain, normed = rfcalc.analyze("vgg16").totals, rfcalc.analyze("vgg16-bn").totals
    channels = 2 * 64 + 2 * 128 + 3 * 256 + 6 * 512
    assert (normed.params - plain.params, normed.buffers) == (2 * channels, 2 * channels)


def test_names_are_the_literatures() -> None:
    names = [row.name for row in rfcalc.analyze("vgg16-c") if row.kind in ("conv", "maxpool", "linear")]
    block3 = ["conv3_1", "conv3_2", "conv3_3", "pool3"]
    assert names[6:10] == block3
    assert names[-3:] == ["fc6", "fc7", "fc8"]
    assert rfcalc.load("vgg16-c").node("conv3_3").layer == rfcalc.Conv(256, 1)
    assert [n.name for n in rfcalc.load("vgg11-lrn").nodes[:3]] == ["conv1_1", "relu1_1", "lrn1"]


def test_options_of_the_family() -> None:
    from rfcalc import zoo

    small = rfcalc.analyze(zoo.build("vgg11", classes=10, channels=1))
    assert small.inputs["input"].dims == (1, 224, 224)
    assert small.outputs[0].output_shape == (10,)
    assert rfcalc.analyze(zoo.build("vgg19", top=False)).outputs[0].name == "pool5"


def test_batch_and_dtype() -> None:
    one, eight = rfcalc.analyze("vgg16").totals, rfcalc.analyze("vgg16", batch=8, dtype="float16").totals
    assert (eight.values, eight.macs) == (8 * one.values, 8 * one.macs)
    assert (eight.bytes, eight.params) == (4 * one.bytes, one.params)
