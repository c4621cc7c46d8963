"""Every metric in one literal table, readable without importing any of them.

To add a metric: write its function in a module of this package, add one row here and one test
file. The row's `takes` names the arguments that the function wants, out of `ARGUMENTS`; whoever
calls it computes each of them once per clip and shares it among the metrics.

A row without a target is a number that the harness supplies itself; its definition is here so
that pages and gates can name it. This module imports nothing but the standard library.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from types import MappingProxyType
from typing import Any


class Direction(StrEnum):
    """Which way is better."""

    HIGHER = "higher"
    LOWER = "lower"
    TARGET = "target"
    """Both too little and too much are worse than the baseline's value."""
    NONE = "none"
    """Describes; does not judge."""


class Scope(StrEnum):
    """What one value belongs to."""

    CLIP = "clip"
    ARM = "arm"


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricInfo:
    """One row: what a number means, how to read it and where its code is.

    `version` goes up whenever the same input gives another number; values of different
    versions are not comparable.
    """

    name: str
    label_en: str
    label_ja: str
    unit: str
    direction: Direction
    scope: Scope
    version: int
    what: str
    not_seen: str
    source: str
    minimum_n: int = 1
    """Fewest frames of a clip, or clips of an arm, for which there is a value."""
    interval_n: int | None = 2
    """Fewest prompts, or timed clips, for which there is an interval; None: there never is one."""
    takes: tuple[str, ...] = ()
    target: str | None = None


ARGUMENTS: Mapping[str, str] = MappingProxyType(
    {
        "frames": "frames uint8 (t, h, w, 3)",
        "image_features": "(t, d) unit rows, one per frame, from an image-text extractor",
        "text_features": "(d,) unit vector of the clip's prompt, same extractor",
        "style_features": "(s, d) unit rows of held-out stills of the style, same extractor",
        "training_features": "(n, d) unit rows of the stills that the style was trained on, same "
        "extractor",
        "subject_features": "(s, d) unit rows of stills of a subject, same extractor",
        "logit_scale": "the image-text network's learned scale of cosines",
        "baseline_frames": "frames uint8 (t, h, w, 3) of the baseline's clip of the same prompt "
        "and seed",
        "unprompted_frames": "frames uint8 (t, h, w, 3) of the clip made without the negative "
        "prompt, all else equal",
        "lpips_distances": "(t,) LPIPS of frames to `baseline_frames`, from an LPIPS network",
        "safety_scores": "(t,) a score a frame, from a safety checker",
        "csd_features": "(t, d) unit rows, one per frame, from a style descriptor",
        "csd_style_features": "(s, d) unit rows of held-out stills of the style, same descriptor",
        "raft_speeds": "(t - 1, h, w) pixels per frame, from RAFT",
        "clip_features": "(n, d) unit rows, one a clip, from `metrics.diversity.clip_feature`",
        "prompt_ids": "(n,) what each clip was made for",
        "edge_fields": "(n, h - 1, w - 1, 2) one field a clip, from `metrics.overlay.edge_field`",
        "flows": "(t - 1, h, w, 2) pixels per frame, from `metrics.motion.pair_flows`; None where "
        "they are too large to keep",
        "speeds": "(t - 1, h, w) pixels per frame, from `metrics.motion.flow_speeds`",
        "video_features": "(n, d) one row a clip of an arm, from a video extractor",
        "reference_features": "(m, d) one row a clip of the named reference, same extractor",
        "samples": "(n,) seconds, the timed clips of one arm",
    }
)
"""What a metric can take, by name."""

_ORACLE_SOURCE = "the project's own oracle for its procedural world; no learned judge"
_LATENCY_SOURCE = (
    "order statistics: David and Nagaraja, Order Statistics (2003), 7.1; no percentile without "
    "the n of its one-sided 95 % bound"
)


def _oracle(
    attribute: str,
    label_en: str,
    label_ja: str,
    *,
    what: str = "",
    not_seen: str = "",
    version: int = 1,
) -> MetricInfo:
    return MetricInfo(
        name=f"oracle_{attribute}",
        label_en=label_en,
        label_ja=label_ja,
        unit="fraction of clips",
        direction=Direction.HIGHER,
        scope=Scope.CLIP,
        version=version,
        what=what
        or f"1 when pixels show the prompt's {attribute}, else 0; only in the procedural world",
        not_seen=f"{not_seen}how good the clip looks",
        source=_ORACLE_SOURCE,
        minimum_n=16,
    )


