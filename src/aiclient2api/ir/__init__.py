"""The intermediate representation: what a conversation is. No wire format, no I/O.

Order-preserving: a turn is a list of parts in the order they were generated, so Responses items, Messages
blocks, Chat messages with tool calls and Gemini parts are four views of one list. Whatever the model wrote or
must read again (tool arguments, schemas, signatures, base64) is exact text. `ext` keeps the members of a wire
object that have no field here; `None` means absent, never a default.
"""
