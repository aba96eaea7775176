"""What is said to matter does: removing it lowers the score more than removing other parts."""

import numpy as np
import torch
from torch import nn

from experiments import deletion
from vfer.predict.explain import Explainer
from vfer.predict.load import load_model

PLACES = ((20, 15), (20, 70), (95, 15), (95, 70))
"""Upper left corners of what tells four classes apart."""


def shown(rng, place):
    """Crops of a window: noise, and in two of the four frames something bright at a place."""
    crops = rng.integers(60, 140, (1, 30, 22, 3)).repeat(5, 1).repeat(5, 2).repeat(4, 0)
    top, left = PLACES[place] + rng.integers(-8, 9, 2)
    seen = rng.choice(3, 2, replace=False)
    crops[seen, top : top + 30, left : left + 25] = rng.integers(180, 250, 3)
    return crops.astype(np.uint8)


def learnt(run):
    """Return a model that has learnt to tell apart what is `shown`, and does."""
    model = load_model(run, fold=0, trust_code=True)
    (network,) = model.networks.values()
    network.requires_grad_(True)
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    optimiser = torch.optim.Adam(network.parameters(), 1e-3)

    def score(labels):
        crops = np.stack([shown(rng, place) for place in labels])
        pairs = np.stack([crops[:, :-1], crops[:, 1:]], axis=2).reshape(-1, 2, 150, 110, 3)
        images = model.images(pairs)
        return network({n: one.view(len(labels), 3, *one.shape[2:]) for n, one in images.items()})

    for _ in range(120):
        labels = rng.integers(0, 4, 16)
        optimiser.zero_grad()
        nn.functional.cross_entropy(score(labels), torch.from_numpy(labels)).backward()
        optimiser.step()
    network.requires_grad_(False)
    labels = np.arange(40) % 4
    right = (score(labels).argmax(1).numpy() == labels).mean()
    assert right > 0.9
    return model


def test_removing_what_is_said_to_matter_lowers_the_score_more_than_other_parts(fitted, plugs):
    model = learnt(fitted("fine", "--model.backbone", "predict_plugs.Fine"))
    explainer, pairs = Explainer(model), torch.arange(3)
    (network,) = model.networks.values()
    rng = np.random.default_rng(1)
    where: dict[str, list] = {"frame": [], "spatial": [], "temporal": []}
    for number in range(24):
        crops = shown(rng, number % 4)
        images = model.images(np.stack([crops[:-1], crops[1:]], axis=1))
        whole = explainer.shares((network.describe(images),), pairs)
        best = whole.sum((1, 2)).argmax()

        def lowered(names, frames, mask, images=images, whole=whole, best=best):
            """How much less the score is without a part of some images: their mean there."""
            changed = dict(images)
            for name in names:
                hidden = torch.zeros(3, 1, 1, 64, 64, dtype=bool)
                hidden[frames] = torch.from_numpy(mask)
                changed[name] = images[name].where(~hidden, images[name].mean())
            said = explainer.shares((network.describe(changed),), pairs)
            return whole[best].sum() - said[best].sum()

        every = np.ones((64, 64), bool)
        drops = np.array([lowered(images, [frame], every) for frame in range(3)])
        where["frame"].append((drops[whole[best].sum(axis=0).argmax()], drops.mean()))
        for name, maps in explainer.maps(crops, best).items():
            small = torch.from_numpy(maps.sum(axis=0))[None, None]
            hot = nn.functional.interpolate(small, (64, 64), mode="bilinear")[0, 0].numpy()
            mask = hot > np.quantile(hot, 0.8)
            moved = [np.roll(mask, tuple(rng.integers(64, size=2)), (0, 1)) for _ in range(6)]
            drop, *others = (lowered([name], [0, 1, 2], one) for one in [mask, *moved])
            where[name].append((drop, np.mean(others)))
    for name, found in where.items():
        said, others = np.array(found).T
        assert said.mean() > 1.3 * others.mean(), name
        assert (said > others).mean() > 0.7, name


def test_deletion_is_measured_for_each_way(bundle, store, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    deletion.main(["--run", str(bundle), "--crops", str(store.directory), "--every", "3"])
    rows = [line.split("│")[1:-1] for line in capsys.readouterr().out.splitlines() if "│" in line]
    ways = {(row[0].strip(), row[1].strip()) for row in rows}
    assert ("frames", "exact") in ways
    assert ("both", "hirescam") in ways
    frames = next(row for row in rows if row[0].strip() == "frames")
    assert float(frames[3]) > float(frames[4])
