"""The model card: what a model is, what was measured of it, and what it is not for.

Everything is read from the bundle; what no bundle can know is said as what its reader has to check.
Mitchell et al. 2019, "Model cards for model reporting".
"""

from collections.abc import Sequence
from dataclasses import replace

from vfer.pack.background import corpus_section, facts_of, licence_section, title_of
from vfer.pack.metadata import block, clean, metadata
from vfer.predict.bundle import Bundle
from vfer.predict.calibration import OutOfFold, abstain, fit_temperature
from vfer.report.bundles import Model
from vfer.report.markup import markdown
from vfer.report.noise import noise_section
from vfer.report.numbers import percent, pooled
from vfer.report.one_model import class_section, coverage_section, probability_section
from vfer.report.parts import Grid, Section
from vfer.report.people import GENDER_UNKNOWN, gender_grid
from vfer.report.result import result_section
from vfer.report.sheets.answers import tested
from vfer.report.sheets.data import machine, transformations
from vfer.report.sheets.judged import models as settings
from vfer.report.sheets.judged import selection
from vfer.results.bundle import FINAL
from vfer.results.unit import unit_of

BELOW = (0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
"""The confidences of which the card says what abstaining below them does."""
NOT_MEASURED = (
    "Cross-validation measured the models of the folds, each on what it was not trained on. The "
    "final model was trained on all of it, so that nobody is left to measure it on: no figure "
    "here is of it. That it is about as good is an assumption."
)
_LAW = (
    "In the European Union the AI Act (Regulation (EU) 2024/1689) forbids in Art. 5(1)(f) to place "
    "on the market, put into service or use a system that infers emotions of people at the "
    "workplace or in education institutions, except for medical or safety reasons. Other emotion "
    "recognition is high-risk there (Annex III, 1(c)), and people who are exposed to it must be "
    "told (Art. 50(3)). Whether your use is lawful, there or elsewhere, is yours to check."
)


def card(model: Model, models: Bundle, found: OutOfFold | None, licence: str | None) -> str:
    """Return the text of ``README.md``.

    Args:
        model: The bundle, as one run, by the name that the card has.
        models: Those that are packed.
        found: What was said out of fold; None where that is not there.
        licence: The model's, as the Hub names it; None where that is not decided.
    """
    facts = facts_of(model)
    title = title_of(model)
    sections = [
        _what(model, models, title),
        _use(models),
        _purpose(title),
        corpus_section(model, facts, title),
        result_section([model]),
        _tables("By class", class_section(model.runs[0]), ["classes"]),
        _gender(model),
        _probabilities(model, found),
        _tables("Coverage", coverage_section(model.runs[0]), ["coverage", "excluded"]),
        _noise(model),
        _limits(model, models, title),
        _training(model),
        licence_section(model, facts, title, licence),
    ]
    return f"{block(metadata(model, title, licence))}\n{markdown(clean(model.name), sections)}"


def licence_page(model: Model) -> str:
    """Return what stands in a licence's place while none is chosen."""
    section = licence_section(model, facts_of(model), title_of(model), None)
    return markdown(f"Licence of {clean(model.name)}", [section])


def _what(model: Model, models: Bundle, title: str) -> Section:
    results, folds = model.results, [fold for fold in models.stages if fold != FINAL]
    groups, unit = results["protocol"]["groups"], unit_of(results)
    protocol = f"leave-one-subject-group-out cross-validation (LOSGO, {groups} groups of people)"
    if not unit.known:
        protocol = f"cross-validation on the corpus's {groups} official folds of clips"
    text = [
        f"Says which of {len(models.classes)} expressions a face in a video shows, and when: "
        f"{', '.join(models.classes)}. Faces are found and followed, aligned by the eyes, and "
        f"windows of {models.data.segment_length} frames are classified: Pan et al. 2019, Deep "
        "Temporal–Spatial Aggregation for Video-Based Facial Expression Recognition, "
        "https://doi.org/10.3390/sym11010052, by the package vfer.",
        f"Trained on {title}. By {protocol} accuracy over all clips is "
        f"{pooled(results['accuracy'])} % and UAR "
        f"{pooled(results['uar'])} %, with 95 % intervals over {unit.people}; chance is "
        f"{percent(results['chance'])} %.",
    ]
    if folds:
        several = f"the models of the folds {', '.join(map(str, folds))}, whose mean answers"
        held = several if len(folds) > 1 else f"the model of fold {folds[0]}"
        text.append(f"The folder holds {held}.")
    if FINAL in models.stages:
        also = " also" if folds else ""
        text.append(f"It{also} holds the final model, trained on all {unit.plural}. {NOT_MEASURED}")
    return Section("What it is", text=text)


def _use(models: Bundle) -> Section:
    both = FINAL in models.stages and len(models.stages) > 1
    trust = models.model.own is not None
    words = " --fold final" * both + " --trust-code" * trust
    options = ', fold="final"' * both + ", trust_code=True" * trust
    listing = f"""\
python -m vfer.predict --run FOLDER{words} clip.mp4 --json out.json --csv out.csv

from vfer import Predictor
predictor = Predictor.load("FOLDER"{options})
timeline = predictor.predict("clip.mp4")
timeline.to_dataframe(); timeline.plot()
for window in predictor.stream(frames, fps=25): ...   # an endless iterator of frames"""
    text = [
        "FOLDER is where this folder lies. The package vfer has to be installed; nothing else is "
        "fetched. Reading the folder runs nothing of it: weights are safetensors."
    ]
    if both:
        text.append("Without fold final the models of the folds answer, by their mean.")
    if trust:
        text.append(
            "The model names classes of its author's own, which do not come with this folder: they "
            "must be importable, and allowing them runs their code. Look at it first."
        )
    return Section("How to use it", text=text, listing=listing)


def _purpose(title: str) -> Section:
    return Section(
        "What it is for, and what not",
        text=[
            "It is for research on facial expression recognition: as a baseline, to compare with, "
            "to look at. It estimates what a face shows, by a model that knows the people and the "
            f"recordings of {title}. It does not say what somebody feels, thinks or intends.",
            "It is not for decisions about people: not for hiring, marks, insurance, credit, "
            "policing, border control, diagnosis, nor to watch anybody who has not agreed to it.",
            _LAW,
        ],
    )


def _tables(title: str, section: Section, names: Sequence[str]) -> Section:
    """Return some of a section's tables; what names single clips or people stays in the bundle."""
    grids = [one for one in section.parts if isinstance(one, Grid) and one.name in names]
    return Section(title, parts=grids)


def _gender(model: Model) -> Section:
    genders = model.results.get("by_gender")
    text = [] if genders else [GENDER_UNKNOWN]
    text.append(
        "Of other groups of people (by age, skin, culture, glasses, beard …) nothing was measured: "
        "the bundle does not know who belongs to them."
    )
    return Section("Groups of people", text=text, parts=[gender_grid(genders)] if genders else [])


def _probabilities(model: Model, found: OutOfFold | None) -> Section:
    section = probability_section(model.runs[0])
    parts = list(section.parts) if section is not None else []
    if found is None:
        text = ["There are no predictions out of fold: probabilities are not calibrated."]
        return Section("Calibration", text=text, parts=parts)
    temperature = fit_temperature(found)
    known = unit_of(model.results).known
    unseen = "people whom it had not seen" if known else "clips that it had not seen"
    rows = []
    for below in BELOW:
        told = abstain(found, temperature, below)
        rows.append([f"{below:g}", percent(told.coverage), percent(told.accuracy)])
    table = Grid(
        "abstention",
        "Leaving windows undecided in which no class reaches P (vfer.predict's option abstain), "
        "out of fold",
        ("P", "windows decided, %", "of these right, %"),
        rows,
    )
    text = [
        f"Logits are divided by the temperature {temperature:.3g}, fitted by log-loss to what each "
        f"fold's model said of {len(found.truth)} windows of {unseen} (Guo et "
        "al. 2017). It holds for such people and recordings, and for the mean of several models or "
        "windows it is rather too modest. The first table is of clips, without it."
    ]
    return Section("Calibration", text=text, parts=[*parts, table])


def _noise(model: Model) -> Section:
    """Return the section of the report without its commands, which name folders of the author's."""
    section = noise_section([model])
    grids = [
        replace(one, header=one.header[:-1], rows=[row[:-1] for row in one.rows])
        for one in section.parts
        if isinstance(one, Grid)
    ]
    return replace(section, parts=grids)


def _limits(model: Model, models: Bundle, title: str) -> Section:
    faces = models.faces
    text = [
        "It knows the people, the light, the cameras and the way of showing expressions of "
        f"{title}: {tested(model)}. How it does on others, on expressions that are felt "
        "rather than shown for a camera, or on another corpus was not measured here; vfer.evaluate "
        "measures the latter.",
        "It always knows only its own classes: every face gets one of them, unless it abstains. "
        "Windows that are unlike the training data are marked in what vfer.predict writes.",
    ]
    if faces is not None:
        rate = "" if faces.frame_rate is None else f"{faces.frame_rate:.4g} frames a second, "
        text.append(
            f"The training clips: {rate}median length {faces.frames} frames, eyes "
            f"{faces.eye_distance['p1']:.0f} to {faces.eye_distance['p99']:.0f} pixels apart (1st "
            "and 99th percentile). Smaller, darker or more blurred faces are outside of it."
        )
    return Section("Limits", text=text)


def _training(model: Model) -> Section:
    environment = model.runs[0].environment
    packages = environment.get("packages") or {}
    told = ("vfer", "torch", "torchvision", "facenet-pytorch", "kornia", "numpy")
    versions = ", ".join(f"{name} {packages.get(name)}" for name in told if packages.get(name))
    made = machine(model).text.removesuffix(" and others in environment.json.")
    return Section(
        "Training",
        text=[
            transformations(model).text,
            settings(model).text,
            f"Selection: {selection(model).text}",
            f"Made with {versions}, commit {environment.get('commit')}, seed "
            f"{', '.join(map(str, model.results['seeds']))}, on {made}.",
        ],
    )
