"""Any sentence-transformers model as an `Embedder` (`panvec[hub]`): EmbeddingGemma 2, Qwen3-VL-Embedding, text models.

- `files`: where a model's files are (a folder, the local cache, the hub) and which revision they are
- `libraries`: sentence-transformers, with what its media libraries need to be imported
- `facts`: what a model's card says and its configuration does not
- `prompts`: its prompts by task
- `blocks`: parts of a content, decoded, as the blocks of a message
- `sound`: the sound of a video, interleaved with its frames by the model's own processor
- `model`, `load`: all of it together
"""
