"""Any sentence-transformers model as an `Embedder` (`panvec[hub]`): EmbeddingGemma 2, Qwen3-VL-Embedding, text models.

- `files`: where a model's files are (a folder, the local cache, the hub) and which revision they are
- `libraries`: sentence-transformers, with what its media libraries need to be imported
- `prompts`: its prompts by task
- `sound`: the sound of a video, interleaved with its frames by the model's own processor
- `runner`: windows of blocks (`panvec.models.blocks`) through the model, in batches
- `model`, `load`: all of it together
"""