def _latency(percent: int, *, minimum_n: int, interval_n: int) -> MetricInfo:
    return MetricInfo(
        name=f"latency_p{percent}_s",
        label_en=f"Latency p{percent}",
        label_ja=f"生成時間 p{percent}",
        unit="s",
        direction=Direction.LOWER,
        scope=Scope.ARM,
        version=1,
        what=f"time within which {percent} % of warm clips are done, prompt in to video out",
        not_seen="loading, the first call, and quality",
        source=_LATENCY_SOURCE,
        minimum_n=minimum_n,
        interval_n=interval_n,
        takes=("samples",),
        target=f"metrics.latency:latency_p{percent}",
    )


_ROWS = (
    MetricInfo(
        name="clip_score",
        label_en="CLIP score",
        label_ja="CLIPスコア",
        unit="100 x cosine",
        direction=Direction.HIGHER,
        scope=Scope.CLIP,
        version=1,
        what="agreement of frames with the prompt, mean over frames",
        not_seen="motion, the order of frames, and words beyond the text encoder's limit, which "
        "are cut off",
        source="Hessel et al. 2021 (CLIPScore), scale and clamp as in torchmetrics; mean over "
        "frames as CLIPSIM, Wu et al. 2021 (GODIVA)",
        takes=("image_features", "text_features"),
        target="metrics.clip_score:clip_score",
    ),
    MetricInfo(
        name="clip_logit",
        label_en="CLIP logit (paper's variant)",
        label_ja="CLIPロジット (論文の方式)",
        unit="scale x cosine",
        direction=Direction.HIGHER,
        scope=Scope.CLIP,
        version=1,
        what="agreement of frames with the prompt as the network's own logit, mean over frames; "
        "the papers' CLIPSIM where the network is OpenCLIP ViT-H/14",
        not_seen="what clip_score does not see either; another network has another scale",
        source="Radford et al. 2021 (CLIP), logits per image; mean over frames as CLIPSIM, "
        "Wu et al. 2021 (GODIVA)",
        takes=("image_features", "text_features", "logit_scale"),
        target="metrics.clip_score:clip_logit",
    ),
    MetricInfo(
        name="clip_frame_consistency",
        label_en="CLIP frame consistency",
        label_ja="フレーム一貫性 (CLIP)",
        unit="cosine",
        direction=Direction.HIGHER,
        scope=Scope.CLIP,
        version=1,
        what="sameness of content from frame to frame",
        not_seen="whether anything should have changed: a frozen clip scores 1, so read it "
        "beside motion",
        minimum_n=2,
        source="Esser et al. 2023 (Gen-1), frame consistency: mean cosine of consecutive frames",
        takes=("image_features",),
        target="metrics.temporal:clip_frame_consistency",
    ),
    MetricInfo(
        name="flicker",
        label_en="Temporal flickering (VBench)",
        label_ja="ちらつきの少なさ (VBench)",
        unit="fraction",
        direction=Direction.HIGHER,
        scope=Scope.CLIP,
        version=1,
        what="1 minus the mean absolute change of pixels between neighbouring frames",
        not_seen="flicker apart from motion: a frozen clip scores 1, and what smears a clip, as "
        "coarse compression does, raises it",
        minimum_n=2,
        source="Huang et al. 2024 (VBench), temporal_flickering, without its static-clip filter",
        takes=("frames",),
        target="metrics.temporal:flicker",
    ),
    MetricInfo(
        name="luminance_jump",
        label_en="Largest luminance jump",
        label_ja="最大輝度変化",
        unit="levels of 255",
        direction=Direction.LOWER,
        scope=Scope.CLIP,
        version=1,
        what="largest step of a frame's mean luma to the next: flashes and dark first frames; "
        "grows with the number of frames",
        not_seen="local flicker that cancels out within a frame, and every step but the largest",
        minimum_n=2,
        source="ITU-R BT.709 luma; definition of this project",
        takes=("frames",),
        target="metrics.temporal:luminance_jump",
    ),
    MetricInfo(
        name="flashes",
        label_en="Flashes",
        label_ja="閃光の回数",
        unit="flashes",
        direction=Direction.LOWER,
        scope=Scope.CLIP,
        version=1,
        what="pairs of opposing changes of the picture's mean relative luminance by a tenth of "
        "white or more: there and back, not a cut",
        not_seen="flashes of a part of the picture, and how fast one is: a slow fade out and in "
        "again counts too",
        minimum_n=3,
        source="WCAG 2.2, definition of a general flash, without its limits of area and time",
        takes=("frames",),
        target="metrics.temporal:flashes",
    ),
    MetricInfo(
        name="first_frame_darkness",
        label_en="Dark first frame",
        label_ja="先頭フレームの暗さ",
        unit="levels of 255",
        direction=Direction.TARGET,
        scope=Scope.CLIP,
        version=1,
        what="mean luma of the later frames minus the first's: clips that begin in the dark",
        not_seen="whether a scene is lit up on purpose",
        minimum_n=2,
        source="ITU-R BT.709 luma; definition of this project",
        takes=("frames",),
        target="metrics.temporal:first_frame_darkness",
    ),
    MetricInfo(
        name="warping_error",
        label_en="Warping error",
        label_ja="ワーピング誤差",
        unit="squared difference of [0, 1]",
        direction=Direction.LOWER,
        scope=Scope.CLIP,
        version=1,
        what="change of look along the optical flow, where the flow is sure of itself: texture "
        "that boils, objects that melt",
        not_seen="anything where the flow fails, and loss of detail or motion: a blurred clip "
        "scores lower, a frozen one 0",
        minimum_n=2,
        source="Lai et al. 2018 (blind video temporal consistency), with DIS flow and the "
        "visibility test of Sundaram et al. 2010: not comparable with FlowNet2's numbers",
        takes=("frames", "flows"),
        target="metrics.motion:warping_error",
    ),
    MetricInfo(
        name="motion_smoothness",
        label_en="Motion smoothness (DIS)",
        label_ja="動きの滑らかさ (DIS)",
        unit="fraction",
        direction=Direction.HIGHER,
        scope=Scope.CLIP,
        version=1,
        what="how well every second frame is foretold by the frames before and after it, along "
        "the optical flow: stutter and jumps lower it",
        not_seen="loss of detail or motion: a blurred or a frozen clip scores higher",
        minimum_n=3,
        source="rule of Huang et al. 2024 (VBench), motion_smoothness, with DIS flow and the "
        "frames between of Jiang et al. 2018 instead of AMT: not comparable with VBench's numbers",
        takes=("frames",),
        target="metrics.motion:motion_smoothness",
    ),
    MetricInfo(
        name="sharpness",
        label_en="Sharpness",
        label_ja="鮮鋭度",
        unit="levels squared",
        direction=Direction.TARGET,
        scope=Scope.CLIP,
        version=1,
        what="variance of the Laplacian of luma: falls with blur, grows with detail, contrast "
        "and noise alike; depends on the frame size",
        not_seen="detail apart from noise",
        source="Pech-Pacheco et al. 2000, variance of the Laplacian",
        takes=("frames",),
        target="metrics.image:sharpness",
    ),
    MetricInfo(
        name="contrast",
        label_en="Contrast",
        label_ja="コントラスト",
        unit="levels of 255",
        direction=Direction.TARGET,
        scope=Scope.CLIP,
        version=1,
        what="spread of luma within a frame: washed-out and harsh pictures on either side of the "
        "baseline's",
        not_seen="where in the picture the light falls",
        source="RMS contrast, Peli 1990",
        takes=("frames",),
        target="metrics.image:contrast",
    ),
    MetricInfo(
        name="saturation",
        label_en="Saturation",
        label_ja="彩度",
        unit="fraction",
        direction=Direction.TARGET,
        scope=Scope.CLIP,
        version=1,
        what="mean HSV saturation: pale and burnt colours on either side of the baseline's",
        not_seen="which colours they are, and how bright: dark pixels count as much as bright ones",
        source="HSV colour model, Smith 1978",
        takes=("frames",),
        target="metrics.image:saturation",
    ),
    MetricInfo(
        name="clipped_share",
        label_en="Clipped pixels",
        label_ja="白飛び・黒つぶれの割合",
        unit="fraction of pixels",
        direction=Direction.TARGET,
        scope=Scope.CLIP,
        version=1,
        what="pixels with a channel at 0 or 255, where detail is cut off",
        not_seen="whether it is meant: drawn styles clip on purpose",
        source="definition of this project",
        takes=("frames",),
        target="metrics.image:clipped_share",
    ),
    MetricInfo(
        name="high_frequency_share",
        label_en="Fine detail and noise",
        label_ja="細部・ノイズの割合",
        unit="fraction of variance",
        direction=Direction.TARGET,
        scope=Scope.CLIP,
        version=2,
        what="share of luma's variance beyond half the Nyquist frequency: low in blurred clips, "
        "high where noise is left behind",
        not_seen="fine detail apart from noise, and flat frames, which are left out",
        source="Fourier power spectrum; threshold of this project",
        takes=("frames",),
        target="metrics.image:high_frequency_share",
    ),
    MetricInfo(
        name="motion",
        label_en="Mean optical flow",
        label_ja="平均動き量",
        unit="px/frame",
        direction=Direction.TARGET,
        scope=Scope.CLIP,
        version=1,
        what="mean displacement of all pixels between neighbouring frames; grows with frame size",
        not_seen="motion of flat areas, and flicker apart from motion",
        minimum_n=2,
        source="Kroeger et al. 2016 (DIS optical flow), OpenCV preset MEDIUM",
        takes=("speeds",),
        target="metrics.motion:motion",
    ),
    MetricInfo(
        name="dynamic_degree",
        label_en="Dynamic degree (DIS)",
        label_ja="動きの有無 (DIS)",
        unit="fraction of clips",
        direction=Direction.TARGET,
        scope=Scope.CLIP,
        version=1,
        what="1 when the fastest twentieth of pixels moves fast enough in a quarter of the "
        "frames, else 0; its rule is for 8 frames a second",
        not_seen="the quality of that motion",
        minimum_n=2,
        source="rule of Huang et al. 2024 (VBench), dynamic_degree, on DIS flow instead of "
        "RAFT: not comparable with VBench's numbers",
        takes=("speeds",),
        target="metrics.motion:dynamic_degree",
    ),
    MetricInfo(
        name="raft_motion",
        label_en="Motion (RAFT)",
        label_ja="動き (RAFT)",
        unit="px/frame",
        direction=Direction.TARGET,
        scope=Scope.CLIP,
        version=1,
        what="mean length of RAFT's optical flow over pixels and pairs of frames",
        not_seen="whether the motion is the one asked for; not comparable with DIS flow",
        minimum_n=2,
        source="Teed and Deng 2020 (RAFT), torchvision's network and weights",
        takes=("raft_speeds",),
        target="metrics.motion:raft_motion",
    ),
    MetricInfo(
        name="raft_dynamic_degree",
        label_en="Dynamic degree (RAFT)",
        label_ja="動きの有無 (RAFT)",
        unit="fraction of clips",
        direction=Direction.TARGET,
        scope=Scope.CLIP,
        version=1,
        what="1 when the fastest twentieth of pixels moves fast enough in a quarter of the "
        "frames, else 0; its rule is for 8 frames a second",
        not_seen="the quality of that motion",
        minimum_n=2,
        source="rule of Huang et al. 2024 (VBench), dynamic_degree, on RAFT with torchvision's "
        "weights; VBench's own are others",
        takes=("raft_speeds",),
        target="metrics.motion:raft_dynamic_degree",
    ),
    MetricInfo(
        name="style_similarity",
        label_en="Style similarity",
        label_ja="画風の類似度",
        unit="cosine",
        direction=Direction.HIGHER,
        scope=Scope.CLIP,
        version=1,
        what="mean cosine of frames to held-out stills of the style",
        not_seen="style apart from content: what the stills share counts as style",
        source="CLIP-I as in Ruiz et al. 2023 (DreamBooth), against stills not used in training",
        takes=("image_features", "style_features"),
        target="metrics.style:style_similarity",
    ),
    MetricInfo(
        name="csd_style_similarity",
        label_en="Style similarity (CSD)",
        label_ja="画風の類似度 (CSD)",
        unit="cosine",
        direction=Direction.HIGHER,
        scope=Scope.CLIP,
        version=1,
        what="mean cosine of frames to held-out stills of the style, by features taught to leave "
        "content out",
        not_seen="what the frames show",
        source='Somepalli et al. 2024, "Measuring Style Similarity in Diffusion Models" (CSD)',
        takes=("csd_features", "csd_style_features"),
        target="metrics.style:csd_style_similarity",
    ),
    MetricInfo(
        name="style_worst_frame",
        label_en="Style similarity, worst frame",
        label_ja="画風の類似度 最悪フレーム",
        unit="cosine",
        direction=Direction.HIGHER,
        scope=Scope.CLIP,
        version=1,
        what="the least styled frame's mean cosine to the held-out stills: style that comes and "
        "goes",
        not_seen="all other frames: one odd frame decides it",
        source="as style_similarity, minimum over frames",
        takes=("image_features", "style_features"),
        target="metrics.style:style_worst_frame",
    ),
    MetricInfo(
        name="style_copy",
        label_en="Copies of training stills",
        label_ja="学習画像の複製の疑い",
        unit="fraction of clips",
        direction=Direction.LOWER,
        scope=Scope.CLIP,
        version=1,
        what="1 when a frame is closer to a still of the training than any held-out still of the "
        "style is, else 0: a reason to look, no proof of a copy",
        not_seen="copies of a part of a still, and of pictures that are not among those given",
        source="definition of this project; nearest-neighbour test as in Somepalli et al. 2023",
        takes=("image_features", "style_features", "training_features"),
        target="metrics.style:style_copy",
    ),
    MetricInfo(
        name="subject_similarity",
        label_en="Subject similarity",
        label_ja="被写体の類似度",
        unit="cosine",
        direction=Direction.HIGHER,
        scope=Scope.CLIP,
        version=1,
        what="mean over frames of the cosine to the closest still of a subject",
        not_seen="the subject apart from its surroundings and look: give stills in other styles",
        source="CLIP-I of Ruiz et al. 2023 (DreamBooth), to the closest still",
        takes=("image_features", "subject_features"),
        target="metrics.style:subject_similarity",
    ),
    MetricInfo(
        name="ssim_to_baseline",
        label_en="SSIM to the baseline's clip",
        label_ja="基準動画とのSSIM",
        unit="fraction",
        direction=Direction.HIGHER,
        scope=Scope.CLIP,
        version=1,
        what="structural similarity to the baseline's clip of the same prompt and seed, frame by "
        "frame: how much of the teacher's picture is kept",
        not_seen="whether the clip is good: another clip than the teacher's may be as good, and "
        "one shifted by a few pixels scores low",
        source="Wang et al. 2004 (SSIM), torchmetrics, Gaussian window of 11 px on RGB",
        takes=("frames", "baseline_frames"),
        target="metrics.paired:ssim_to_baseline",
    ),
    MetricInfo(
        name="lpips_to_baseline",
        label_en="LPIPS to the baseline's clip",
        label_ja="基準動画とのLPIPS",
        unit="LPIPS distance",
        direction=Direction.LOWER,
        scope=Scope.CLIP,
        version=1,
        what="perceptual distance to the baseline's clip of the same prompt and seed, mean over "
        "frames; only where the network's weights are given",
        not_seen="whether the clip is good, and motion",
        source="Zhang et al. 2018 (LPIPS), AlexNet, torchmetrics",
        takes=("lpips_distances",),
        target="metrics.paired:lpips_to_baseline",
    ),
    MetricInfo(
        name="negative_prompt_effect",
        label_en="Effect of the negative prompt",
        label_ja="ネガティブプロンプトの効き",
        unit="levels of 255",
        direction=Direction.NONE,
        scope=Scope.CLIP,
        version=1,
        what="mean change of pixels when the negative prompt is left out and all else stays: 0 "
        "where it does nothing, as without guidance",
        not_seen="whether the change is the one that was wanted",
        source="definition of this project",
        takes=("frames", "unprompted_frames"),
        target="metrics.paired:negative_prompt_effect",
    ),
    MetricInfo(
        name="unsafe",
        label_en="Unsafe content",
        label_ja="不適切な内容の割合",
        unit="fraction of clips",
        direction=Direction.LOWER,
        scope=Scope.CLIP,
        version=1,
        what="1 when the safety checker refuses a frame, else 0; only where a checker's weights "
        "are given, else not measured",
        not_seen="violence, hate and all else that is not among the checker's concepts; it errs "
        "in both directions",
        source="Rando et al. 2022, on the safety checker of Stable Diffusion; its own thresholds",
        takes=("safety_scores",),
        target="metrics.safety:unsafe",
    ),
    MetricInfo(
        name="validity",
        label_en="Valid clips",
        label_ja="有効クリップ率",
        unit="fraction of clips",
        direction=Direction.HIGHER,
        scope=Scope.CLIP,
        version=2,
        what="whether a clip can be judged at all: not NaN, black, white, frozen or of the wrong "
        "size; fewer than 2 frames are a fault too",
        not_seen="whether it is any good: a valid clip may still be bad",
        minimum_n=0,
        source="thresholds of this project, with reasons in metrics/validity.py",
        takes=("frames",),
        target="metrics.validity:judge",
    ),
    MetricInfo(
        name="fvd",
        label_en="FVD",
        label_ja="FVD",
        unit="squared feature distance",
        direction=Direction.LOWER,
        scope=Scope.ARM,
        version=1,
        what="distance of two Gaussians fitted to video features of arm and reference; biased "
        "upwards at small n, so only beside n and its noise floor; rank-deficient, and in no "
        "criterion, where n does not exceed the number of features (I3D: 400)",
        not_seen="what its extractor does not see: I3D sees single frames more than motion",
        minimum_n=2,
        interval_n=None,
        source="Unterthiner et al. 2018 (FVD); distance of Dowson and Landau 1982; content bias: "
        "Ge et al. 2024",
        takes=("video_features", "reference_features"),
        target="metrics.fvd:fvd",
    ),
    MetricInfo(
        name="kvd",
        label_en="KVD",
        label_ja="KVD",
        unit="squared MMD",
        direction=Direction.LOWER,
        scope=Scope.ARM,
        version=2,
        what="unbiased squared MMD of video features of arm and reference over clips of "
        "different prompts, cubic kernel; can be slightly negative",
        not_seen="what its extractor does not see (the tiny world's was taught the strength of "
        "textures and is sensitive to it)",
        minimum_n=2,
        interval_n=3,
        source="Binkowski et al. 2018 (KID) on video features, Unterthiner et al. 2018 (KVD)",
        takes=("video_features", "reference_features"),
        target="metrics.kvd:kvd",
    ),
    MetricInfo(
        name="seed_diversity",
        label_en="Diversity across seeds",
        label_ja="シード間の多様性",
        unit="1 - cosine",
        direction=Direction.TARGET,
        scope=Scope.ARM,
        version=1,
        what="how far clips of one prompt are apart when nothing but the seed differs, mean over "
        "pairs and then over prompts",
        not_seen="whether the variety is wanted, and motion: a clip is the mean of its frames",
        minimum_n=2,
        source="mean pairwise distance of images of one input, Zhu et al. 2017 (BicycleGAN), on "
        "an image-text network's features instead of LPIPS",
        takes=("clip_features", "prompt_ids"),
        target="metrics.diversity:seed_diversity",
    ),
    MetricInfo(
        name="overlay_rate",
        label_en="Watermark or overlay",
        label_ja="透かし・オーバーレイの割合",
        unit="fraction of clips",
        direction=Direction.LOWER,
        scope=Scope.ARM,
        version=1,
        what="share of clips whose edges fit those of the other clips best in place: a mark or "
        "frame that came along with the training videos; a lower bound where not all have it",
        not_seen="a mark that each clip has elsewhere, and most of one that a third of the clips "
        "or fewer have; clips of one scene look marked",
        minimum_n=16,
        interval_n=None,
        source="edges common to a collection, Dekel et al. 2017 (visible watermarks); threshold "
        "of this project",
        takes=("edge_fields",),
        target="metrics.overlay:overlay_rate",
    ),
    _latency(50, minimum_n=5, interval_n=6),
    _latency(90, minimum_n=29, interval_n=36),
    _latency(95, minimum_n=59, interval_n=72),
    _latency(99, minimum_n=299, interval_n=368),
    MetricInfo(
        name="peak_memory_bytes",
        label_en="Peak memory",
        label_ja="最大メモリ",
        unit="bytes",
        direction=Direction.LOWER,
        scope=Scope.ARM,
        version=1,
        what="most memory held at once while generating, weights included",
        not_seen="what other programs held; on a CPU, which arm needed it: memory freed is kept",
        interval_n=None,
        source="the allocator's own counter on a device, the process's high-water mark on a CPU",
    ),
    _oracle("shape", "Right shape", "形の正答率"),
    _oracle("colour", "Right colour", "色の正答率"),
    _oracle("background", "Right background", "背景の正答率"),
    _oracle("motion", "Right motion", "動きの正答率"),
    _oracle("style", "Right style", "画風の正答率"),
    _oracle(
        "texture",
        "Right texture",
        "質感の正答率",
        what="1 when the background is mottled and stays so, with 0.6 to 1.67 times the contrast "
        "of rendered clips, else 0; no caption speaks of it; only in the procedural world",
    ),
    _oracle(
        "all",
        "All attributes right",
        "全属性の正答率",
        what="1 when shape, colour, background, texture and motion are all right, else 0; only in "
        "the procedural world",
        not_seen="style, light and camera, and ",
        version=2,
    ),
    MetricInfo(
        name="motion_extent_px",
        label_en="Extent of motion",
        label_ja="動きの大きさ",
        unit="px",
        direction=Direction.TARGET,
        scope=Scope.CLIP,
        version=1,
        what="how far the object's centre travels, or its radius changes, over the clip; only "
        "where the oracle finds one object",
        not_seen="which way it goes",
        minimum_n=16,
        source=_ORACLE_SOURCE,
    ),
    MetricInfo(
        name="corner_lift",
        label_en="Watermark left behind",
        label_ja="残った透かし",
        unit="fraction",
        direction=Direction.LOWER,
        scope=Scope.CLIP,
        version=1,
        what="how far the brightest corner is lifted towards white from what is round it, where "
        "the planted mark of the tiny world's cheap clips stands; 0.03 without a mark, 0.11 with "
        "one that went through the autoencoder",
        not_seen="a mark elsewhere, and whether one clip has it: blotches of the ground lift a "
        "corner too",
        minimum_n=16,
        source=_ORACLE_SOURCE,
    ),
)

