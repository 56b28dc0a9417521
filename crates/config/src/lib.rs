//! YAML as people write it, turned into one checked configuration; every problem with line and column.
