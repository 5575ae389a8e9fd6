"""How to reach things (``settings``) and what to do about errors (``policy``: holdfast.yaml)."""
