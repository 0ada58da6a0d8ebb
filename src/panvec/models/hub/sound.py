"""The sound of a video, given decoded: a message's video block may carry it as `sound`.

transformers interleaves the frames of a video with its sound, second by second, as EmbeddingGemma 2 was trained, but through
`apply_chat_template` only for files that it decodes itself with torchcodec. The processor takes decoded sound all the same:
the list of sounds then has a slot for each video that has one (`audio_from_video_indices`).
"""

from __future__ import annotations

from typing import Any

SOUND = "sound"
"""The key of a video block under which its samples are."""


def let_hear_videos(processor: Any) -> None:
    """Let `processor` take the sound of a video from its block."""
    kind = type(processor)
    processor.__class__ = type(kind.__name__, (_Hearing, kind), {})


class _Hearing:
    def _multimodal_inputs_from_conversations(
        self, conversations: list[Any], audio_loading_params: dict[str, Any], load_audio_from_video: bool = False
    ) -> tuple[Any, Any, list[Any], dict[str, Any]]:
        images, videos, heard, more = super()._multimodal_inputs_from_conversations(  # type: ignore[misc]
            conversations, audio_loading_params, load_audio_from_video
        )
        slots = sound_slots(conversations)
        if any(video is not None for video, _ in slots):
            heard = [samples for _, samples in slots]
            more = {"audio_from_video_indices": [video for video, _ in slots], "load_audio_from_video": True}
        return images, videos, heard, more


def sound_slots(conversations: list[Any]) -> list[tuple[int | None, Any]]:
    """Every sound of a batch in order, with the number of its video in the batch, or None for a sound of its own."""
    slots: list[tuple[int | None, Any]] = []
    videos = 0
    for block in _blocks(conversations):
        if block["type"] == "audio":
            slots.append((None, block["audio"]))
        elif block["type"] == "video":
            if block.get(SOUND) is not None:
                slots.append((videos, block[SOUND]))
            videos += 1
    return slots


def _blocks(conversations: list[Any]) -> list[dict[str, Any]]:
    contents = [message["content"] for conversation in conversations for message in conversation]
    return [block for content in contents if isinstance(content, list) for block in content]
