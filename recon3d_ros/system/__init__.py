"""What the process is told about its machine: memory, interrupts, shared files, optional libraries."""
