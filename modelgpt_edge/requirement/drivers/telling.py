"""Which words of a text say what it is about: no verb of asking, nothing that stands in any request, no device and no limit.

A model's sentence has to share one of these with the request, since the others would tie it to anything. Nothing of the data
comes in here.
"""

from __future__ import annotations

from functools import cache
from itertools import pairwise

from modelgpt_edge.requirement.asked_for import ASKS
from modelgpt_edge.requirement.devices import OTHERS, SPOKEN
from modelgpt_edge.requirement.label import USUAL
from modelgpt_edge.requirement.languages import CJK, english_grammar
from modelgpt_edge.requirement.wording import name_words
from modelgpt_edge.targets.builtin import BUILTIN

LEAST_LETTERS = 4  # of a word that tells something
SHORTEST_NAME = 3  # letters of a word in a column's or class's name that does

# Beside what `ASKS` knows. All words stand as `name_words` makes them.
ASKING = (
    "answer answers assign assigned ask build choose classified create decide distinguish find give given gives guess help "
    "know label labels look looks make makes mark model models need needs pick please predicted predictor prediction "
    "predictions route routes say says score select separate show sort sorts tag tell tells train trained understand want "
    "wants work works dime donne finde modele modell modello modelo puede quiero sage sagen sortiere trouve veux voraus "
    "vorrei"
)
LIMITS = (
    "accuracy bytes board browser budget device devices edge fast faster fits flash kilobytes latency limit machine maximum "
    "megabytes memory microcontroller microseconds millisecond milliseconds minimum phone quick quickly runs second seconds "
    "server size slow small smaller storage time"
)
COMMON = (
    "able about above across after again against all also among and another any anything are based because been before "
    "being below between both cannot case cases categories category class classes column columns could data dataset does "
    "doing done down during each either else every everything example examples following for from has have having here how "
    "into item items just kind kinds last less like many mean means mind more most much must name names none not nothing "
    "number only other others output over part right role row rows same should some something such table tables target text "
    "texts than that the their them then there these they thing things this those through type types under unknown until "
    "upon used using value values very was were what when where whether which while who whom whose will with within without "
    "would yes you your yours aber alle auch beim bitte das dass dein denen der dessen deren die diese diesem diesen dieser "
    "dieses ein eine einem einen einer eines haben hier ihre ihrem ihren ihrer ist jede jedem jeden jeder jedes kann kein "
    "keine mein meine meinen mich muss nach nein nicht oder ohne sein seine sich sind soll sollen sondern texte uber und "
    "unter viel viele wann warum welche welchem welchen welcher welches wenn werden wird wurde zwischen aussi avec avoir "
    "cette ceux chaque comme dans depuis elle elles etre leur leurs les mais meme non notre nous oui par plus pour quand "
    "quel quelle quelles quels quoi sans sera sont sous toute toutes tous une votre vous alguna algun cada como con cual "
    "cuales cuando cuanto desde donde ella ellos entre esta este estas esto estos hacia hasta los nuestro para pero porque "
    "quien segun sobre textos tiene todas todos una anche che cosa come dalla dalle degli della delle dello devi dove "
    "essere loro nella nelle nostro ogni perche qual quale quali quando quanto quella quello questa queste questi questo "
    "sarebbe senza sono sulla testi tutti tutte"
)
CHINESE = "哪些 什么 怎么 如何 数据 模型 一个 这个 那个 每个 每位 我们 他们 需要 可以 请问"
NAMES_NOTHING = frozenset(COMMON.split())
TELLS_NOTHING = NAMES_NOTHING | frozenset(f"{ASKING} {LIMITS}".split())
SIGNS = frozenset(CHINESE.split())


def telling_words(text: str) -> frozenset[str]:
    """The words of a text that say what it is about, without a plural's s; of Chinese, which parts none, two signs each."""
    english = english_grammar(text, ())
    words = ASKS.sub(" ", name_words(english)).split()
    nothing = TELLS_NOTHING | _device_words()
    told = {word.removesuffix("s") for word in words if len(word) >= LEAST_LETTERS and word not in nothing}
    signs = ("".join(pair) for pair in pairwise(english) if CJK.match(pair[0]) and CJK.match(pair[1]))
    return frozenset(word for word in told if not word.isdigit()) | (frozenset(signs) - SIGNS)


def tells(name: str) -> bool:
    """Whether the name of a column or class says something by itself: not ``label``, ``no`` or ``1``."""
    words = name_words(name)
    if words in USUAL:
        return False
    long = (word for word in words.split() if len(word) >= SHORTEST_NAME or not word.isascii())
    return any(word not in NAMES_NOTHING and not word.isdigit() for word in long)


def holds(text: str, name: str) -> bool:
    """Whether a text holds a name as whole words, but for case and signs; of Chinese, anywhere."""
    words, wanted = name_words(text), name_words(name)
    return wanted != "" and (f" {wanted} " in f" {words} " or (CJK.search(wanted) is not None and wanted in words))


@cache
def _device_words() -> frozenset[str]:
    phrases = (*SPOKEN, *OTHERS, *(name for target in BUILTIN for name in (target.name, *target.aliases)))
    return frozenset(word for phrase in phrases for word in name_words(phrase).split())
