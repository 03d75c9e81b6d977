"""Tokenizers and what they make of difficult prompts -> t5_tokenizer/, clip_tokenizer/, prompts.json.

t5_tokenizer/{spiece.model, tokenizer_config.json}: a small SentencePiece unigram model in the T5 layout (the one that pipelines.py uses).
clip_tokenizer/{vocab.json, merges.txt, tokenizer_config.json, special_tokens_map.json}: a small byte-level BPE in CLIP's layout.
prompts.json: [{"prompt", "cleaned", "t5_ids", "clip_ids"}]: cleaned as WanPipeline's prompt_clean does (README.md); t5_ids are the ids of the
cleaned prompt with the end token, not padded; clip_ids those of the raw prompt with both end tokens, as CLIP pipelines do no cleaning.
"""

import json
from collections import Counter

import sentencepiece
from common import FOLDER
from diffusers.pipelines.wan.pipeline_wan import prompt_clean
from tokenizers import pre_tokenizers
from transformers import CLIPTokenizer, T5Tokenizer

TEXT = """a red panda sits in the snow and looks at the mountains
two cats are sleeping on a blue chair near the window
a house with a garden, a tree and a small river; painted in oil
the moon over the sea at night, with boats and stars
he said "red", she said 'blue'; it's a cat & a dog <3 (really?)
flag: China, flag: France, keycap: 1 2 3 4 5 6 7 8 9 0
blurred, ugly, low quality, watermark, café, schön
一只红色的熊猫坐在雪地里看着远山
两只猫睡在窗边的蓝色椅子上
海上的月亮，夜晚的船和星星。
模糊，低质量，水印"""

PROMPTS = [
    "", " ", "a red panda", "A Red PANDA", "a red panda &amp; a cat in  the snow,\tpainted", "一只红色的熊猫，坐在雪地里看着远山", "中国，你好。！？",
    "红熊猫 and a cat 42", "“red” ‘blue’ — it’s", "ﬁnds oﬃce", "ＡＢＣ　１２", "&lt;b&gt; &amp;amp; &copy; &eacute; &#x4e2d; &#65; &nbsp;x &amp", "<b>&amp;</b>",
    "cafe\u0301", "schÃ¶n", "a\x07b\x00c", "a\u200bb\ufeffc", "a\r\nb\u2028c\x85d", "\x1b[31mred", "ｶﾀｶﾅ", "①½㎏", "👍🏽 ok", "☃☃ a ☃", "\u00a0x\u00a0y ",
    "it's we'll I'd don't", "2024-01-02", "a.b,c!?d", "straße İstanbul ΑΒΓ", "ไทย 한국어 日本語", "supercalifragilisticexpialidocious", "▁under▁score", "a</w>b",
]


def make_t5(folder):
    folder.mkdir(parents=True, exist_ok=True)
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXT.splitlines()), model_prefix=str(folder / "spiece"), model_type="unigram", vocab_size=220,
        character_coverage=1.0, pad_id=0, eos_id=1, unk_id=2, bos_id=-1, hard_vocab_limit=False, num_threads=1, minloglevel=2)
    (folder / "spiece.vocab").unlink()
    config = {"tokenizer_class": "T5Tokenizer", "extra_ids": 0, "additional_special_tokens": [],
              "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=1) + "\n")
    return T5Tokenizer.from_pretrained(folder)


def learn_merges(words, count):
    """Byte-pair merges by frequency, ties by order of the pair: tokenizers' own trainer breaks ties differently from run to run."""
    words, merges = [list(word) for word in words], []
    for _ in range(count):
        pairs = Counter(pair for word in words for pair in zip(word, word[1:]))
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        for word in words:
            for index in range(len(word) - 1, 0, -1):
                if (word[index - 1], word[index]) == best:
                    word[index - 1:index + 1] = ["".join(best)]
    return merges


def make_clip(folder):
    """Ids as in CLIP: the 256 bytes, the same with </w>, the merges in order, then start and end of text."""
    folder.mkdir(parents=True, exist_ok=True)
    split = pre_tokenizers.Sequence([pre_tokenizers.Whitespace(), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    words = [[*word[:-1], word[-1] + "</w>"] for word, _ in split.pre_tokenize_str(TEXT.lower())]
    merges = learn_merges(words, 260)
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    pieces = letters + [letter + "</w>" for letter in letters] + ["".join(merge) for merge in merges] + ["<|startoftext|>", "<|endoftext|>"]
    vocabulary = {piece: index for index, piece in enumerate(dict.fromkeys(pieces))}
    (folder / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False) + "\n", encoding="utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in merges), encoding="utf-8")
    special = {"bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>", "pad_token": "<|endoftext|>", "unk_token": "<|endoftext|>"}
    (folder / "special_tokens_map.json").write_text(json.dumps(special, indent=1) + "\n")
    config = {"tokenizer_class": "CLIPTokenizer", "model_max_length": 77, **special}
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=1) + "\n")
    return CLIPTokenizer.from_pretrained(folder)


def main():
    t5, clip = make_t5(FOLDER / "t5_tokenizer"), make_clip(FOLDER / "clip_tokenizer")
    rows = [{"prompt": prompt, "cleaned": prompt_clean(prompt), "t5_ids": t5(prompt_clean(prompt)).input_ids, "clip_ids": clip(prompt).input_ids}
            for prompt in PROMPTS]
    (FOLDER / "prompts.json").write_text("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n")
    print(f"prompts: {len(rows)}, vocabularies {len(t5)} and {len(clip)}")


if __name__ == "__main__":
    main()
