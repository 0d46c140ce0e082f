"""Say in English what a task says in German, French, Spanish, Italian or Chinese: the words that rules look for, and no others.

Only phrases that mean one thing in a task stand here; what is left untouched is read as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from modelgpt_edge.requirement.wording import unaccented

# English, and what says it elsewhere, without accents. "#" is a number, which stays as it is.
LIMITS: Mapping[str, Sequence[str]] = {
    "at most": (
        *("hochstens", "maximal", "au plus", "au maximum", "como maximo", "a lo sumo", "al massimo", "al piu"),
        *("un maximum de", "un maximo de", "un massimo di", "con un maximo de", "avec un maximum de", "con un massimo di"),
    ),
    "no more than": (
        *(
            "nicht mehr als",
            "nicht langer als",
            "nicht langsamer als",
            "nicht grosser als",
            "nicht hoher als",
            "pas plus de",
            "jamais plus de",
        ),
        *("no mas de", "no mas que", "no mayor de", "no mayor que", "nunca mas de", "non piu di", "mai piu di", "non oltre"),
    ),
    "not exceed": (
        *("nicht uberschreiten", "ne pas depasser", "ne doit pas depasser", "ne doivent pas depasser", "sans depasser"),
        *(
            "no superar",
            "no debe superar",
            "no puede superar",
            "no exceder",
            "no debe exceder",
            "non superare",
            "non deve superare",
        ),
    ),
    "less than": (
        *("weniger als", "kleiner als", "schneller als", "kurzer als", "moins de", "moins d'", "inferieur a", "inferieure a"),
        *("en dessous de", "menos de", "inferior a", "por debajo de", "meno di", "inferiore a"),
    ),
    "under": ("unter #", "unterhalb von", "sous #", "sotto #", "sotto i #"),
    "within": ("innerhalb von", "binnen", "entro #"),
    "up to": ("bis #", "bis zu #", "jusqu'a", "hasta #", "fino a #"),
    "microseconds": ("mikrosekunde", "mikrosekunden", "microsecondes", "microsegundos", "microsecondi"),
    "milliseconds": ("millisekunde", "millisekunden", "millisecondes", "milisegundo", "milisegundos", "millisecondi"),
    "seconds": ("sekunde", "sekunden", "seconde", "secondes", "segundo", "segundos", "secondi"),
    "bytes": ("octets",),
    "ram": ("arbeitsspeicher", "hauptspeicher", "memoire vive", "memoire ram", "memoria ram"),
    "flash": ("flashspeicher", "flash speicher", "memoire flash", "memoria flash"),
    "of flash": ("de memoire flash", "de memoria flash", "di memoria flash", "de flash", "di flash"),
    "of ram": ("de memoire vive", "de memoire ram", "de memoria ram", "di memoria ram", "de ram", "di ram"),
    "flash of": ("flash de #", "flash di #", "memoria flash de #", "memoria flash di #", "memoire flash de #"),
    "ram of": ("ram de #", "ram di #", "memoria ram de #", "memoria ram di #", "memoire vive de #"),
    "latency at most": (
        "latencia maxima de",
        "latence maximale de",
        "latenza massima di",
        "maximale latenz",
        "maximale latenz von",
    ),
    "on disk": ("sur le disque", "auf der festplatte", "en disco", "en el disco", "su disco", "sul disco"),
    "latency": (
        *("latenz", "antwortzeit", "latence", "temps de reponse", "latencia", "tiempo de respuesta", "latenza"),
        *("tempo di risposta",),
    ),
    "in the browser": ("im browser", "dans le navigateur", "en el navegador", "nel browser"),
    "runs": ("lauft", "laufen", "tourne", "tourner", "s'execute", "se ejecuta", "ejecutar", "eseguito", "eseguita"),
    "on a": (
        *("auf dem", "auf der", "auf einem", "auf einer", "auf meinem", "auf meiner", "sur un", "sur une", "sur le", "sur la"),
        *("en un", "en una", "su un", "su una", "sul", "sulla"),
    ),
    "kb": ("ko",),  # after a number alone: see AFTER_NUMBERS
    "mb": ("mo",),
    "with a": ("mit einer", "mit einem", "avec un", "avec une", "con una", "con un"),
}
LIMITS_ZH: Mapping[str, Sequence[str]] = {
    "at most": ("不超过", "不能超过", "不得超过", "不大于", "不高于", "最多", "至多", "以内", "之内", "以下"),
    "under": ("低于", "小于", "少于", "不到"),
    "ms": ("毫秒",),
    "us": ("微秒",),
    "seconds": ("秒",),
    "ram": ("内存",),
    "flash": ("闪存",),
    "storage": ("存储空间", "存储"),
    "latency": ("延迟", "时延", "响应时间"),
    "raspberry pi": ("树莓派",),
    "in the browser": ("在浏览器中", "在浏览器里", "在浏览器内", "在浏览器上", "浏览器"),
    "android": ("安卓",),
    "runs": ("运行",),
}
# Of what is asked for, from what, and what is ruled out.
GRAMMAR: Mapping[str, Sequence[str]] = {
    "predict": (
        *("vorhersagen", "vorherzusagen", "vorhersage", "predire", "predis", "predit", "prevoir", "predecir", "predice"),
        *("prever", "prevedere", "prevedi"),
    ),
    "forecast": ("prognostiziere", "prognostizieren"),
    "estimate": ("schatze", "schatzen", "estimer", "estimez", "estimar", "estima", "stimare", "stima"),
    "recognise": ("erkenne", "erkennen", "reconnaitre", "reconnais", "reconocer", "reconoce", "riconoscere", "riconosci"),
    "classify": (
        *("klassifiziere", "klassifizieren", "classer", "classez", "clasificar", "clasifica", "classificare", "classifica"),
    ),
    "determine": ("bestimme", "bestimmen", "determiner", "determinar", "determinare"),
    "detect": ("detecter", "detectez", "detectar", "detecta", "rilevare", "rileva"),
    "from": (
        *("anhand", "anhand von", "aufgrund", "aufgrund von", "mithilfe von", "basierend auf"),
        *("a partir de", "a partir du", "a partir des", "selon", "d'apres", "en fonction de", "en fonction du"),
        *(
            "segun",
            "en base a",
            "dal",
            "dallo",
            "dalla",
            "dai",
            "dagli",
            "dalle",
            "dall'",
            "in base a",
            "in base al",
            "in base alla",
        ),
    ),
    "without": (
        *("ohne", "sans", "sans utiliser", "sin usar", "sin utilizar", "sin considerar", "sin mirar", "senza", "senza usare"),
        *("senza utilizzare",),
    ),
    "not": ("nicht", "ne pas", "pas par", "no por"),
    "no": ("kein", "keine"),
    "ignore": ("ignoriere", "ignorieren", "ignorer", "ignorez", "ignorar", "ignorare"),
    "whether": ("ob",),
    "and": ("und",),
    "or": ("oder",),
}
GRAMMAR_ZH: Mapping[str, Sequence[str]] = {
    "predict": ("预测",),
    "recognise": ("识别",),
    "determine": ("判断",),
    "classify": ("分类",),
    "estimate": ("估计", "估算"),
    "detect": ("检测",),
    "from": ("根据", "基于", "依据", "利用"),
    "without": ("不使用", "不用", "不要用", "不考虑"),
    "ignore": ("忽略",),
    "and": ("以及", "和", "与"),
    "whether": ("是否",),
    ", ": ("\N{FULLWIDTH COMMA}", "\N{IDEOGRAPHIC COMMA}"),
    ". ": ("\N{IDEOGRAPHIC FULL STOP}", "\N{FULLWIDTH SEMICOLON}"),
}
AFTER_NUMBERS = frozenset(("ko", "mo"))
APART = ("sage", "voraus")  # German parts its verb: "sage den Preis voraus"

NUMBER = "#"
APOSTROPHES = "'\N{RIGHT SINGLE QUOTATION MARK}"
SPLIT = re.compile(r"[^\W\d_]+'?|#")  # of the phrases above
TOKEN = re.compile(r"[^\W\d_]+['\N{RIGHT SINGLE QUOTATION MARK}]?|\d+")
GAPS = frozenset(("", " ", "-", "_"))
CJK = re.compile("[\u3400-\u9fff]")
BESIDE = re.compile("(?<=[\u3400-\u9fff])(?=[a-z0-9])|(?<=[a-z0-9])(?=[\u3400-\u9fff])")

# Phrases by their first word, the longest first: their words, and what they become; None for a name, which stays.
Phrases = dict[str, list[tuple[tuple[str, ...], str | None]]]


def english_limits(text: str) -> str:
    """A `search_text` with what it says of limits and devices in English."""
    if CJK.search(text):
        text = BESIDE.sub(" ", _CHINESE_LIMITS.sub(lambda match: f" {_LIMITS_OF_CHINESE[match[0]]} ", text))
    return " ".join(_translated(text, _LIMITS, ()).split())


def english_grammar(task: str, names: Sequence[str]) -> str:
    """A task with its verbs of asking and its words before columns in English; names of columns stand as they are.

    Around names that Chinese writes into the words beside them comes a space.
    """
    if not CJK.search(task):
        return _translated(task, _GRAMMAR, names)
    chinese = sorted((name for name in names if CJK.search(name)), key=len, reverse=True)
    parts = re.split("(" + "|".join(map(re.escape, chinese)) + ")", task) if chinese else [task]
    for place in range(0, len(parts), 2):
        parts[place] = _CHINESE_GRAMMAR.sub(lambda match: f" {_GRAMMAR_OF_CHINESE[match[0]]} ", parts[place])
    return _translated(" ".join(parts), _GRAMMAR, names)


def _translated(text: str, phrases: Phrases, names: Iterable[str]) -> str:
    """A text with the longest phrase at each word in English. A name of a column wins over a phrase that is no longer."""
    tokens = list(TOKEN.finditer(text))
    words = [_plain(token[0]) for token in tokens]
    if phrases.keys().isdisjoint(words):
        return text
    known = _with_names(phrases, names)
    written, done, place = [], 0, 0
    while place < len(words):
        found = next((f for f in known.get(words[place], ()) if _stands(f[0], words, tokens, text, place)), None)
        if found is None:
            place += 1
            continue
        phrase, english = found
        spoken = phrase[:-1] if phrase[-1] == NUMBER else phrase
        last = tokens[place + len(spoken) - 1]
        if english is not None:
            written += [text[done : tokens[place].start()], english, " " if last[0][-1] in APOSTROPHES else ""]
            done = last.end()
        place += len(spoken)
    return "".join([*written, text[done:]])


def _stands(phrase: tuple[str, ...], words: Sequence[str], tokens: Sequence[re.Match[str]], text: str, place: int) -> bool:
    """Whether a phrase's words stand at a place, with nothing but a blank or hyphen between them."""
    if phrase == APART[:1]:
        return APART[1] in words[place : place + 20]
    if phrase[0] in AFTER_NUMBERS and not (place and words[place - 1].isdigit()):
        return False
    if place + len(phrase) > len(words):
        return False
    for step, word in enumerate(phrase):
        here = words[place + step]
        if not (here.isdigit() if word == NUMBER else here == word):
            return False
        if step and text[tokens[place + step - 1].end() : tokens[place + step].start()] not in GAPS:
            return False
    return True


