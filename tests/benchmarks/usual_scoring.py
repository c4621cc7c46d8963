"""What people run to score a folder: one program for each metric, one after the other.

Same files and same networks as `poc measure`, by OpenCV, open_clip and SciPy. Each program decodes
every clip anew, as the usual packages do, and prints its numbers. A yardstick of speed; each clip's
frames go through a network as one batch, which is kinder than the frame by frame of many scripts.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt

Frames = npt.NDArray[np.uint8]


def main() -> None:
    """Score a folder by one metric and print the mean, or the distance to the reference."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("metric", choices=sorted(PROGRAMS))
    parser.add_argument("folder", type=Path)
    parser.add_argument("reference", type=Path)
    parser.add_argument("weights", type=Path)
    arguments = parser.parse_args()
    value = PROGRAMS[arguments.metric](arguments.folder, arguments.reference, arguments.weights)
    print(json.dumps({arguments.metric: float(value)}))


def _clips(folder: Path) -> Iterator[tuple[str, Frames]]:
    """Decode each clip with OpenCV; file names spell the prompts."""
    for path in sorted(folder.iterdir()):
        video = cv2.VideoCapture(str(path))
        frames = []
        while True:
            there, frame = video.read()
            if not there:
                break
            frames.append(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB))
        video.release()
        yield path.stem.replace("_", " "), np.stack(frames).astype(np.uint8)


def _image_text(weights: Path) -> tuple[Any, Any, Any]:
    import open_clip

    source = f"local-dir:{weights / 'clip'}"
    model, _, prepare = open_clip.create_model_and_transforms(source)
    return model.eval(), prepare, open_clip.get_tokenizer(source, local_files_only=True)


def _image_features(model: Any, prepare: Any, frames: Frames) -> Any:
    import torch
    from PIL import Image

    batch = torch.stack([prepare(Image.fromarray(frame)) for frame in frames])
    return torch.nn.functional.normalize(model.encode_image(batch), dim=-1)


def clip_score(folder: Path, _reference: Path, weights: Path) -> float:
    """CLIP score as open_clip's own page shows it."""
    import torch

    model, prepare, tokenizer = _image_text(weights)
    scores = []
    with torch.inference_mode():
        for prompt, frames in _clips(folder):
            words = torch.nn.functional.normalize(model.encode_text(tokenizer([prompt])), dim=-1)
            scores.append(100 * float((_image_features(model, prepare, frames) @ words.T).mean()))
    return float(np.mean(scores))


def consistency(folder: Path, _reference: Path, weights: Path) -> float:
    """Cosine of neighbouring frames' CLIP features."""
    import torch

    model, prepare, _ = _image_text(weights)
    scores = []
    with torch.inference_mode():
        for _, frames in _clips(folder):
            rows = _image_features(model, prepare, frames)
            scores.append(float((rows[1:] * rows[:-1]).sum(-1).mean()))
    return float(np.mean(scores))


def fvd(folder: Path, reference: Path, weights: Path) -> float:
    """Frechet distance by SciPy's matrix square root, features in batches of 8 clips."""
    import scipy.linalg

    from poc.tiny.video_network import load_video_extractor

    network = load_video_extractor(weights / "video_features", extractor_id="video")
    moments = []
    for side in (folder, reference):
        clips = np.stack([frames for _, frames in _clips(side)])
        rows = np.concatenate([network.features(clips[i : i + 8]) for i in range(0, len(clips), 8)])
        moments.append((rows.mean(0), np.cov(rows, rowvar=False)))
    (mu1, s1), (mu2, s2) = moments
    root = scipy.linalg.sqrtm(s1 @ s2)
    return float(np.sum((mu1 - mu2) ** 2) + np.trace(s1 + s2 - 2 * root).real)


def flow(folder: Path, _reference: Path, _weights: Path) -> float:
    """Mean length of OpenCV's DIS flow."""
    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    means = []
    for _, frames in _clips(folder):
        grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames]
        rest = np.zeros((*grey[0].shape, 2), np.float32)
        flows = [np.asarray(dis.calc(*pair, rest.copy())) for pair in pairwise(grey)]
        means.append(float(np.linalg.norm(np.stack(flows), axis=-1).mean()))
    return float(np.mean(means))


def flicker(folder: Path, _reference: Path, _weights: Path) -> float:
    """VBench's temporal flickering."""
    means = []
    for _, frames in _clips(folder):
        steps = [cv2.absdiff(a, b).mean() for a, b in pairwise(frames)]
        means.append(1 - float(np.mean(steps)) / 255)
    return float(np.mean(means))


def warping(folder: Path, _reference: Path, _weights: Path) -> float:
    """Warping error of Lai et al. with OpenCV's flow forth and back."""
    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    means = []
    for _, frames in _clips(folder):
        for now, later in pairwise(frames):
            one, other = (cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in (now, later))
            rest = np.zeros((*one.shape, 2), np.float32)
            forth = np.asarray(dis.calc(one, other, rest.copy()))
            back = np.asarray(dis.calc(other, one, rest))
            at = forth + np.indices(one.shape, dtype=np.float32)[::-1].transpose(1, 2, 0)
            ways = at[..., 0], at[..., 1]
            pulled, returned = (cv2.remap(x, *ways, cv2.INTER_LINEAR) for x in (later, back))
            size = (forth**2 + returned**2).sum(-1)
            seen = ((forth + returned) ** 2).sum(-1) < 0.01 * size + 0.5
            step = (now.astype(np.float32) - pulled.astype(np.float32)) / 255
            means.append(float((step[seen] ** 2).mean()))
    return float(np.mean(means))


def image(folder: Path, _reference: Path, _weights: Path) -> float:
    """Sharpness, contrast, saturation and high frequencies of every frame; their mean sharpness."""
    rows = []
    for _, frames in _clips(folder):
        for frame in frames:
            grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
            saturation = cv2.cvtColor(frame, cv2.COLOR_RGB2HSV)[..., 1].mean()
            power = np.abs(np.fft.fft2(grey - grey.mean())) ** 2
            sharpness = cv2.Laplacian(grey, cv2.CV_64F).var()
            rows.append((sharpness, grey.std(), saturation, power[16:48, 16:48].sum()))
    return float(np.mean(rows, axis=0)[0])


PROGRAMS: Final[Mapping[str, Callable[[Path, Path, Path], float]]] = {
    "clip_score": clip_score,
    "consistency": consistency,
    "fvd": fvd,
    "flow": flow,
    "flicker": flicker,
    "warping": warping,
    "image": image,
}


if __name__ == "__main__":
    main()
