"""Images: OCI documents, layers, and the store that keeps them."""