def _plain(word: str) -> str:
    return unaccented(word).casefold().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")


def _phrases(meanings: Mapping[str, Sequence[str]]) -> Phrases:
    found: Phrases = {}
    for english, spoken in meanings.items():
        for text in spoken:
            words = tuple(_plain(token) for token in SPLIT.findall(text))
            found.setdefault(words[0], []).append((words, english))
    return {first: sorted(phrases, key=lambda p: -len(p[0])) for first, phrases in found.items()}


def _with_names(phrases: Phrases, names: Iterable[str]) -> Phrases:
    """Phrases, and before those of as many words the names that begin like one of them."""
    known = dict(phrases)
    for name in names:
        words = tuple(_plain(token) for token in TOKEN.findall(name))
        if words and words[0] in known:
            known[words[0]] = sorted([(words, None), *known[words[0]]], key=lambda p: -len(p[0]))
    return known


def _of_chinese(meanings: Mapping[str, Sequence[str]]) -> tuple[re.Pattern[str], dict[str, str]]:
    found = {text: english for english, spoken in meanings.items() for text in spoken}
    return re.compile("|".join(map(re.escape, sorted(found, key=len, reverse=True)))), found


_LIMITS, _GRAMMAR = _phrases(LIMITS), _phrases({**GRAMMAR, "predict": (*GRAMMAR["predict"], APART[0]), "": (APART[1],)})
_CHINESE_LIMITS, _LIMITS_OF_CHINESE = _of_chinese(LIMITS_ZH)
_CHINESE_GRAMMAR, _GRAMMAR_OF_CHINESE = _of_chinese(GRAMMAR_ZH)
