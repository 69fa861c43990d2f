"""Writes tokenizer.json: what Hugging Face's tokenizers library makes of the texts below.

    pip install tokenizers && python3 tests/golden/make_tokenizer.py          (made with tokenizers 0.23)

training    the text that BPE is learnt from
texts       [{text, words, trained, gpt2, ...}]: words of GPT-2's pre-tokenisation; ids of the two tokenizers
trained     tokenizer.json of BPE learnt here, 256 bytes first, merges as ["a", "b"]
gpt2        the same as GPT-2's own file has it: merges as "a b", <|endoftext|> last, in the vocabulary and added
"""

import copy
import json
import os

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

training = """\
The lighthouse keeper's daughter didn't count the ships; she'd counted the waves. "They're all the same," he said,
and they weren't. On the 12th of March 1911 -- or the 13th, nobody's sure -- a grey ship came in without lights.
We'll never know who'd sailed her. I'm told the keeper wrote 40 pages that night, and that she burnt 39 of them.
    What's left says:   the sea keeps what the sea is given, the sea gives what it's told to give.
\tThe sea, the sea; and the waves, the waves, the waves...

Été après été, Zoë naïvely counted the façades; größer, größte, größer. Мама мыла раму, мама мыла раму.
aaaaaaaa aaaa aaaaaaa aa aaaaa abababab ababab 111111 1111 ---- ------ \u00a0\u2003 end
"""

texts = [
    "",
    "a",
    " ",
    "\n",
    "   ",
    "the waves",
    "  the  waves  ",
    "\n\n the\n waves \t\tcame",
    "don't can't we'll they're I've I'm she'd it's 'sun 'tis DON'T ''s '",
    "x=40+2; y[13]={1911, 12th}",
    "...!? --- '' \"\" (the) [sea]",
    "Zoë größte été \u00c9T\u00c9 e\u0301",
    "мама Мыла 東京タワー ไทย हिन्दी",
    "٣ ½ Ⅷ ² 42",
    "🌊 the 🌊🌊sea👩‍🚀",
    "a\u00a0b\u2003c\u3000d\u0085e\u200bf\ufeffg",
    "aaaaaaaaaaa abababa 1111111 -----",
    "the sea<|endoftext|>the sea <|endoftext|><|endoftext|> <|endoftext",
    "\r\nthe sea\r\n",
    "\x00\x01\x1c\x1f\x7f",
]

trained = Tokenizer(models.BPE())
trained.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
trained.decoder = decoders.ByteLevel()
trained.train_from_iterator(
    [training],
    trainers.BpeTrainer(vocab_size=350, min_frequency=2, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
                        show_progress=False))
trained_json = json.loads(trained.to_str())

gpt2_json = copy.deepcopy(trained_json)
end = len(gpt2_json["model"]["vocab"])
gpt2_json["model"]["vocab"]["<|endoftext|>"] = end
gpt2_json["model"]["merges"] = [" ".join(pair) for pair in gpt2_json["model"]["merges"]]
del gpt2_json["model"]["type"]
gpt2_json["added_tokens"] = [{"id": end, "content": "<|endoftext|>", "single_word": False, "lstrip": False,
                              "rstrip": False, "normalized": True, "special": True}]
gpt2_json["post_processor"] = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False,
                               "use_regex": True}
gpt2 = Tokenizer.from_str(json.dumps(gpt2_json))


def words(text):
    """Hugging Face gives the words in the byte alphabet; their offsets give them in the text."""
    return [text[begin:end] for _, (begin, end) in trained.pre_tokenizer.pre_tokenize_str(text)]


golden = {
    "training": training,
    "texts": [{"text": text, "words": words(text), "trained": trained.encode(text).ids, "gpt2": gpt2.encode(text).ids}
              for text in texts],
    "trained": trained_json,
    "gpt2": gpt2_json,
}
for case in golden["texts"]:
    assert trained.decode(case["trained"]) == case["text"]

with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "tokenizer.json"), "w") as file:
    file.write("{\n" + ",\n".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in golden.items()) + "\n}\n")
