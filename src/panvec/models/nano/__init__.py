"""panvec-nano: the model that ships in the package.

multilingual-e5-small is the trunk, EfficientNet-Lite2 and the Whisper-base encoder are the frozen towers, connectors of
our own turn what the towers see and hear into soft tokens of the trunk.
"""
