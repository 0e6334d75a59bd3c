"""The client: a pure session machine under a synchronous and an asyncio API."""
