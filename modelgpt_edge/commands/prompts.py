"""``build --show-prompt``: what a driver's model would be sent, word for word, without asking it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from modelgpt_edge.errors import InputError

if TYPE_CHECKING:
    from modelgpt_edge.request import Request
    from modelgpt_edge.requirement.drivers.prompt import Question


def prompts_text(request: Request) -> str:
    """The questions as text; the second may change where the model's answer to the first is taken.

    Raises:
        InputError: the rules ask no model, or none is asked of such data, or the data can't be read.
    """
    from modelgpt_edge.looking import about_pictures, look, no_driver
    from modelgpt_edge.requirement.drivers.opening import CURE, open_driver
    from modelgpt_edge.requirement.drivers.write import questions, text_questions
    from modelgpt_edge.requirement.text_rules import write_text_requirement

    if about_pictures(request):
        raise no_driver("--show-prompt")
    if open_driver(request.driver) is None:
        cure = f"Give --driver. {CURE}"
        raise InputError("the rules ask no model", where="--show-prompt", seen=request.driver, cure=cure)
    looked = look(request)
    if looked.texts is not None or looked.profile is None:
        requirement = write_text_requirement(request, looked.texts, looked.profile)
        asked: tuple[Question, ...] = text_questions(request, looked.profile, requirement)
    else:
        asked = questions(request, looked.profile)
    parts = []
    for place, question in enumerate(asked, 1):
        schema = json.dumps(question.schema, ensure_ascii=False)
        parts.append(
            f"Question {place}: {question.about}\n\n[system]\n{question.system}\n\n[user]\n{question.user}\n\n"
            f"[JSON schema of the answer]\n{schema}"
        )
    return "\n\n".join(parts)
