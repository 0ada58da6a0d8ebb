"""Hosted models as `Embedder`s, through their official clients (`panvec[remote]`).

- `load`: options, keys from the environment, and which network a caller has allowed
- `wire`: contents as what is sent: texts and files
- `gemini`, `openai`: one service each
- `pace`: requests a minute
- `cost`: what a job costs, before it is sent
- `model`: batches, retries, and one vector a content whatever the service does
"""
