"""Atoms of pictures, sounds, films and documents in a request (mapping 2.2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.laws.atoms import ASKS, Ask, data_url, first, get, standard, user_parts
from tests.laws.native import AM, GG, OC, OR, PROTOCOLS, say
from tests.laws.plain import Doc
from tests.laws.words import URLS, Words

_IMAGES = ("image/png", "image/jpeg", "image/webp")
_PDF = "application/pdf"
Build = Callable[[Words], tuple[Doc, Any]]


def _shown(protocol: str, build: Build) -> Any:
    def write(doc: Doc, words: Words) -> Any:
        part, value = build(words)
        say(protocol, doc, words.text(), part)
        return value

    return write


def inline(part: Doc) -> tuple[str, str] | None:
    """Media type and base64 of a native part, whatever it shows."""
    source = part.get("source") or {}
    if source.get("type") == "base64":
        return source["media_type"], standard(source["data"])
    if "inlineData" in part:
        return part["inlineData"]["mimeType"], standard(part["inlineData"]["data"])
    if "input_audio" in part:
        form = str(part["input_audio"]["format"])
        return "audio/" + {"mp3": "mpeg"}.get(form, form), standard(part["input_audio"]["data"])
    address = part.get("image_url")
    address = address.get("url") if isinstance(address, dict) else address
    return data_url(address) or data_url(part.get("file_data")) or data_url(get(part, "file.file_data"))


def address(part: Doc) -> str | None:
    """The address in a native part that is not a data URL."""
    found = [
        get(part, "image_url.url"),
        part.get("image_url"),
        part.get("file_url"),
        get(part, "video_url.url"),
    ]
    found += [get(part, "source.url"), get(part, "fileData.fileUri")]
    return first([one for one in found if isinstance(one, str) and not one.startswith("data:")])


def _inline_read(protocol: str, kinds: str) -> Any:
    def read(doc: Doc) -> Any:
        found = [inline(part) for part in user_parts(protocol, doc)]
        return first([one for one in found if one is not None and one[0].startswith(kinds)])

    return read


def _address_read(protocol: str, suffix: str = "") -> Any:
    return lambda doc: first([address(part) for part in user_parts(protocol, doc)])


def _image(protocol: str) -> Build:
    def build(words: Words) -> tuple[Doc, Any]:
        mime, data = words.pick(_IMAGES), words.base64()
        url = f"data:{mime};base64,{data}"
        parts: dict[str, Doc] = {
            OC: {"type": "image_url", "image_url": {"url": url}},
            OR: {"type": "input_image", "image_url": url, "detail": "auto"},
            AM: {"type": "image", "source": {"type": "base64", "media_type": mime, "data": data}},
            GG: {"inlineData": {"mimeType": mime, "data": data}},
        }
        return parts[protocol], (mime, data)

    return build


def _image_url(protocol: str) -> Build:
    def build(words: Words) -> tuple[Doc, Any]:
        url = words.pick(URLS)
        parts: dict[str, Doc] = {
            OC: {"type": "image_url", "image_url": {"url": url}},
            OR: {"type": "input_image", "image_url": url, "detail": "auto"},
            AM: {"type": "image", "source": {"type": "url", "url": url}},
            GG: {"fileData": {"fileUri": url, "mimeType": "image/png"}},
        }
        return parts[protocol], url

    return build


def _file(protocol: str) -> Build:
    def build(words: Words) -> tuple[Doc, Any]:
        name = words.token("file_")
        parts: dict[str, Doc] = {
            OC: {"type": "file", "file": {"file_id": name}},
            OR: {"type": "input_image", "file_id": name, "detail": "auto"},
            AM: {"type": "image", "source": {"type": "file", "file_id": name}},
            GG: {"fileData": {"fileUri": f"files/{name}", "mimeType": "image/png"}},
        }
        return parts[protocol], name

    return build


def _file_of(part: Doc) -> str | None:
    uri = get(part, "fileData.fileUri")
    return first(
        [
            get(part, "file.file_id"),
            part.get("file_id"),
            get(part, "source.file_id"),
            uri.removeprefix("files/") if isinstance(uri, str) else None,
        ]
    )


for _feature, _builder, _reader in (
    ("image.inline", _image, lambda p: _inline_read(p, "image/")),
    ("image.url", _image_url, _address_read),
    ("image.file", _file, lambda p: lambda doc: first([_file_of(part) for part in user_parts(p, doc)])),
):
    ASKS[_feature] = Ask(
        {protocol: _shown(protocol, _builder(protocol)) for protocol in PROTOCOLS},
        {protocol: _reader(protocol) for protocol in PROTOCOLS},
        (_feature, "media.image"),
        slot="media",
    )


def _detail(protocol: str) -> Build:
    def build(words: Words) -> tuple[Doc, Any]:
        part, _ = _image(protocol)(words)
        value = words.pick(("low", "high"))
        if protocol == OC:
            part["image_url"]["detail"] = value
        elif protocol == OR:
            part["detail"] = value
        else:
            part["mediaResolution"] = {"level": f"MEDIA_RESOLUTION_{value.upper()}"}
        return part, value

    return build


def _detail_of(part: Doc) -> str | None:
    level = get(part, "mediaResolution.level")
    if isinstance(level, str):
        return level.removeprefix("MEDIA_RESOLUTION_").lower()
    return first([get(part, "image_url.detail"), part.get("detail")])


ASKS["image.detail"] = Ask(
    {protocol: _shown(protocol, _detail(protocol)) for protocol in (OC, OR, GG)},
    {p: (lambda doc, p=p: first([_detail_of(part) for part in user_parts(p, doc)])) for p in PROTOCOLS},
    ("media.detail",),
    slot="media",
)

# ---- documents


def _pdf(protocol: str) -> Build:
    def build(words: Words) -> tuple[Doc, Any]:
        data = words.base64()
        url = f"data:{_PDF};base64,{data}"
        parts: dict[str, Doc] = {
            OC: {"type": "file", "file": {"file_data": url, "filename": "a.pdf"}},
            OR: {"type": "input_file", "file_data": url, "filename": "a.pdf"},
            AM: {"type": "document", "source": {"type": "base64", "media_type": _PDF, "data": data}},
            GG: {"inlineData": {"mimeType": _PDF, "data": data}},
        }
        return parts[protocol], (_PDF, data)

    return build


def _pdf_url(protocol: str) -> Build:
    def build(words: Words) -> tuple[Doc, Any]:
        url = "https://example.com/" + words.token("doc") + ".pdf"
        parts: dict[str, Doc] = {
            OR: {"type": "input_file", "file_url": url},
            AM: {"type": "document", "source": {"type": "url", "url": url}},
            GG: {"fileData": {"fileUri": url, "mimeType": _PDF}},
        }
        return parts[protocol], url

    return build


def _document(words: Words) -> tuple[Doc, Any]:
    value = (words.text(), words.text(), words.text())
    source = {"type": "text", "media_type": "text/plain", "data": value[2]}
    return {"type": "document", "source": source, "title": value[0], "context": value[1]}, value


def _document_of(part: Doc) -> Any:
    if part.get("type") != "document" or get(part, "source.type") != "text":
        return None
    return part.get("title"), part.get("context"), part["source"]["data"]


def _cited(words: Words) -> tuple[Doc, Any]:
    part, _ = _document(words)
    return {"type": "document", "source": part["source"], "citations": {"enabled": True}}, True


def _search_result(words: Words) -> tuple[Doc, Any]:
    value = (words.pick(URLS), words.text(), words.text())
    content = [{"type": "text", "text": value[2]}]
    return {"type": "search_result", "source": value[0], "title": value[1], "content": content}, value


def _search_of(part: Doc) -> Any:
    if part.get("type") != "search_result":
        return None
    return part["source"], part["title"], part["content"][0]["text"]


ASKS["pdf.inline"] = Ask(
    {protocol: _shown(protocol, _pdf(protocol)) for protocol in PROTOCOLS},
    {protocol: _inline_read(protocol, _PDF) for protocol in PROTOCOLS},
    ("media.document",),
    slot="media",
)
ASKS["pdf.url"] = Ask(
    {protocol: _shown(protocol, _pdf_url(protocol)) for protocol in (OR, AM, GG)},
    {protocol: _address_read(protocol) for protocol in PROTOCOLS},
    ("media.document",),
    slot="media",
)
for _feature, _one, _of, _names in (
    ("document.text", _document, _document_of, ("media.document", "media.title")),
    ("document.citations", _cited, lambda part: get(part, "citations.enabled"),
     ("citation",)),
    ("document.search_result", _search_result, _search_of,
     ("media.document", "search_result", "tool.hosted")),
):  # fmt: skip
    ASKS[_feature] = Ask(
        {AM: _shown(AM, _one)},
        {AM: (lambda doc, of=_of: first([of(part) for part in user_parts(AM, doc)]))},
        _names,
        slot="media",
    )

# ---- sound and film


def _audio(protocol: str) -> Build:
    def build(words: Words) -> tuple[Doc, Any]:
        data = words.base64()
        if protocol == OC:
            return {"type": "input_audio", "input_audio": {"data": data, "format": "wav"}}, (
                "audio/wav",
                data,
            )
        return {"inlineData": {"mimeType": "audio/wav", "data": data}}, ("audio/wav", data)

    return build


ASKS["audio.input"] = Ask(
    {protocol: _shown(protocol, _audio(protocol)) for protocol in (OC, GG)},
    {protocol: _inline_read(protocol, "audio/") for protocol in PROTOCOLS},
    ("media.audio",),
    slot="media",
)


def _video(words: Words) -> tuple[Doc, Any]:
    data = words.base64()
    part: Doc = {"inlineData": {"mimeType": "video/mp4", "data": data}}
    if words.coin():
        part["videoMetadata"] = {"startOffset": "1s", "fps": 2}
    return part, (data, "videoMetadata" in part)


def _video_of(part: Doc) -> Any:
    found = inline(part)
    if found is None or not found[0].startswith("video/"):
        url = data_url(get(part, "video_url.url"))
        return None if url is None else (url[1], False)
    return found[1], "videoMetadata" in part


ASKS["video.input"] = Ask(
    {GG: _shown(GG, _video)},
    {p: (lambda doc, p=p: first([_video_of(part) for part in user_parts(p, doc)])) for p in PROTOCOLS},
    ("media.video", "ext.videoMetadata"),
    slot="media",
)
