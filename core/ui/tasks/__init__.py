"""The Tareas page: one module a task (``view``), and what they share."""
