"""The page of `aigc play`: what stands where, and what happens on a click. Computes nothing."""

import secrets
from collections.abc import Callable, Iterator
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from aigc import methods
from aigc.core.errors import AigcError, ConfigError
from aigc.playground import neighbours, tiles
from aigc.playground.choices import Setting, settings_of
from aigc.playground.model import MOST, Picture, Playground, Trained, Wish
from aigc.provenance.drawing import MOST_SEED

WAITING = 16  # clicks in the queue; another one is told that it is full
STEPS = 9  # pictures of a walk
KEPT_SECONDS = 600  # uploads and zips
PICTURES, OWN = "pictures", "own"  # tabs
EVERY_CLASS = "every class in turn"


class Page:
    """The controls, what they change, and what they show."""

    def __init__(self, play: Playground, folder: Path) -> None:
        self.play, self.folder = play, folder
        self.training = neighbours.Training()
        self.offered = play.offered
        self.first = next(iter(self.offered.values()))
        self.settings: dict[str, Any] = {}  # the control of each setting that a model has

    def build(self) -> gr.Blocks:
        """The page. One job at a time computes; all others wait in the queue."""
        with gr.Blocks(title="aigc play", analytics_enabled=False, fill_width=True,
                       delete_cache=(KEPT_SECONDS, KEPT_SECONDS)) as page:
            gr.HTML("<h1>Play with your models</h1><p>Pictures that were made by a model. A click saves one, "
                    "with the texts that say so.</p>", elem_id="title")
            with gr.Row():
                with gr.Column(scale=1, min_width=280):
                    self._controls()
                with gr.Column(scale=3, min_width=320):
                    self._results()
            self._events(page)
        page.queue(max_size=WAITING, default_concurrency_limit=1, api_open=False)
        return page

    def _controls(self) -> None:
        names = list(self.offered)
        self.model = gr.Dropdown(names, value=names[0], label="Model", filterable=len(names) > 9,
                                 elem_id="model")
        self.about = gr.HTML(self._about(self.first), elem_id="about")
        self.class_name = gr.Dropdown(label="Class", elem_id="class", **self._classes(self.first))
        with gr.Row(equal_height=True):
            # Without its own bounds: Gradio would print a traceback. `Playground.check` has them.
            self.seed = gr.Number(0, label="Seed", precision=0, min_width=120, elem_id="seed")
            self.another = gr.Button("Another seed", min_width=120, elem_id="another")
        self.count = gr.Slider(1, MOST, 16, step=1, label="Pictures", elem_id="count")
        own = {setting.name for setting in settings_of(self.first.card)}
        for model in self.offered.values():
            for setting in settings_of(model.card):
                if setting.name not in self.settings:
                    self.settings[setting.name] = _control(setting, setting.name in own)
        self.download = gr.Button("Download as zip", variant="primary", elem_id="download")
        self.zip = gr.DownloadButton("zip", visible="hidden", elem_id="zip")

    def _results(self) -> None:
        kind = self.first.kind
        with gr.Tabs(selected=OWN if kind.translates else PICTURES):
            with gr.Tab("Pictures", id=PICTURES):
                self.pictures = gr.HTML(elem_id="pictures")
                self.verdict = gr.HTML(elem_id="verdict")
                self.nearest = gr.HTML(elem_id="nearest")
            with gr.Tab("Walk", id="walk"):
                self.walk_note = gr.HTML(_walk_note(self.first))
                with gr.Column(visible=kind.interpolates) as self.walk_part:
                    self.end = gr.Number(1, label="Seed to walk to", precision=0, elem_id="end")
                    self.strip = gr.HTML(elem_id="strip")
                    self.share = gr.Slider(0, 1, 0.5, step=0.01, label="Share of the way", elem_id="share")
                    self.point = gr.HTML(elem_id="point")
            with gr.Tab("Your own picture", id=OWN):
                self.own_note = gr.HTML(_own_note(self.first))
                with gr.Column(visible=_takes_own(self.first)) as self.own_part:
                    self.upload = gr.File(label="A picture (PNG, JPEG, WebP, GIF, BMP, TIFF)", height=140,
                                          file_types=["image"], elem_id="upload")
                    self.own = gr.HTML(elem_id="own")

    def _events(self, page: gr.Blocks) -> None:
        asked = [self.model, self.class_name, self.seed, self.count, *self.settings.values()]
        how: dict[str, Any] = {"show_progress": "minimal", "trigger_mode": "always_last",
                               "api_visibility": "private", "concurrency_id": "compute"}
        # A new model first gets its own controls. `input` is what a person changes, not what we do.
        chosen = self.model.input(_plainly(self.choose), [self.model], [
            self.about, self.class_name, self.walk_note, self.walk_part, self.own_note, self.own_part,
            *self.settings.values()], **how)
        dice = self.another.click(lambda: secrets.randbelow(MOST_SEED + 1), [], [self.seed], **how)
        changes = [self.class_name.input, *(control.input for control in self.settings.values())]

        def on(triggers: list[Any], after: list[Any], work: Callable[..., Any], inputs: list[Any],
               outputs: list[Any]) -> list[Any]:
            """Do `work` at each trigger, and after each event that went well."""
            done = [event.success(_plainly(work), inputs, outputs, **how) for event in after]
            return [*done, gr.on(triggers, _plainly(work), inputs, outputs, **how)]

        way, own = [*asked, self.end, self.share], [*asked, self.upload]
        shown = on([page.load, self.seed.input, self.count.input, *changes], [chosen, dice], self.show, asked,
                   [self.pictures, self.verdict, self.nearest])
        on([self.end.input], shown, self.walk, way, [self.strip, self.point])
        on([self.share.input], [], self.step, way, [self.point])
        on([self.upload.change, *changes], [chosen], self.take, own, [self.own])
        zipped = self.download.click(_plainly(self.archive), asked, [self.zip], **how)
        zipped.success(None, js="() => document.querySelector('#zip').click()")

    def choose(self, name: str) -> tuple[Any, ...]:
        """The controls of another model, with its own values."""
        model = self.offered[name]
        own = {setting.name: setting for setting in settings_of(model.card)}
        return (self._about(model), gr.update(**self._classes(model)),
                _walk_note(model), gr.update(visible=model.kind.interpolates),
                _own_note(model), gr.update(visible=_takes_own(model)),
                *(_changed(own[setting]) if setting in own else gr.update(visible=False)
                  for setting in self.settings))

    def show(self, *asked: Any) -> Iterator[tuple[Any, ...]]:
        """The pictures at once, then what the audit says, and their nearest training pictures."""
        wish = self._wish(*asked)
        model = self.offered[wish.model]
        if model.kind.translates:
            yield tiles.note(f"{wish.model} makes pictures of others: see the tab of your own."), "", ""
            return
        made = self.play.pictures(wish)
        yield (tiles.pictures(made, model.card.classes), tiles.verdict(neighbours.verdict(model.card)),
               gr.skip())
        try:
            images = np.stack([_planes(picture) for picture in made])
            near = tiles.neighbours(self.training.nearest(images, model.card), made)
        except AigcError as error:
            near = tiles.note(f"Nearest training pictures are not shown: {error}")
        yield gr.skip(), gr.skip(), near

    def walk(self, *asked: Any) -> tuple[str, str]:
        """The way in steps, and the picture at the slider."""
        *controls, end, share = asked
        wish = self._wish(*controls)
        if not self.offered[wish.model].kind.interpolates:
            return "", ""
        shares = [*np.linspace(0, 1, STEPS), float(share)]
        *way, point = self.play.walk(wish, _seed(end), shares)
        return tiles.strip(np.stack(way)), _point(point, share)

    def step(self, *asked: Any) -> str:
        """The picture at the slider."""
        *controls, end, share = asked
        return _point(self.play.walk(self._wish(*controls), _seed(end), [float(share)])[0], share)

    def take(self, *asked: Any) -> str:
        """A person's own picture, translated or reconstructed."""
        *controls, upload = asked
        wish = self._wish(*controls)
        model = self.offered[wish.model]
        if upload is None or not _takes_own(model):
            return ""
        content = Path(upload).read_bytes()
        if model.kind.translates:
            seen, made = self.play.translated(wish, content)
            return tiles.beside(seen, tiles.linked(made, model.card.classes),
                                f"Translated to {wish.class_name}")
        seen, result = self.play.reconstructed(wish, content)
        return tiles.beside(seen, tiles.image(result, "its reconstruction"), "Through encoder and decoder")

    def archive(self, *asked: Any) -> str:
        """The zip of the pictures that are shown."""
        return str(self.play.archive(self._wish(*asked), self.folder))

    def _about(self, model: Trained) -> str:
        return tiles.about(model, methods.summary(model.card.method))

    def _classes(self, model: Trained) -> dict[str, Any]:
        """The choices of the control for the class."""
        has_choice = self.play.is_conditional(model.name)
        choices = [] if model.kind.translates else [EVERY_CLASS]
        choices += model.card.classes if has_choice else []
        return {"choices": choices, "value": choices[0], "visible": has_choice}

    def _wish(self, name: str, class_name: str | None, seed: float | None, count: float,
              *values: Any) -> Wish:
        """What the controls say. values: of all settings; those of other models are left out."""
        chosen = dict(zip(self.settings, values, strict=False))
        settings = tuple((setting.name, setting.text(chosen[setting.name]))
                         for setting in settings_of(self.offered[name].card))
        is_one = self.play.is_conditional(name) and class_name != EVERY_CLASS
        return Wish(name, _seed(seed), int(count), class_name if is_one else None, settings)


