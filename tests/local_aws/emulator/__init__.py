"""ministack, made at least as strict as the services wherever this project depends on it.

ministack (MIT) is imported, never copied. Each module here holds one concern and has a function `install` that puts
its replacements in place; `python -m emulator` installs them all and starts the emulator. What ministack already does
as the services do is left alone.
"""
