"""The Atención page: its form, its views and what they share. The drawing itself is ``core.ui.attention``."""