MOTION = frozenset(
    {"motion", "dynamic_degree", "motion_extent_px", "raft_motion", "raft_dynamic_degree"}
)
"""How much a clip moves; all are worst when it stands still."""

SMOOTHNESS = frozenset(
    {
        "flicker",
        "clip_frame_consistency",
        "luminance_jump",
        "flashes",
        "warping_error",
        "motion_smoothness",
    }
)
"""How little changes from frame to frame; all are best when a clip stands still."""

LOOK = frozenset(
    {
        "sharpness",
        "contrast",
        "saturation",
        "clipped_share",
        "high_frequency_share",
        "first_frame_darkness",
    }
)
"""How pictures look, whatever they show."""

BESIDE = frozenset(
    {
        "ssim_to_baseline",
        "lpips_to_baseline",
        "negative_prompt_effect",
        "seed_diversity",
        "style_copy",
        "unsafe",
        "overlay_rate",
    }
)
"""Closeness, variety and faults to look for: none says that a clip shows what was asked for."""

CATALOG: Mapping[str, MetricInfo] = MappingProxyType({row.name: row for row in _ROWS})


def describe(name: str) -> MetricInfo:
    """The row of one metric.

    Raises:
        KeyError: no such metric; the message offers the nearest name.

    >>> describe("fvd").scope
    <Scope.ARM: 'arm'>
    """
    if name not in CATALOG:
        near = get_close_matches(name, CATALOG, n=1)
        hint = f"Did you mean '{near[0]}'?" if near else f"Known: {', '.join(CATALOG)}."
        raise KeyError(f"metrics.catalog: unknown metric '{name}'. {hint}")
    return CATALOG[name]


def load(name: str) -> Callable[..., Any]:
    """Import and return the function that measures `name`.

    Raises:
        KeyError: no such metric.
        LookupError: the harness supplies this number itself, there is nothing to import.
    """
    info = describe(name)
    if info.target is None:
        raise LookupError(
            f"metrics.catalog: '{name}' has no function here, the harness supplies it "
            f"({info.source})"
        )
    module, _, attribute = info.target.partition(":")
    function: Callable[..., Any] = getattr(importlib.import_module(module), attribute)
    return function
