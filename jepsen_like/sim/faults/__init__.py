"""What goes wrong in a simulated cluster: one act for each kind of fault, each of which says what effect it saw."""
