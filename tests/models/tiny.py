"""Tiny models with random weights, written as folders: every shape of the real ones at a ten-thousandth of the size."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer

CORPUS = ["a dog catches a ball in the garden", "rain on a window at night", "task: search result | query: title: none | text:"]
GEMMA_PROMPTS = {
    "SearchQuery": "task: search result | query: ",
    "Document": "title: none | text: ",
    "QuestionAnswering": "task: question answering | query: ",
    "FactChecking": "task: fact checking | query: ",
    "CodeRetrieval": "task: code retrieval | query: ",
    "Classification": "task: classification | query: ",
    "Clustering": "task: clustering | query: ",
    "SentenceSimilarity": "task: sentence similarity | query: ",
}
GEMMA_TOKENS = {
    "image_token": "<|image|>",
    "audio_token": "<|audio|>",
    "boi_token": "<|image>",
    "eoi_token": "<image|>",
    "boa_token": "<|audio>",
    "eoa_token": "<audio|>",
}
GEMMA_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for item in message['content'] %}{% if item['type'] == 'text' %}{{ item['text'] }}"
    "{% elif item['type'] == 'image' %}<|image|>{% elif item['type'] == 'audio' %}<|audio|>"
    "{% elif item['type'] == 'video' %}<|video|>{% endif %}{% endfor %}{% endif %}{% endfor %}{{ eos_token }}"
)
QWEN_TOKENS = ["<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>", "<|im_start|>", "<|im_end|>"]
QWEN_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{% if message['content'] is string %}"
    "{{ message['content'] }}{% else %}{% for item in message['content'] %}{% if item['type'] == 'text' %}{{ item['text'] }}"
    "{% elif item['type'] == 'image' %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% elif item['type'] == 'video' %}<|vision_start|><|video_pad|><|vision_end|>{% endif %}{% endfor %}{% endif %}"
    "<|im_end|>\n{% endfor %}{{ '<|im_start|>assistant\n' }}"
)
HEADS = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 16}


def byte_tokenizer(special: list[str]) -> Tokenizer:
    """A byte-level BPE, trained on a few sentences: every text has tokens, without an unknown one."""
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        CORPUS, BpeTrainer(vocab_size=400, special_tokens=special, initial_alphabet=alphabet, show_progress=False)
    )
    return tokenizer


def gemma2(folder: Path, *, limit: int | None = None) -> Path:
    """EmbeddingGemma 2: text, image, audio, video and their mixtures; 768 dimensions."""
    from transformers import (
        EmbeddingGemma2Config,
        EmbeddingGemma2Model,
        EmbeddingGemma2Processor,
        EmbeddingGemma2VideoProcessor,
        Gemma4AudioFeatureExtractor,
        Gemma4ImageProcessor,
        PreTrainedTokenizerFast,
    )

    special = ["<pad>", "<eos>", "<bos>", *GEMMA_TOKENS.values(), "<|video|>"]
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=byte_tokenizer(special),
        bos_token="<bos>",
        eos_token="<eos>",
        pad_token="<pad>",
        padding_side="right",
        extra_special_tokens=GEMMA_TOKENS,
        **({"model_max_length": limit} if limit else {}),
    )
    processor = EmbeddingGemma2Processor(
        Gemma4AudioFeatureExtractor(),
        Gemma4ImageProcessor(max_soft_tokens=70, image_seq_length=70),
        tokenizer,
        EmbeddingGemma2VideoProcessor(max_soft_tokens=70),
        chat_template=GEMMA_TEMPLATE,
        image_seq_length=70,
    )
    ids = {name: tokenizer.convert_tokens_to_ids(token) for name, token in GEMMA_TOKENS.items()}
    config = EmbeddingGemma2Config(
        text_config={
            **HEADS,
            "vocab_size": 512,
            "num_hidden_layers": 2,
            "sliding_window_pattern": 2,
            "global_head_dim": 32,
            "hidden_size_per_layer_input": 8,
            "embedding_dim": 768,
            "sliding_window": 64,
        },
        vision_config={
            **HEADS,
            "model_type": "gemma4_vision",
            "num_hidden_layers": 1,
            "num_key_value_heads": 2,
            "global_head_dim": 16,
        },
        audio_config={
            "model_type": "gemma4_audio",
            "hidden_size": 32,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "output_proj_dims": 32,
            "subsampling_conv_channels": [128, 4],
        },
        image_token_id=ids["image_token"],
        audio_token_id=ids["audio_token"],
        video_token_id=tokenizer.convert_tokens_to_ids("<|video|>"),
        boi_token_id=ids["boi_token"],
        eoi_token_id=ids["eoi_token"],
        boa_token_id=ids["boa_token"],
        eoa_token_index=ids["eoa_token"],
    )
    torch.manual_seed(0)
    return written(
        folder, EmbeddingGemma2Model(config), processor, 768, "mean", GEMMA_PROMPTS, ["text", "image", "audio", "video"]
    )


def qwen3_vl(folder: Path) -> Path:
    """Qwen3-VL-Embedding: text, image, video and their mixtures; 96 dimensions, of the last token."""
    from transformers import (
        PreTrainedTokenizerFast,
        Qwen2VLImageProcessor,
        Qwen3VLConfig,
        Qwen3VLModel,
        Qwen3VLProcessor,
        Qwen3VLVideoProcessor,
    )

    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=byte_tokenizer(["<|endoftext|>", *QWEN_TOKENS]),
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        padding_side="right",
        additional_special_tokens=QWEN_TOKENS,
        model_max_length=4096,
    )
    sizes = {"patch_size": 16, "temporal_patch_size": 2, "merge_size": 2}
    processor = Qwen3VLProcessor(
        Qwen2VLImageProcessor(**sizes, size={"shortest_edge": 32 * 32, "longest_edge": 128 * 128}),
        tokenizer,
        Qwen3VLVideoProcessor(**sizes, size={"shortest_edge": 32 * 32, "longest_edge": 16 * 96 * 96}),
        chat_template=QWEN_TEMPLATE,
    )
    start, end, image, video = tokenizer.convert_tokens_to_ids(QWEN_TOKENS[:4])
    config = Qwen3VLConfig(
        text_config={
            **HEADS,
            "hidden_size": 96,
            "vocab_size": 512,
            "num_hidden_layers": 2,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 10_000.0,
                "mrope_section": [4, 2, 2],
                "mrope_interleaved": True,
            },
        },
        vision_config={
            "depth": 2,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_heads": 2,
            "out_hidden_size": 96,
            "deepstack_visual_indexes": [0],
            "num_position_embeddings": 64,
        },
        image_token_id=image,
        video_token_id=video,
        vision_start_token_id=start,
        vision_end_token_id=end,
    )
    torch.manual_seed(0)
    prompts = {"query": "Retrieve what is asked for.", "document": ""}
    return written(folder, Qwen3VLModel(config), processor, 96, "lasttoken", prompts, ["text", "image", "video"])


def bert(folder: Path) -> Path:
    """A text model as most of the hub's are: 32 positions, no configuration of sentence-transformers but a pooling."""
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=byte_tokenizer(["[PAD]", "[CLS]", "[SEP]"]),
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        model_max_length=32,
    )
    config = BertConfig(
        vocab_size=512,
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=32,
    )
    torch.manual_seed(0)
    return written(folder, BertModel(config), tokenizer, 32, "mean", {"query": "query: ", "passage": "passage: "}, [])


