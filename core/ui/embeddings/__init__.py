"""The Embeddings page: its form, its seven parts and what they share."""
