"""kubectl, as it is, against a server: what a person sees is kept in golden files, which a person has read."""
