"""Bytes to arrays: one file a modality, every limit enforced here, no model known.

- `source`: a medium's source (path, bytes, file object, data: URI, URL) as a `Blob`
- `kinds`: which modality a file is, by its content
- `image`, `audio`, `video`, `document`: `read_image`, `read_audio`, `read_video`, `read_document`

Importing this package loads no decoder; each file loads its own.
"""
