"""The app around a model of pictures: a page that takes files and the camera. JavaScript alone so far, and no scripts for Node,
which decodes no pictures.
"""

from __future__ import annotations

import json
from importlib import resources

from modelgpt_edge.embed.page_graph import GRAPH, check_language, page_graph
from modelgpt_edge.embed.readme import README, picture_readme
from modelgpt_edge.manifest import Variant
from modelgpt_edge.runtime.opening import Package
from modelgpt_edge.targets.backend import PictureFacts
from modelgpt_edge.targets.browser.picture_files import picture_files

SHARED = ("page.css", "bars.mjs", "serve.mjs")
PAGE = ("index.html", "app.mjs", "app.css", "camera.mjs")
NODE = "package.json"


def image_app(package: Package, language: str, variant: Variant | None) -> tuple[dict[str, bytes], str | None]:
    """The app's files, and the name of the variant in it; None where the package's own model is.

    Raises:
        InputError: another language than JavaScript, or a variant that doesn't run in a page.
    """
    check_language(language, "pictures")
    graph, used = page_graph(package, variant)
    manifest = package.manifest
    facts = PictureFacts(manifest.classes, int(manifest.architecture["size"]))
    shared, own = (resources.files(__package__).joinpath(folder) for folder in ("javascript", "javascript_image"))
    needs = json.loads(shared.joinpath(NODE).read_bytes())
    needs["scripts"] = {"start": needs["scripts"]["start"]}
    return {
        GRAPH: graph,
        **picture_files(facts),
        NODE: (json.dumps(needs, indent=2) + "\n").encode(),
        **{name: shared.joinpath(name).read_bytes() for name in SHARED},
        **{name: own.joinpath(name).read_bytes() for name in PAGE},
        README: picture_readme(manifest.requirement.sentence, facts).encode(),
    }, used
