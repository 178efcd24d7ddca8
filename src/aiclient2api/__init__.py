"""AIClient-2-API: one address for OpenAI, Claude and Gemini clients, in front of pools of upstream accounts."""

__version__ = "0.1.0"
