"""Hugging Face's Transformers as the judge of model folders.

  python make_huggingface.py
      writes huggingface.json: for small models of each style the config.json that save_pretrained writes, the names
      and shapes of the tensors in its model.safetensors, and logits. Weights follow from seeds by inputs.py.
      Also the bytes of a small file that the safetensors package wrote, in hexadecimal.

  GALVAN_TEST_FOLDERS=/tmp/folders build/release/galvan_test_models -tc='*Transformers to load*'
  python make_huggingface.py check /tmp/folders/*
      loads folders that Galvan wrote: AutoModelForCausalLM must give the logits in the folder's logits.safetensors,
      AutoTokenizer the tokens in the folder's tokens.json.

Made with torch 2.15.0, transformers 5.23.0, safetensors 0.8.0.
"""

import json
import pathlib
import sys
import tempfile

import safetensors
import safetensors.torch
import torch
from inputs import integer, numbers, real, write
from transformers import AutoModelForCausalLM, AutoTokenizer, GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

HERE = pathlib.Path(__file__).parent
TOKENS = dict(vocab_size=11, bos_token_id=None, eos_token_id=None)
GPT2 = dict(n_positions=7, n_embd=12, n_layer=2, n_head=3, attn_implementation="eager", **TOKENS)
LLAMA = dict(hidden_size=16, intermediate_size=20, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
             max_position_embeddings=7, rms_norm_eps=1e-5, attn_implementation="eager", **TOKENS)


def models():
    yield "gpt2", GPT2LMHeadModel(GPT2Config(**GPT2))
    yield "gpt2 untied", GPT2LMHeadModel(GPT2Config(n_inner=20, tie_word_embeddings=False, **GPT2))
    yield "llama", LlamaForCausalLM(LlamaConfig(rope_parameters={"rope_type": "default", "rope_theta": 500.0}, **LLAMA))
    yield "llama tied", LlamaForCausalLM(LlamaConfig(tie_word_embeddings=True, **LLAMA))


def case(name, model):
    model = model.double().eval()
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        model.save_pretrained(folder)
        config = json.loads((pathlib.Path(folder) / "config.json").read_text())
        saved = safetensors.torch.load_file(pathlib.Path(folder) / "model.safetensors")
        tensors = [{"name": key, "shape": list(value.shape), "seed": 100 + i} for i, (key, value) in enumerate(saved.items())]
        state = {t["name"]: real(t["shape"], t["seed"], 0.4, 0.1) for t in tensors}
        missing = model.load_state_dict(state, strict=False)
        assert not missing.unexpected_keys and set(missing.missing_keys) <= {"lm_head.weight"}, missing
        model.tie_weights()
        tokens = integer((2, 7), 1, 11)
        logits = model(tokens).logits
    return {"name": name, "config": config, "tensors": tensors, "tokens": numbers(tokens), "logits": numbers(logits)}


def small_file():
    tensors = {
        "half": torch.tensor([[0.0, 1.5, -2.0], [65504.0, 2.0**-24, -0.1]], dtype=torch.float16),
        "brain": torch.tensor([1.0, -3.140625], dtype=torch.bfloat16),
        "single": torch.tensor([0.1, -1e30, float("inf")], dtype=torch.float32),
        "double": torch.tensor(0.1, dtype=torch.float64),
        "whole": torch.tensor([[-7], [2147483647]], dtype=torch.int64),
        "int": torch.tensor([-7, 5], dtype=torch.int32),
        "flag": torch.tensor([True, False, True]),
        "empty": torch.zeros((0, 3)),
    }
    return safetensors.torch.save(tensors, {"format": "pt"}).hex()


def check(folder):
    folder = pathlib.Path(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    expected = safetensors.torch.load_file(folder / "logits.safetensors")
    with torch.no_grad():
        logits = model(expected["tokens"].long()).logits
    difference = (logits - expected["logits"].float()).abs().max().item()
    text = json.loads((folder / "tokens.json").read_text(encoding="utf-8"))
    ids = tokenizer(text["text"])["input_ids"]
    right = ids == text["ids"] and tokenizer.decode(ids) == text["text"]
    print(f"{folder.name}: {type(model).__name__}, largest difference of logits {difference:.2e}, tokens {'equal' if right else ids}")
    return right and difference < 1e-4


if sys.argv[1:2] == ["check"]:
    results = [check(folder) for folder in sys.argv[2:]]
    sys.exit(not (results and all(results)))
write(HERE / "huggingface.json", {"safetensors": small_file()}, "cases", [case(*model) for model in models()])
