"""The Tokenización page: its form and its five views, each drawing what ``core.lens`` computed."""
