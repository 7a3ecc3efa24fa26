"""Dockerfiles: read (:mod:`.lexer`, :mod:`.parser`), laid out as stages (:mod:`.stages`), built (:mod:`.builder`).

The language is that of the Dockerfile reference, as BuildKit's frontend 1.7 reads it; what a build without root can't
honour is told by a note. ``docs/dockerfile.md`` has the table.
"""
