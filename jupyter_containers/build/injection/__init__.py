"""A kernel for an image that has none: ipykernel, and where it takes one an interpreter, in a layer of its own.

The image is not rebuilt, its digest stays. The layer is mounted read-only beside it, at :data:`~.places.MOUNT`::

    probe      which Python the image has, found by running it; which kernel of its own
    packages   ipykernel and what it needs, locked with hashes in requirements.txt, for that Python and C library
    interpreter   for an image without a Python that will do: Debian's, with its loader and libraries
    layer      all of it as one layer of the store, made once
    inside/    what runs in the container: finds the packages without getting in the way of the image's own
"""
