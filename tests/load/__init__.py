"""Many visitors at once, each with a real session over the WebSocket."""
