"""The pipeline tasks: one module each, with a typed request, a typed result and a ``TASK``.

A task is a pure function of a loaded model and a list of requests (``core.runtime.task.Task``). The engine
gives it a bundle; it knows neither pages nor pools.
"""