def clip(folder: Path) -> Path:
    """CLIP as transformers alone stores one: text and image, one at a time, 16 dimensions."""
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPProcessor, PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=byte_tokenizer(["<pad>", "<start>", "<end>"]),
        pad_token="<pad>",
        eos_token="<end>",
        model_max_length=24,
    )
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = CLIPConfig(
        text_config={**sizes, "vocab_size": 512, "max_position_embeddings": 24, "bos_token_id": 1, "eos_token_id": 2},
        vision_config={**sizes, "image_size": 32, "patch_size": 8},
        projection_dim=16,
    )
    torch.manual_seed(0)
    CLIPModel(config).save_pretrained(folder)
    crop = CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    CLIPProcessor(crop, tokenizer).save_pretrained(folder)
    return folder


def written(
    folder: Path, model: object, processor: object, dim: int, pooling: str, prompts: dict[str, str], modalities: list[str]
) -> Path:
    """A model as sentence-transformers stores one: weights, processor, pooling, normalisation, prompts."""
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    package = "sentence_transformers"
    modules = [
        {"idx": 0, "name": "0", "path": "", "type": f"{package}.base.modules.transformer.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Pooling", "type": f"{package}.sentence_transformer.modules.pooling.Pooling"},
        {"idx": 2, "name": "2", "path": "2_Normalize", "type": f"{package}.base.modules.normalize.Normalize"},
    ]
    (folder / "1_Pooling").mkdir()
    settings = {
        "modules.json": modules,
        "1_Pooling/config.json": {"embedding_dimension": dim, "pooling_mode": pooling, "include_prompt": True},
        "config_sentence_transformers.json": {
            "model_type": "SentenceTransformer",
            "prompts": prompts,
            "default_prompt_name": None,
        },
    }
    if modalities:
        forward = {"method": "forward", "method_output_name": "last_hidden_state"}
        settings["sentence_bert_config.json"] = {
            "transformer_task": "feature-extraction",
            "modality_config": {**dict.fromkeys(modalities, forward), "message": {**forward, "format": "structured"}},
            "module_output_name": "token_embeddings",
        }
    for name, content in settings.items():
        (folder / name).write_text(json.dumps(content), encoding="utf-8")
    return folder
