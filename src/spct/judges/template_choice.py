"""Which template an item is judged by. Failure rule: an item or a setting that does not suit it is a TemplateError."""

from __future__ import annotations

from collections.abc import Mapping

from spct.errors import TemplateError
from spct.items.images import is_reference
from spct.judges.settings import JudgeSettings
from spct.templates import Template, load_first, load_template
from spct.types import Item, Trajectory
from spct.voting.noise import TEN_POINTS, scale_noise

GRM_FAMILY = {"reference": "grm-reference", "principles": "grm-principles"}
"""What the template "grm" becomes for an item that brings a reference, or is judged by principles it did not write."""


def template_for(item: Item, settings: JudgeSettings, templates: Mapping[str, Template]) -> Template:
    """Which of ``load_templates`` an item is judged by. Raises TemplateError where the item lacks what it needs."""
    name = settings.template
    if name == "grm":
        kind = "principles" if settings.principles != "self" else "reference" if item.reference else ""
        name = GRM_FAMILY.get(kind, name)
    if name not in templates:
        kept = ", ".join(templates) or "none"
        raise TemplateError(f"item {item.id!r} was judged by the template {name}, which is not kept (there is: {kept})")
    template = templates[name]
    if settings.principles == "given" and not item.principles:
        raise TemplateError(
            f'item {item.id!r} has no principles; --principles given needs the key "principles" in every row'
        )
    if "reference" in template.needs and not item.reference:
        raise TemplateError(f'item {item.id!r} has no reference; template {name} needs the key "reference"')
    if "single" in template.needs and len(item.responses) != 1:
        raise TemplateError(f"item {item.id!r} has {len(item.responses)} responses; template {name} takes exactly 1")
    if (refused := template.refuses(len(item.responses))) is not None:
        raise TemplateError(f"item {item.id!r} cannot be judged by template {name}: {refused}")
    return template


def check_images(item: Item, who: str, *, taken: bool) -> None:
    """Raise TemplateError if the item has images and ``who`` takes none, or has of one no more than a reference."""
    turns = [*item.messages, *[turn for text in item.responses if isinstance(text, Trajectory) for turn in text.turns]]
    images = [image for turn in turns for image in turn.images]
    if images and not taken:
        count = "an image" if len(images) == 1 else f"{len(images)} images"
        raise TemplateError(
            f"item {item.id!r} has {count}, and {who} reads text only: use the judge grm with openai:NAME and a model that "
            "sees, or leave the images out"
        )
    if any(is_reference(image) for image in images):
        raise TemplateError(
            f"item {item.id!r} has of an image no more than the reference that a run kept: judge the input itself"
        )


def scale_of(settings: JudgeSettings, templates: Mapping[str, Template]) -> tuple[float, float] | None:
    """The least and the greatest mean of a verdict under ``settings``; None where nothing states it.

    ``templates`` are the judge's, or those that a run has kept of it: judges that give points of their own have none.
    """
    if settings.jury is not None:
        return settings.jury.scale
    return None if settings.template not in templates else templates[settings.template].scale


def lenience_in(templates: Mapping[str, Template]) -> str | None:
    """In what a template among them reads answers less than strictly; None if all read strictly."""
    return next((f"{name}: {template.lenient}" for name, template in templates.items() if template.lenient), None)


def noise_in(templates: Mapping[str, Template], name: str) -> float:
    """How much margins by the template ``name`` vary as far as its scale tells, in squared points; without it, as on 1..10."""
    return TEN_POINTS if name not in templates else scale_noise(*templates[name].scale)


def load_templates(settings: JudgeSettings) -> dict[str, Template]:
    """Every template that an item may be judged by under ``settings``, by name. Raises TemplateError."""
    names = [settings.template]
    if settings.template == "grm":
        names += GRM_FAMILY.values()
    if settings.principles == "query":
        names.append("principles")
    templates = {name: load_template(name) for name in names}
    main = templates[settings.template]
    if main.first is not None:
        if settings.principles == "query":
            raise TemplateError(
                f"template {settings.template} has a first step of its own, and --principles query is another: drop one"
            )
        templates[main.first] = load_first(main)
    if main.kind == "text":
        raise TemplateError(f"template {settings.template} asks for a text and no scores; it cannot judge")
    if settings.principles != "self" and settings.template != "grm" and "principles" not in main.needs:
        raise TemplateError(
            f"template {settings.template} does not show principles; --principles {settings.principles} needs one that "
            "declares `needs: [principles]`, such as grm-principles"
        )
    if settings.principles == "self" and "principles" in main.needs:
        raise TemplateError(f"template {settings.template} shows principles; add --principles given or query")
    return templates
