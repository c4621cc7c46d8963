"""What people run to score a folder: one program for each metric, one after the other.

Same files, networks and metrics as `poc measure`, by OpenCV, open_clip, torchmetrics and SciPy; of
what `poc measure` makes besides, marks that all clips share and the noise floor and intervals of
distances have no usual package and are left out here. Each program decodes every clip anew, as the
usual packages do, and prints its numbers. A yardstick of speed, and a kind one: each clip's frames
go through a network as one batch, FVD and KVD share their features, the measures of stills one
program, those of light another, and mean flow and dynamic degree one flow.
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


def _video_features(weights: Path, *sides: Path) -> Iterator[npt.NDArray[np.float32]]:
    """Features of each folder's clips, in batches of 8."""
    from poc.tiny.video_network import load_video_extractor

    network = load_video_extractor(weights / "video_features", extractor_id="video")
    for side in sides:
        clips = np.stack([frames for _, frames in _clips(side)])
        yield np.concatenate([network.features(clips[i : i + 8]) for i in range(0, len(clips), 8)])


def distances(folder: Path, reference: Path, weights: Path) -> float:
    """FVD by SciPy's matrix square root, KVD by torchmetrics' kernel; returns the first."""
    import scipy.linalg
    import torch
    from torchmetrics.image.kid import poly_mmd

    own, other = _video_features(weights, folder, reference)
    (mu1, s1), (mu2, s2) = ((rows.mean(0), np.cov(rows, rowvar=False)) for rows in (own, other))
    root = scipy.linalg.sqrtm(s1 @ s2)
    poly_mmd(torch.from_numpy(own), torch.from_numpy(other))
    return float(np.sum((mu1 - mu2) ** 2) + np.trace(s1 + s2 - 2 * root).real)


def flow(folder: Path, _reference: Path, _weights: Path) -> float:
    """Mean length of OpenCV's DIS flow, and VBench's dynamic degree on it; returns the mean."""
    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    means, moving = [], []
    for _, frames in _clips(folder):
        grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames]
        rest = np.zeros((*grey[0].shape, 2), np.float32)
        flows = [np.asarray(dis.calc(*pair, rest.copy())) for pair in pairwise(grey)]
        speeds = np.linalg.norm(np.stack(flows), axis=-1).reshape(len(flows), -1)
        fastest = np.sort(speeds, axis=1)[:, -int(0.05 * speeds.shape[1]) :].mean(axis=1)
        moves = np.count_nonzero(fastest > 6 * min(grey[0].shape) / 256)
        moving.append(moves >= round(len(frames) / 4))
        means.append(float(speeds.mean()))
    return float(np.mean(means))


def smoothness(folder: Path, _reference: Path, _weights: Path) -> float:
    """VBench's motion smoothness, frames between two others made by OpenCV's flow."""
    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    means = []
    for _, frames in _clips(folder):
        steps = []
        for before, real, after in zip(frames[:-2:2], frames[1:-1:2], frames[2::2], strict=True):
            one, other = (cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in (before, after))
            rest = np.zeros((*one.shape, 2), np.float32)
            forth = np.asarray(dis.calc(one, other, rest.copy()))
            half = (forth - np.asarray(dis.calc(other, one, rest))) / 4
            grid = np.indices(one.shape, dtype=np.float32)[::-1].transpose(1, 2, 0)
            made = [
                cv2.remap(frame, grid + way, None, cv2.INTER_LINEAR)  # type: ignore[call-overload]
                for frame, way in ((before, -half), (after, half))
            ]
            steps.append(cv2.absdiff(cv2.addWeighted(made[0], 0.5, made[1], 0.5, 0), real).mean())
        means.append(1 - float(np.mean(steps)) / 255)
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


def light(folder: Path, _reference: Path, _weights: Path) -> float:
    """Largest jump of luminance, first frame's darkness and flashes; returns the mean jump."""
    rows = []
    for _, frames in _clips(folder):
        grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames]
        means = np.array([one.mean() for one in grey])
        # Relative luminance takes linear light: a table of 256, as OpenCV's page on gamma has it.
        linear = np.array([cv2.LUT(one, _LINEAR).mean() for one in grey])
        turns = np.diff(np.sign(np.diff(linear)[np.abs(np.diff(linear)) > 0.1]))
        rows.append((np.abs(np.diff(means)).max(), means[1:].mean() - means[0], (turns != 0).sum()))
    return float(np.mean(rows, axis=0)[0])


_LINEAR: Final = ((np.arange(256) / 255) ** 2.2).astype(np.float32)


def validity(folder: Path, _reference: Path, _weights: Path) -> float:
    """Share of clips that are neither black nor white nor frozen, as FFmpeg's filters find it."""
    good = []
    for _, frames in _clips(folder):
        grey = np.stack([cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames])
        lit = bool((grey > 16).mean() > 0.001 and (grey < 239).mean() > 0.001)
        good.append(lit and max(cv2.absdiff(frames[0], frame).max() for frame in frames[1:]) > 2)
    return float(np.mean(good))


def image(folder: Path, _reference: Path, _weights: Path) -> float:
    """Sharpness, contrast, saturation, clipping and high frequencies; returns mean sharpness."""
    rows = []
    for _, frames in _clips(folder):
        for frame in frames:
            grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
            saturation = cv2.cvtColor(frame, cv2.COLOR_RGB2HSV)[..., 1].mean()
            power = np.abs(np.fft.fft2(grey - grey.mean())) ** 2
            sharpness = cv2.Laplacian(grey, cv2.CV_64F).var()
            clipped = ((frame == 0) | (frame == 255)).any(axis=-1).mean()
            fine = power[16:48, 16:48].sum() / max(power.sum(), 1e-9)
            rows.append((sharpness, grey.std(), saturation, clipped, fine))
    return float(np.mean(rows, axis=0)[0])


PROGRAMS: Final[Mapping[str, Callable[[Path, Path, Path], float]]] = {
    "clip_score": clip_score,
    "consistency": consistency,
    "distances": distances,
    "flow": flow,
    "smoothness": smoothness,
    "flicker": flicker,
    "warping": warping,
    "light": light,
    "validity": validity,
    "image": image,
}


if __name__ == "__main__":
    main()
