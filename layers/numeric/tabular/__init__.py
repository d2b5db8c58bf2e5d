"""Tables in CSV files, of any size, a block of rows at a time. The README has the public names."""
