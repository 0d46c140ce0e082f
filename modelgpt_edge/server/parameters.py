"""``POST /v1/parameters``: weights for one request, emitted with others."""

from __future__ import annotations

import json
from typing import Annotated

from fastapi import Query, Request
from fastapi.responses import JSONResponse, Response

from modelgpt_edge.server import bodies
from modelgpt_edge.server.batching import Answer
from modelgpt_edge.server.jobs import Job, ProfileJob, Refused, Result, RowsJob
from modelgpt_edge.server.requests import service_of, upload_limits, while_here
from modelgpt_edge.server.text_options import TextOptions, require_no_rows


async def parameters(
    request: Request,
    task: Annotated[str, Query(description="What the model shall do, in a sentence; needed for rows.")] = "",
    label: Annotated[str | None, Query(description="The column to predict; found where not given.")] = None,
    kind: Annotated[
        str | None, Query(description="classification or regression; told from task and label where not given.")
    ] = None,
    units: Annotated[
        int | None, Query(description="Hidden units; the fewest that say the same as the draws where not given.")
    ] = None,
    draws: Annotated[int, Query(description="Draws of hidden units, 1, 2 or 4: fewer are quicker.")] = 1,
    seed: Annotated[int, Query(ge=0, description="Seed of every random draw.")] = 0,
    score: Annotated[bool, Query(description="Cross-validate, and let the guard choose: several times slower.")] = False,
    modality: Annotated[
        str | None, Query(description="table or text; text where classes, their meanings or a column of texts are given.")
    ] = None,
    classes: Annotated[
        str | None, Query(description="Of texts: names of classes between commas, which are enough without rows.")
    ] = None,
    described: Annotated[
        list[str] | None, Query(alias="class", description="Of texts: a class and what it means, `name: meaning`; repeatable.")
    ] = None,
    text: Annotated[str | None, Query(description="Of texts: the column that holds them; found where not given.")] = None,
    precision: Annotated[
        str | None, Query(description="Of texts: fp32, fp16, or int8 with a scale for each output; fp32 where not given.")
    ] = None,
) -> Response:
    """Weights from labelled rows, or from a profile: safetensors with `encoded` (N, D) and `targets` (N, K), float32.

    Rows give a whole child as a package holds it, with its encoder; a profile gives units and head, and the raw rows stay
    with you. Unless `score` is asked for nothing is cross-validated. The header `modelgpt-facts` tells about the model as JSON.

    Texts, labelled or by the names of their classes alone, give the attention of the sentence encoder, adapted to them, and
    the head on it.
    """
    service = service_of(request)
    service.require_room()
    options = TextOptions(modality, classes, described, text, precision)
    async with service.upload() as folder:
        upload = None
        if not options.about_texts or bodies.has_body(request):
            upload = await bodies.save_rows(request, folder, upload_limits(service), service.metrics.received.inc)
        job: Job
        if upload is None or options.about_texts:
            tables = {"units": units, "draws": None if draws == 1 else draws, "score": score or None}
            job = options.job(upload, task, label, kind, seed, {name: v for name, v in tables.items() if v is not None})
        else:
            options.require_table()
            if upload.type == bodies.SAFETENSORS:
                require_no_rows({"task": task or None, "label": label, "kind": kind, "score": score or None})
                job = ProfileJob(upload.path, units, draws, seed)
            else:
                job = RowsJob(upload.path, task, label, kind, units, draws, seed, score)
        return _weights(await while_here(request, service.emit(job)))


def _weights(answer: Answer[Result]) -> Response:
    if isinstance(answer.result, Refused):
        return JSONResponse(answer.result.error, answer.result.status)
    headers = {
        "modelgpt-facts": json.dumps(answer.result.facts),
        "modelgpt-batch": str(answer.batch),
        "modelgpt-waited": f"{answer.waited:.4f}",
        "modelgpt-seconds": str(answer.result.facts["seconds"]),
    }
    return Response(answer.result.content, media_type=bodies.SAFETENSORS, headers=headers)
