"""Images: OCI documents, layers as reproducible tars, and the store that keeps them (``docs/store.md``)."""
