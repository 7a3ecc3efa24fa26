"""The version of what a Dockerfile's steps mean: raised when the same instruction gives another layer than before."""

FORMAT = "dockerfile-1"
