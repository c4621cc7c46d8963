"""Trains the two learned judges of the tiny world, and scores them on what no training saw.

A video network gives features for FVD and KVD; an open_clip model compares pictures with prompts.
Both learn from seen scenes only, and neither learns from anything that a video model made.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import open_clip
import torch
from safetensors.torch import save_file
from scipy.stats import rankdata
from torch import nn
from torch.nn import functional as F

from metrics.extractors.clip import WEIGHTS as CLIP_WEIGHTS
from metrics.extractors.clip import OpenClipExtractor, load_clip
from metrics.extractors.tiny import CONFIG, WEIGHTS
from metrics.style import style_similarity
from poc.tiny import world
from poc.tiny.architecture import build_tokenizer, clip_config, write_clip_folder
from poc.tiny.judging_data import (
    ATTRIBUTES,
    TEXTURES,
    UNKNOWN,
    Examples,
    Labels,
    render_examples,
    soften,
    to_tensor,
    training_examples,
)
from poc.tiny.stills import read_heldout
from poc.tiny.video_network import VideoConfig, VideoNetwork, load_video_extractor
from poc.tiny.world import Scene
from poc.training.image import adopt, named
from poc.training.loop import Draw, Log, LoopConfig, autocast, train

Scores = dict[str, float]


@dataclass(frozen=True, slots=True)
class JudgeConfig:
    """How one judge is trained."""

    loop: LoopConfig
    clips: int = 3000
    """Clips of seen scenes, half of them plain."""
    seed: int = 7
    """Draws the clips; the loop has its own."""


VIDEO: Final = JudgeConfig(LoopConfig(1200, batch=32, learning_rate=2e-3, seed=21, average=0.99))
CLIP: Final = JudgeConfig(
    LoopConfig(steps=1000, batch=64, learning_rate=1e-3, seed=22, weight_decay=0.01, average=0.995)
)

# -- the video network ---------------------------------------------------------------------------

SPOILT: Final = {"order": 3, "picture": 3}
"""Classes of what was done to a clip: straight, frozen, shuffled; clean, blurred, degraded."""

UNSAID: Final = [list(ATTRIBUTES).index(name) for name in ("texture", "style")]
"""Columns of what no caption speaks of; 0 is as the world draws it."""

SMOOTHING: Final = 0.05  # of labels: keeps the features of one class from collapsing to a point


def train_video_network(work: Path, out: Path, config: JudgeConfig, log: Log) -> None:
    """Train the video network and write it to `out`; goes on from what `work` holds."""
    data = training_examples(work, config.clips, config.seed)
    torch.manual_seed(config.loop.seed)
    network = VideoNetwork(VideoConfig())
    sizes = {name: len(kind) for name, kind in ATTRIBUTES.items()} | SPOILT
    heads = nn.Linear(VideoConfig().feature_width, sum(sizes.values()))

    def loss(draw: Draw) -> torch.Tensor:
        clips, labels = _video_batch(draw, data, config.loop.batch)
        with autocast(config.loop):
            answers = heads(network.raw(clips)).float().split(list(sizes.values()), dim=1)
        parts = [
            F.cross_entropy(a, labels[:, i], ignore_index=UNKNOWN, label_smoothing=SMOOTHING)
            for i, a in enumerate(answers)
        ]
        return torch.stack(parts).mean()

    parameters = named(network=network, heads=heads)
    adopt(parameters, train("video_features", config.loop, parameters, loss, work=work, log=log))
    _set_scale(network.eval(), data)
    out.mkdir(parents=True, exist_ok=True)
    (out / CONFIG).write_text(VideoConfig().as_json())
    save_file(_half(network), out / WEIGHTS)


def _video_batch(draw: Draw, data: Examples, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    index = draw.rng.integers(len(data.clips), size=size)
    spoilt = [_spoil(data.clips[i], draw.rng) for i in index]
    done = np.array([marks for _, *marks in spoilt], np.int64)
    labels = np.concatenate([data.labels[index], done], axis=1)
    labels[done[:, 0] > 0, list(ATTRIBUTES).index("motion")] = UNKNOWN
    labels[done[:, 1] > 0, list(ATTRIBUTES).index("texture")] = UNKNOWN
    return to_tensor(np.stack([clip for clip, *_ in spoilt])), torch.from_numpy(labels)


def _spoil(clip: world.Pixels, rng: np.random.Generator) -> tuple[world.Pixels, int, int]:
    """A clip as it is or spoilt, with the classes of its order and of its picture."""
    order, picture = (
        int(rng.choice(3, p=odds)) for odds in ([0.76, 0.12, 0.12], [0.5, 0.25, 0.25])
    )
    times = [
        np.arange(len(clip)),
        np.full(len(clip), rng.integers(len(clip))),
        rng.permutation(len(clip)),
    ][order]
    if picture == 1:
        clip = soften(clip, float(rng.uniform(1.7, 4.0)))
    if picture == 2:
        clip = world.degrade(clip, rng)
    return clip[times], order, picture


@torch.no_grad()
def _set_scale(network: VideoNetwork, data: Examples) -> None:
    """Fix the buffers so that clean plain clips have features of mean 0 and variance 1."""
    plain = data.clips[(data.labels[:, UNSAID] == 0).all(1)][:512]
    raw = torch.cat([network.raw(to_tensor(plain[i : i + 32])) for i in range(0, len(plain), 32)])
    network.mean.copy_(raw.mean(0))
    network.scale.copy_(raw.std(0).clamp(min=1e-3))


def _half(network: nn.Module) -> dict[str, torch.Tensor]:
    return {key: value.half().contiguous() for key, value in network.state_dict().items()}


# -- the open_clip model -------------------------------------------------------------------------

VISIBLE: Final = ("shape", "colour", "background")
"""What one picture shows without doubt."""


@dataclass(frozen=True, slots=True)
class _Texts:
    tokens: torch.Tensor  # (n, 20)
    says: Labels  # (n, 8), UNKNOWN where the caption is silent


def train_clip(work: Path, out: Path, config: JudgeConfig, log: Log) -> None:
    """Train the open_clip model and write its folder `out`; goes on from what `work` holds.

    Pictures are compared with their own captions and with one of every seen triple of shape,
    colour and background: so each has hard negatives that differ from it in one word. Captions
    do not speak of looks, so comparing alone would make a picture's features forget them; naming
    the look of pictures keeps it there, where style similarity reads it.
    """
    data = training_examples(work, config.clips, config.seed)
    torch.manual_seed(config.loop.seed)
    model = open_clip.CLIP(**clip_config()["model_cfg"])
    heads = nn.Linear(model.visual.output_dim, sum(len(ATTRIBUTES[name]) for name in VISIBLE))
    looks = nn.Linear(model.visual.output_dim, len(ATTRIBUTES["style"]))
    tokenize = _tokenizer()
    triples = _seen_triples()

    def loss(draw: Draw) -> torch.Tensor:
        index = draw.rng.integers(len(data.clips), size=config.loop.batch)
        pictures = np.stack([_picture(data.clips[i], draw.rng) for i in index])
        own = [(data.scenes[i], data.labels[i]) for i in index]
        texts = _texts(own + triples, tokenize, draw.rng)
        with autocast(config.loop):
            seen = model.encode_image(to_tensor(pictures[:, None])[:, :, 0], normalize=True)
            read = model.encode_text(texts.tokens, normalize=True)
            named_ = heads(10.0 * torch.cat([seen, read]))
            look = looks(10.0 * seen)
        labels = np.concatenate([data.labels[index], texts.says])
        logits = model.logit_scale.exp().clamp(max=50.0) * seen.float() @ read.float().T
        fits = torch.from_numpy(_fits(data.labels[index], texts.says))
        naming = _naming(named_.float(), labels) + _naming_looks(look.float(), data.labels[index])
        return _contrast(logits, fits, len(own)) + 0.3 * naming

    parameters = named(model=model, heads=heads, looks=looks)
    adopt(parameters, train("clip", config.loop, parameters, loss, work=work, log=log))
    write_clip_folder(out)
    save_file(_half(model), out / CLIP_WEIGHTS)


def _tokenizer() -> Callable[[list[str]], torch.Tensor]:
    tokenizer = build_tokenizer()

    def tokens(texts: list[str]) -> torch.Tensor:
        rows: torch.Tensor = tokenizer(texts, padding="max_length", return_tensors="pt").input_ids
        return rows

    return tokens


def _seen_triples() -> list[tuple[Scene, Labels]]:
    """One scene of every seen triple, with its labels; only the triple counts."""
    scenes = {(s.shape, s.colour, s.background): s for s in world.seen_scenes()}
    columns = [ATTRIBUTES[name] for name in VISIBLE]
    rows = [[kind.index(v) for kind, v in zip(columns, key, strict=True)] for key in scenes]
    labels = np.array([[*row, *[UNKNOWN] * (len(ATTRIBUTES) - len(row))] for row in rows], np.int64)
    bare = [replace(s, motion=None, camera=None, light=None) for s in scenes.values()]
    return list(zip(bare, labels, strict=True))


def _picture(clip: world.Pixels, rng: np.random.Generator) -> world.Pixels:
    """One frame of a clip: clean, blurred or degraded."""
    frame = clip[rng.integers(len(clip))][None]
    kind = rng.random()
    if kind < 0.25:
        frame = soften(frame, float(rng.uniform(1.5, 4.0)))
    elif kind < 0.5:
        frame = world.degrade(frame, rng)
    return np.asarray(frame[0])


def _texts(
    scenes: list[tuple[Scene, Labels]],
    tokenize: Callable[[list[str]], torch.Tensor],
    rng: np.random.Generator,
) -> _Texts:
    """Captions of scenes, each of their last three parts dropped half of the time."""
    captions, says = [], []
    for scene, labels in scenes:
        said = labels.copy()
        dropped: dict[str, Any] = {}
        for name in ("motion", "camera", "light"):
            if rng.random() < 0.5:
                dropped[name] = None
                said[list(ATTRIBUTES).index(name)] = UNKNOWN
        captions.append(world.caption(replace(scene, **dropped)))
        says.append(said)
    return _Texts(tokenize(captions), np.stack(says))


def _fits(shown: Labels, says: Labels) -> npt.NDArray[np.bool_]:
    """Whether picture i agrees with all that text j says, motion apart: no picture shows it."""
    agrees = (shown[:, None] == says[None]) | (says[None] == UNKNOWN)
    agrees[..., [list(ATTRIBUTES).index("motion"), *UNSAID]] = True
    fits: npt.NDArray[np.bool_] = agrees.all(-1)
    return fits


def _contrast(logits: torch.Tensor, fits: torch.Tensor, own: int) -> torch.Tensor:
    """InfoNCE with several right answers, from pictures to all texts and from own texts back."""
    forward = _several(logits, fits)
    back = _several(logits[:, :own].T, fits[:, :own].T)
    return 0.5 * (forward + back)


def _several(logits: torch.Tensor, fits: torch.Tensor) -> torch.Tensor:
    share = fits.float() / fits.sum(1, keepdim=True)
    return -(share * F.log_softmax(logits, dim=1)).sum(1).mean()


def _naming(answers: torch.Tensor, labels: Labels) -> torch.Tensor:
    """Cross-entropy of naming what is visible, from picture or text alike."""
    parts = answers.split([len(ATTRIBUTES[name]) for name in VISIBLE], dim=1)
    right = torch.from_numpy(labels)
    return torch.stack([F.cross_entropy(p, right[:, i]) for i, p in enumerate(parts)]).mean()


def _naming_looks(answers: torch.Tensor, labels: Labels) -> torch.Tensor:
    """Cross-entropy of naming the look of pictures (n, looks)."""
    return F.cross_entropy(answers, torch.from_numpy(labels[:, list(ATTRIBUTES).index("style")]))


# -- how good they are ---------------------------------------------------------------------------


def evaluate_judges(weights: Path, *, count: int = 192, seed: int = 31) -> Scores:
    """Held-out scores of both judges in `weights/clip` and `weights/video_features`.

    All are measured on `count` clean clips of unseen scenes (degraded ones too for CLIP).
    `clip_auc`: how often a clip's own caption scores above a caption of any clip that differs
    from that clip in exactly one of shape, colour and background; chance is 0.5. `style_auc_*`:
    how often a clip in a style is more similar to the held-out stills of that style, in
    `weights/stills`, than a clip in another look. `style_similarity_*`: the mean similarity to
    those stills of clips in the style, and of plain ones. `video_*`: the part that a linear probe
    on the features names rightly, fitted to seen scenes.

    Raises:
        metrics.extractors.base.WeightsError: a judge cannot be loaded.
    """
    unseen = render_examples(
        world.unseen_scenes(), count, seed, looks=(None,), textures=TEXTURES[:1]
    )
    judge = load_clip(
        weights / "clip", extractor_id="tiny-clip", batch_size=64, expected_sha256=None
    )
    rng = np.random.default_rng(seed)
    poor = replace(unseen, clips=np.stack([world.degrade(c, rng) for c in unseen.clips]))
    scores = _clip_scores(judge, unseen, "clip_auc") | _clip_scores(
        judge, poor, "clip_auc_degraded"
    )
    scores |= _style_scores(judge, weights / "stills", count, seed)
    return scores | _probe_scores(weights / "video_features", count, seed)


def _clip_scores(judge: OpenClipExtractor, data: Examples, name: str) -> Scores:
    pictures = judge.image_features(data.clips.reshape(-1, *data.clips.shape[2:]))
    means = pictures.reshape(len(data.clips), -1, pictures.shape[-1]).mean(1)
    right = (means * judge.text_features([world.caption(s) for s in data.scenes])).sum(1)
    scores, wrong = {}, []
    for attribute in VISIBLE:
        twins = [_changed(scene, attribute) for scene in data.scenes]
        texts = judge.text_features([world.caption(s) for row in twins for s in row])
        found = np.einsum("nd,nkd->nk", means, texts.reshape(len(means), -1, means.shape[-1]))
        scores[f"{name}_{attribute}"] = auc(right, found.ravel())
        wrong.append(found.ravel())
    return {name: auc(right, np.concatenate(wrong))} | scores


def _changed(scene: Scene, attribute: str) -> list[Scene]:
    """Every scene that differs from this one in one attribute and in nothing else."""
    others = [value for value in ATTRIBUTES[attribute] if value != getattr(scene, attribute)]
    changes: list[dict[str, Any]] = [{attribute: value} for value in others]
    return [replace(scene, **change) for change in changes]


def auc(right: npt.NDArray[Any], wrong: npt.NDArray[Any]) -> float:
    """The chance that a right score lies above a wrong one, ties counting half.

    >>> auc(np.array([2.0, 3.0]), np.array([1.0, 2.0]))
    0.875
    """
    ranks = rankdata(np.concatenate([right, wrong]))[: len(right)]
    above = ranks.sum() - len(right) * (len(right) + 1) / 2
    return float(above / (len(right) * len(wrong)))


def _style_scores(judge: OpenClipExtractor, stills: Path, count: int, seed: int) -> Scores:
    clips = {
        look: render_examples(
            world.unseen_scenes(), -(-count // 4), seed, looks=(look,), textures=TEXTURES[:1]
        ).clips
        for look in (None, *world.Style)
    }
    features = {look: [judge.image_features(clip) for clip in made] for look, made in clips.items()}
    scores = {}
    for style in world.Style:
        shown = judge.image_features(read_heldout(stills / style))
        near = {
            look: np.array([style_similarity(one, shown).value for one in made])
            for look, made in features.items()
        }
        others = [values for look, values in near.items() if look is not style]
        scores[f"style_auc_{style}"] = auc(near[style], np.concatenate(others))
        scores[f"style_similarity_{style}"] = float(near[style].mean())
        scores[f"style_similarity_{style}_of_plain"] = float(near[None].mean())
    return scores


def _probe_scores(folder: Path, count: int, seed: int) -> Scores:
    """Accuracy on unseen plain scenes of a ridge regression fitted to features of seen ones."""
    network = load_video_extractor(folder, extractor_id="tiny-video")
    seen = render_examples(world.seen_scenes(), 600, seed + 1, looks=(None,))
    unseen = render_examples(world.unseen_scenes(), count, seed + 2, looks=(None,))
    known = _with_one(network.features(seen.clips))
    tested = _with_one(network.features(unseen.clips))
    gram = known.T @ known + 1e-3 * len(known) * np.eye(known.shape[1])
    scores = {}
    for column, (name, kind) in enumerate(ATTRIBUTES.items()):
        if name == "style":
            continue
        targets = np.eye(len(kind))[seen.labels[:, column]]
        answers = (tested @ np.linalg.solve(gram, known.T @ targets)).argmax(1)
        scores[f"video_{name}"] = float((answers == unseen.labels[:, column]).mean())
    return scores


def _with_one(features: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    return np.concatenate([features.astype(np.float64), np.ones((len(features), 1))], axis=1)
