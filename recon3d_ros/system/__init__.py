"""What the process knows about its machine: memory, interrupts, shared files, optional libraries."""
