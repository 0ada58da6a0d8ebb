"""The frozen trunk of nano as a folder of BERT and its tokenizer, for other servers: `python benchmarks/e5_folder.py OUT`."""

import argparse
import json
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file
from sentencepiece import sentencepiece_model_pb2
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from panvec.models.nano.config import CONFIG, WEIGHTS
from panvec.models.nano.weights import dequantize, read_tensors

LAYER = {
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
    "out": "attention.output.dense",
    "attention_norm": "attention.output.LayerNorm",
    "up": "intermediate.dense",
    "down": "output.dense",
    "hidden_norm": "output.LayerNorm",
}
TOP = {
    "positions": "embeddings.position_embeddings.weight",
    "norm": "embeddings.LayerNorm",
    "words": "embeddings.word_embeddings.weight",
}
SPECIAL = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
MODULES = [
    {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
    {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
    {"idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"},
]


def bert_name(name: str) -> str:
    """What transformers calls a tensor of the trunk."""
    if not name.startswith("layers."):
        first, _, rest = name.partition(".")
        return f"{TOP[first]}.{rest}" if rest else TOP[first]
    _, number, part, kind = name.split(".")
    return f"encoder.layer.{number}.{LAYER[part]}.{kind}"


def bert() -> dict[str, np.ndarray]:
    """The trunk's tensors under transformers' names; its positions hold the type of token already."""
    tensors = dequantize(read_tensors(WEIGHTS / "words.safetensors")) | dequantize(read_tensors(WEIGHTS / "trunk.safetensors"))
    renamed = {bert_name(name): np.ascontiguousarray(value, np.float32) for name, value in tensors.items()}
    return renamed | {"embeddings.token_type_embeddings.weight": np.zeros((1, CONFIG.trunk.dim), np.float32)}


def tokenizer() -> Tokenizer:
    """XLM-R's tokenizer, of the sentencepiece model."""
    proto = sentencepiece_model_pb2.ModelProto.FromString((WEIGHTS / "tokenizer.model").read_bytes())
    made = Tokenizer(models.Unigram([(piece.piece, piece.score) for piece in proto.pieces], proto.trainer_spec.unk_id))
    spaces = [normalizers.Replace("\u200d", " "), normalizers.Replace(Regex(" {2,}"), " ")]
    charsmap = normalizers.Precompiled(proto.normalizer_spec.precompiled_charsmap)
    made.normalizer = normalizers.Sequence([spaces[0], charsmap, spaces[1]])
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    made.decoder = decoders.Metaspace()
    made.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in SPECIAL])
    ends = [(name, made.token_to_id(name)) for name in ("<s>", "</s>")]
    made.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=ends)
    return made


def write(folder: Path) -> None:
    """Write the folder, which sentence-transformers and transformers read."""
    trunk, tensors = CONFIG.trunk, bert()
    config = {
        "architectures": ["BertModel"],
        "model_type": "bert",
        "hidden_size": trunk.dim,
        "num_hidden_layers": trunk.layers,
        "num_attention_heads": trunk.heads,
        "intermediate_size": trunk.hidden,
        "vocab_size": len(tensors["embeddings.word_embeddings.weight"]),
        "max_position_embeddings": trunk.positions,
        "type_vocab_size": 1,
        "layer_norm_eps": trunk.epsilon,
        "hidden_act": "gelu",
        "pad_token_id": 1,
    }
    tokens = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": trunk.positions,
        "cls_token": "<s>",
        "sep_token": "</s>",
    }
    tokens |= {f"{name.strip('</>')}_token": name for name in ("<pad>", "<unk>", "<mask>")} | {
        "bos_token": "<s>",
        "eos_token": "</s>",
    }
    files = {
        "config.json": config,
        "tokenizer_config.json": tokens,
        "modules.json": MODULES,
        "sentence_bert_config.json": {"max_seq_length": trunk.positions},
        "1_Pooling/config.json": {"word_embedding_dimension": trunk.dim, "pooling_mode_mean_tokens": True},
        "2_Normalize/config.json": {},
    }
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(json.dumps(content, indent=2))
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    tokenizer().save(str(folder / "tokenizer.json"))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    write(parser.parse_args().folder)