def _seed(value: float | None) -> int:
    if value is None:
        raise ConfigError(f"name a seed: a whole number from 0 to {MOST_SEED}")
    return int(value)


def _walk_note(model: Trained) -> str:
    return tiles.note("From the first picture of the seed to that of another seed, in one class."
                      if model.kind.interpolates else f"{model.name} knows no way between two pictures.")


def _own_note(model: Trained) -> str:
    if model.kind.translates:
        return tiles.note("The model translates your picture to the class that you choose.")
    return tiles.note("The model encodes your picture, and decodes it again." if model.kind.reconstructs else
                      f"{model.name} takes no picture: it can neither reconstruct nor translate one.")


def _takes_own(model: Trained) -> bool:
    return model.kind.reconstructs or model.kind.translates


def _control(setting: Setting, visible: bool) -> Any:
    """The control of one setting: a slider, or words to choose from."""
    label = setting.name.replace("_", " ").capitalize()
    if setting.words:
        return gr.Radio(list(setting.words), value=setting.value, label=label, visible=visible,
                        elem_id=setting.name)
    return gr.Slider(setting.low, setting.high, setting.value, step=setting.step, label=label,
                     visible=visible, elem_id=setting.name)


def _changed(setting: Setting) -> Any:
    """The same control with the values of another model."""
    if setting.words:
        return gr.update(choices=list(setting.words), value=setting.value, visible=True)
    return gr.update(minimum=setting.low, maximum=setting.high, step=setting.step, value=setting.value,
                     visible=True)


def _planes(picture: Picture) -> np.ndarray:
    """uint8 (C, H, W)."""
    pixels = np.asarray(picture.image)
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def _point(pixels: np.ndarray, share: float) -> str:
    return tiles.large(pixels, f"{share:.0%} of the way")


def _plainly(work: Callable[..., Any]) -> Callable[..., Iterator[Any]]:
    """`work`, whose errors for users the page shows as one line. Each value that it yields is shown."""
    def plain(*asked: Any) -> Iterator[Any]:
        try:
            result = work(*asked)
            if isinstance(result, Iterator):
                yield from result
            else:
                yield result
        except AigcError as error:
            raise gr.Error(escape(str(error)), print_exception=False) from None
    return plain
