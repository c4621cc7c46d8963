"""What people look at: pages, pictures and files. Reads runs; never makes a number of its own."""
